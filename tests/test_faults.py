"""The real workflow under edits and kills while a stage runs: a result is recorded with what it was made from."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from stages.shared.workflow.stage_run import FINISHED
from stages.shared.runtime.processes import is_running
from tests.faults.kills import KILLERS, artifacts, kept_progress, kill_when, leftovers, wait_for
from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.slow

REPRO = ("dvc", "repro", "finetune")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A project whose images are prepared, to be copied."""
    workflow = Workflow(tmp_path_factory.mktemp("prepared"))
    tiny_params(workflow, ["mine"], ["net"])
    workflow.edit_params({"finetune.steps": [0, 200, 400], "finetune.schedule_steps": 400})  # some seconds of training
    tiny_images(workflow.folder / "data" / "raw" / "mine", seed=0)
    workflow.start_repository()
    workflow.run("dvc", "repro", "prepare")
    return workflow


@pytest.fixture
def project(prepared: Workflow, tmp_path: Path) -> Workflow:
    return make_project(prepared, tmp_path / "project")


def make_project(prepared: Workflow, folder: Path) -> Workflow:
    shutil.copytree(prepared.folder, folder, symlinks=True)
    return Workflow.opened(folder)


def start_and_wait_for_training(project: Workflow) -> subprocess.Popen[str]:
    """Start `dvc repro`, and return when finetune has written its first checkpoint and trains on."""
    dvc = project.start(*REPRO)
    wait_for(lambda: [*project.folder.glob("data/checkpoints/**/.weights.partial-*/weights/step_000000.safetensors")])
    return dvc


def stage_processes(project: Workflow) -> list[psutil.Process]:
    """Processes of stages of the project, this moment."""
    found = []
    for process in psutil.process_iter():
        try:
            is_stage = any(part.startswith("stages.") for part in process.cmdline())
            if is_stage and process.cwd() == str(project.folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def outputs(project: Workflow) -> dict[str, bytes]:
    files = [p for name in ("checkpoints", "training") for p in (project.folder / "data" / name).rglob("*")]
    return {str(p.relative_to(project.folder)): p.read_bytes() for p in sorted(files) if p.is_file()}


def edit_code(project: Workflow) -> None:
    """Change what training gives: the learning rate is twice what params.yaml says."""
    loop = project.folder / "stages" / "finetune" / "loop.py"
    text = loop.read_text()
    assert "return self.params.learning_rate *" in text
    loop.write_text(text.replace("return self.params.learning_rate *", "return 2 * self.params.learning_rate *"))


def edit_params(project: Workflow) -> None:
    project.edit_params({"finetune.learning_rate": 0.002})


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        pytest.param(edit_params, "params.yaml: finetune.learning_rate", id="params"),
        pytest.param(edit_code, "stages/finetune/loop.py", id="code", marks=pytest.mark.long),
    ],
)
def test_an_edit_while_a_stage_runs_fails_it_and_the_next_run_is_right(
    prepared: Workflow, project: Workflow, tmp_path: Path, edit: Callable[[Workflow], None], named: str
):
    dvc = start_and_wait_for_training(project)
    edit(project)
    _, said = dvc.communicate(timeout=120)
    assert dvc.returncode != 0
    assert f"error: {named} changed while finetune ran" in said
    assert "Traceback" not in said
    assert project.computed() == set()
    assert [Path(path).name.partition("-")[0] for path in leftovers(project)] == [".weights.partial"]  # to go on from
    said = project.run(*REPRO).stdout
    what = "code" if edit is edit_code else "parameters"
    assert f"starts anew: an earlier run's work cannot be used, since it was made with other {what}" in said
    assert leftovers(project) == []

    clean = make_project(prepared, tmp_path / "clean")
    edit(clean)
    clean.run(*REPRO)
    assert outputs(project) == outputs(clean)
    project.computed()
    project.run(*REPRO)
    assert project.computed() == set()


def test_an_orphan_of_dvc_ends_and_leaves_nothing_to_the_next_run(
    prepared: Workflow, project: Workflow, tmp_path: Path
):
    dvc = start_and_wait_for_training(project)
    orphans = stage_processes(project)
    assert orphans
    dvc.kill()
    dvc.wait()
    edit_params(project)
    again = project.start(*REPRO)
    wait_for(lambda: not any(is_running(p.pid) for p in orphans), 10)  # a fifth of a second, were it alone
    dvc.communicate()
    _, said = again.communicate(timeout=180)
    assert again.returncode == 0, said
    assert not [*project.folder.rglob(".*.partial-*")]

    clean = make_project(prepared, tmp_path / "clean")
    edit_params(clean)
    clean.run(*REPRO)
    assert outputs(project) == outputs(clean)
    project.computed()
    project.run(*REPRO)
    assert project.computed() == set()


STEPS = [*range(0, 321, 40)]


def make_small_project(prepared: Workflow, folder: Path) -> Workflow:
    """A project whose training and embedding take seconds, and have several places to go on from."""
    project = make_project(prepared, folder)
    project.edit_params({"finetune.steps": STEPS, "embed.batch_size": 1, "embed.train_per_class": 4})
    return project


@pytest.fixture(scope="module")
def undisturbed(prepared: Workflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    project = make_small_project(prepared, tmp_path_factory.mktemp("undisturbed") / "project")
    project.run("dvc", "repro", "embed@mine-net-0-0")
    return artifacts(project.folder)


def test_what_was_killed_again_and_again_goes_on_to_the_same_bytes(
    prepared: Workflow, tmp_path: Path, undisturbed: dict[str, bytes]
):
    project = make_small_project(prepared, tmp_path / "project")
    target, printed = "embed@mine-net-0-0", []

    def trained(step: int) -> bool:
        return (kept_progress(project, "checkpoints") or {}).get("step") == step

    def embedding() -> bool:
        return any((project.folder / "data" / "embeddings").rglob("zarr.json"))

    moments = (lambda: trained(80), lambda: trained(240), lambda: embedding())
    for kind, moment in zip(("dvc", "group", "stage"), moments, strict=True):
        killed, said = kill_when(project, KILLERS[kind], moment, "dvc", "repro", target)
        assert killed, said
        printed.append(said)
    printed.append("".join(project.run("dvc", "repro", target).stdout))
    said = "".join(printed)
    assert "goes on after optimizer step 80 of 320, where an earlier run was stopped" in said
    assert "goes on after optimizer step 240 of 320" in said
    assert said.count("where an earlier run was stopped") == 2
    assert "Traceback" not in said
    assert artifacts(project.folder) == undisturbed
    assert leftovers(project) == []
    project.computed()
    project.run("dvc", "repro", target)
    assert project.computed() == set()


@contextmanager
def no_room_in_the_cache(project: Workflow) -> Iterator[None]:
    """Within, DVC can store nothing: files in the place of the folders of its cache stand for a full disk."""
    cache = project.folder / ".dvc" / "cache" / "files" / "md5"
    blocked = [path for path in (cache / f"{number:02x}" for number in range(256)) if not path.exists()]
    for path in blocked:
        path.touch()
    yield
    for path in blocked:
        if path.is_file():
            path.unlink()


def test_a_result_that_dvc_could_not_store_is_recorded_by_commit(project: Workflow):
    """As docs/troubleshooting.md says."""
    project.edit_params({"finetune.steps": [0, 20]})
    with no_room_in_the_cache(project):
        assert "failed to reproduce" in project.run(*REPRO, ok=False).stderr
    assert project.computed() == {"finetune@mine-net-0-0"}
    whole = outputs(project)
    project.run("dvc", "commit", "-f", "finetune@mine-net-0-0")
    project.run(*REPRO)
    assert project.computed() == set()
    assert outputs(project) == whole
    assert whole


@pytest.mark.long
def test_a_result_that_dvc_could_not_store_is_gone_on_from(
    prepared: Workflow, tmp_path: Path, undisturbed: dict[str, bytes]
):
    project = make_small_project(prepared, tmp_path / "project")
    for stage, kept in (("finetune", "goes on after optimizer step 280 of 320"), ("embed", "")):
        repro = ("dvc", "repro", f"{stage}@mine-net-0-0")
        with no_room_in_the_cache(project):
            assert "failed to reproduce" in project.run(*repro, ok=False).stderr
        assert kept in project.run(*repro).stdout
    assert artifacts(project.folder) == undisturbed
    stored = [path for name in ("checkpoints", "embeddings") for path in (project.folder / "data" / name).rglob("*")]
    assert all(path.stat().st_nlink == 1 for path in stored if path.is_file())  # no name of an object of DVC's cache
    project.run("dvc", "repro", "measure@mine-net-0-0")
    assert not (project.folder / FINISHED).exists()
