"""The command in the real workflow: damage that DVC does not see is found and repaired, results equal to the byte."""

from pathlib import Path

import pytest

from tests.commands.verify.made import damage
from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.slow

EMBEDDED, TRAINED = "data/embeddings/mine/net/0/0/layer1/c/0/0/0", "data/training/mine/net/0/0/training.csv"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    workflow = Workflow(tmp_path_factory.mktemp("verify") / "project")
    tiny_params(workflow, ["mine"], ["net"])
    tiny_images(workflow.folder / "data" / "raw" / "mine", seed=0)
    workflow.start_repository()
    workflow.repro()
    return workflow


def outputs(project: Workflow) -> dict[str, bytes]:
    files = [path for path in (project.folder / "data").rglob("*") if path.is_file() and path.name != "durations.jsonl"]
    return {str(path): path.read_bytes() for path in sorted(files)}


def cached(project: Workflow, file: str) -> Path:
    listed = project.run("md5sum", file).stdout[:32]
    return project.folder / ".dvc/cache/files/md5" / listed[:2] / listed[2:]


def test_rot_and_damaged_objects_are_found_removed_and_made_again(project: Workflow):
    before = outputs(project)
    assert "all are as they were written" in project.run("whichlayer", "verify").stdout
    measured = cached(project, "data/measures/mine/net/0/0/images.parquet")
    harmed = (project.folder / EMBEDDED, measured, project.folder / TRAINED, cached(project, TRAINED))
    for path in harmed:
        damage(path)
    assert "up to date" in project.run("dvc", "status").stdout

    found = project.run("whichlayer", "verify", ok=False)
    assert found.returncode == 1
    assert "4 damaged:" in found.stdout
    for path in harmed:
        assert f"\n  {path.relative_to(project.folder)}: other content (" in found.stdout
    assert outputs(project) != before

    project.computed()
    project.run("whichlayer", "verify", "--remove")
    assert project.repro() == {"finetune@mine-net-0-0", "measure@mine-net-0-0"}  # what the cache had lost
    assert outputs(project) == before
    assert "all are as they were written" in project.run("whichlayer", "verify").stdout
