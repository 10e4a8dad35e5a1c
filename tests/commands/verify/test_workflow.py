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


def test_rot_a_damaged_object_and_an_empty_lock_are_found_and_repaired(project: Workflow):
    before = outputs(project)
    assert "all are as they were written" in project.run("whichlayer", "verify").stdout
    measured = cached(project, "data/measures/mine/net/0/0/images.parquet")
    for path in (project.folder / EMBEDDED, measured, project.folder / TRAINED, cached(project, TRAINED)):
        damage(path)
    assert "up to date" in project.run("dvc", "status").stdout
    (project.folder / ".dvc" / "tmp" / "rwlock").write_bytes(b"")
    assert "JSON structure is corrupted" in project.run("dvc", "repro", "embed", ok=False).stderr

    found = project.run("whichlayer", "verify", ok=False)
    assert found.returncode == 1
    assert "5 damaged:" in found.stdout
    for named in (".dvc/tmp/rwlock", EMBEDDED, TRAINED, str(measured.relative_to(project.folder))):
        assert f"\n  {named}: " in found.stdout
    assert "runs 1 stage again (finetune@mine-net-0-0)" in found.stdout
    assert project.run("whichlayer", "verify", "--repair", ok=False).returncode == 1  # nobody said yes
    assert outputs(project) != before

    project.computed()
    assert "all are as they were written" in project.run("whichlayer", "verify", "--repair", "--yes").stdout
    assert project.computed() == {"finetune@mine-net-0-0"}
    assert outputs(project) == before
    assert "up to date" in project.run("dvc", "status").stdout


def test_stages_do_not_run_again_on_damaged_raw_data(project: Workflow):
    raw, manifest = project.folder / "data/raw/mine/rings/003.png", "data/prepared/mine/manifest.csv"
    for path in (raw, cached(project, manifest), project.folder / manifest):
        damage(path)
    refused = project.run("whichlayer", "verify", "--repair", "--yes", ok=False)
    assert refused.returncode == 2
    assert f"{raw}: must be put back before prepare@mine can run again" in refused.stderr
    damage(raw)  # the same bit again
    project.run("whichlayer", "verify", "--repair", "--yes")


def test_an_edit_before_dvc_has_hashed_what_a_stage_read_is_refused_found_and_repaired(project: Workflow):
    """Nothing in dvc.lock or in the outputs of the stage tells of it, and DVC itself finds all up to date."""
    project.repro()
    before, edited = outputs(project), {"finetune.learning_rate": 0.05}
    with project.start("dvc", "repro", "--single-item", "--force", "finetune@mine-net-0-0") as running:
        for line in running.stdout or ():
            if line.startswith("finetune mine-net-0-0: "):
                project.edit_params(edited)
    assert running.returncode == 0
    assert "learning_rate: 0.05" in project.text("dvc.lock")
    assert "finetune@mine-net-0-0" not in project.changed()

    said = "an edit between its end and DVC's record: finetune.learning_rate was 0.001, not 0.05"
    assert said in project.run("whichlayer", "recommend").stderr
    refused = project.run("dvc", "repro", ok=False)
    assert (
        f"error: finetune@mine-net-0-0: dvc.lock must say what it was made of, found {said}; run the" in refused.stderr
    )
    found = project.run("whichlayer", "verify", ok=False)
    assert f"data/made_of/finetune.mine-net-0-0.json: {said} (finetune@mine-net-0-0)" in found.stdout

    project.computed()
    assert "all are as they were written" in project.run("whichlayer", "verify", "--repair", "--yes").stdout
    assert project.computed() == {"finetune@mine-net-0-0"}
    project.repro()
    assert "note:" not in project.run("whichlayer", "recommend").stderr
    trained = project.text(TRAINED)
    project.edit_params({"finetune.learning_rate": 0.001})
    project.repro()
    assert outputs(project) == before
    assert project.text(TRAINED) != trained
