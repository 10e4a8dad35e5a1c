"""The real workflow under edits and kills while a stage runs: a result is recorded with what it was made from."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stages.shared.processes import is_running
from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.slow

REPRO = ("dvc", "repro", "finetune")


@pytest.fixture
def project(tmp_path: Path) -> Workflow:
    return make_project(tmp_path / "project")


def make_project(folder: Path) -> Workflow:
    folder.mkdir()
    workflow = Workflow(folder)
    tiny_params(workflow, ["mine"], ["net"])
    workflow.edit_params({"finetune.steps": [0, 400], "finetune.schedule_steps": 400})  # some seconds of training
    tiny_images(folder / "data" / "raw" / "mine", seed=0)
    workflow.start_repository()
    return workflow


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)


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
    [(edit_params, "params.yaml: finetune.learning_rate"), (edit_code, "stages/finetune/loop.py")],
    ids=["params", "code"],
)
def test_an_edit_while_a_stage_runs_fails_it_and_the_next_run_is_right(
    project: Workflow, tmp_path: Path, edit: Callable[[Workflow], None], named: str
):
    dvc = start_and_wait_for_training(project)
    edit(project)
    _, said = dvc.communicate(timeout=120)
    assert dvc.returncode != 0
    assert f"error: {named} changed while finetune ran" in said
    assert "Traceback" not in said
    assert project.computed() == {"prepare@mine"}
    assert not [*project.folder.rglob(".*.partial-*")]
    project.run(*REPRO)

    clean = make_project(tmp_path / "clean")
    edit(clean)
    clean.run(*REPRO)
    assert outputs(project) == outputs(clean)
    project.computed()
    project.run(*REPRO)
    assert project.computed() == set()


def test_an_orphan_of_dvc_ends_and_leaves_nothing_to_the_next_run(project: Workflow, tmp_path: Path):
    dvc = start_and_wait_for_training(project)
    orphans = stage_processes(project)
    assert orphans
    dvc.kill()
    dvc.wait()
    killed = time.monotonic()
    edit_params(project)
    again = project.start(*REPRO)
    wait_for(lambda: not any(is_running(p.pid) for p in orphans), 10)
    assert time.monotonic() - killed < 3  # a fifth of a second, and what a busy machine adds
    dvc.communicate()
    _, said = again.communicate(timeout=180)
    assert again.returncode == 0, said
    assert not [*project.folder.rglob(".*.partial-*")]

    clean = make_project(tmp_path / "clean")
    edit_params(clean)
    clean.run(*REPRO)
    assert outputs(project) == outputs(clean)
    project.computed()
    project.run(*REPRO)
    assert project.computed() == set()
