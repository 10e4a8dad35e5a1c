"""`whichlayer fleet` as people use it: on one machine, on a cluster that loses one of two, by another scheduler."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from tests.faults.kills import KILLERS, artifacts, kill_when, wait_for
from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.fleet

OF_CELLS = {f"{stage}@mine-{model}-0-0" for stage in ("finetune", "embed", "measure") for model in "ab"}


def make_project(folder: Path) -> Workflow:
    """A grid of two cells, with a link to its images, weights of its own, and a parameter that was not committed."""
    folder.mkdir()
    workflow = Workflow(folder)
    tiny_params(workflow, ["mine"], ["a", "b"])
    workflow.edit_params({"embed.batch_size": 1})
    images = folder.with_name(f"{folder.name}-images")
    tiny_images(images, seed=0)
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "data" / "raw" / "mine").symlink_to(images)
    workflow.start_repository()
    workflow.edit_params({"finetune.steps": [0, 60], "finetune.schedule_steps": 60})
    return workflow


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The grid, computed one cell after another."""
    workflow = make_project(tmp_path_factory.mktemp("serial") / "project")
    workflow.run("dvc", "repro")
    return workflow


@contextmanager
def running(project: Workflow, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """Within, a fleet runs; at the end it is killed, if it has not ended."""
    fleet = project.start("whichlayer", "fleet", *options)
    try:
        yield fleet
    finally:
        fleet.kill()
        fleet.communicate(timeout=60)


def wait_for_cells(fleet: "subprocess.Popen[str]", scratch: Path, partial: str) -> None:
    """Wait until there are two workspaces, and one has begun an output; a fleet that ended before has failed."""

    def at_work() -> bool:
        with contextlib.suppress(FileNotFoundError):  # a folder that goes meanwhile
            workspaces = [*scratch.glob("whichlayer-*")]
            return len(workspaces) == 2 and any([*folder.glob(f"data/{partial}")] for folder in workspaces)
        return False

    wait_for(lambda: at_work() or fleet.poll() is not None, seconds=300)
    assert fleet.poll() is None, fleet.communicate()


def entries(project: Workflow) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(project.folder / "dvc.lock")["stages"]
    return content


def test_on_one_machine_a_kill_costs_time_only(serial: Workflow, tmp_path: Path):
    project = make_project(tmp_path / "project")
    begun = project.folder / "data" / "embeddings"
    fleet = ("whichlayer", "fleet", "--workers", "2")
    killed, _ = kill_when(project, KILLERS["dvc"], lambda: [*begun.rglob(".*.partial-*")], *fleet)
    assert killed
    done = project.run(*fleet)
    assert "mine-a-0-0: done" in done.stdout
    assert entries(project) == entries(serial)
    first, second = artifacts(project.folder), artifacts(serial.folder)
    assert {path for path in first if first[path] != second.get(path)} <= {"dvc.lock"}  # whose order is that of ends
    assert project.repro() == {"prepare@mine", *OF_CELLS, "aggregate"}  # none more now
    assert project.run("whichlayer", "fleet", "--list").stdout == ""
    assert project.repro() == set()


def test_a_node_that_is_lost_in_the_middle_of_a_cell_costs_time_only(
    serial: Workflow, tmp_path: Path, scratch: Path, cluster: Any
):
    project = make_project(tmp_path / "project")
    lost = cluster.add_node(num_cpus=1)
    with running(project, "--address", cluster.address) as fleet:
        wait_for_cells(fleet, scratch, "embeddings/*/*/*/.*.partial-*")
        cluster.remove_node(lost, allow_graceful=False)
        output, errors = fleet.communicate(timeout=300)
        assert fleet.returncode == 0, output + errors
    assert [*scratch.glob("whichlayer-*")]  # left by the worker that was killed
    assert output.count(": done, ") == 2
    assert project.text("dvc.lock") == serial.text("dvc.lock")
    assert project.computed() >= {"prepare@mine", "aggregate", *OF_CELLS} - {f"finetune@mine-{m}-0-0" for m in "ab"}
    assert project.repro() == set()


def test_stages_for_a_gpu_hold_one_and_measure_none(serial: Workflow, tmp_path: Path, cluster: Any):
    project = make_project(tmp_path / "project")
    cluster.add_node(num_cpus=1, num_gpus=1)
    project.run("whichlayer", "fleet", "--address", cluster.address)
    assert project.text("dvc.lock") == serial.text("dvc.lock")
    rows = [json.loads(line) for line in project.text("data/durations.jsonl").splitlines()]
    with_gpu = {row["stage"] for row in rows if "CUDA_VISIBLE_DEVICES=0" in row["machine"]}
    assert with_gpu == {"finetune", "embed"}


def test_ctrl_c_leaves_no_process_and_no_workspace(tmp_path: Path, scratch: Path, cluster: Any):
    project = make_project(tmp_path / "project")
    project.edit_params({"finetune.steps": [0, 100000], "finetune.schedule_steps": 100000})
    cluster.add_node(num_cpus=1)
    with running(project, "--address", cluster.address) as fleet:
        wait_for_cells(fleet, scratch, "checkpoints/*/*/*/*/.*.partial-*")
        assert processes_in(scratch)
        fleet.send_signal(signal.SIGINT)
        assert fleet.wait(timeout=120) == 130
    wait_for(lambda: not processes_in(scratch) and not [*scratch.glob("whichlayer-*")], seconds=30)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Processes that work in workspaces below a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(f"{folder}/whichlayer-"):
                found.append(process)
    return found


def test_a_cell_that_fails_stops_no_other_and_any_scheduler_runs_the_cells_through_a_remote(
    serial: Workflow, tmp_path: Path
):
    project = make_project(tmp_path / "project")
    entry = project.folder / "stages" / "finetune" / "__main__.py"
    code = entry.read_text()
    entry.write_text(code.replace("    args = parse_args()\n", BROKEN, 1))
    refused = project.run("whichlayer", "fleet", "--list", ok=False)
    assert "prepare must have run before the cells" in refused.stderr
    done = project.run("whichlayer", "fleet", "--workers", "2", ok=False)
    assert done.returncode == 2
    assert "mine-a-0-0: done, " in done.stdout
    assert "RuntimeError: broken on purpose" in done.stdout.partition("mine-b-0-0: failed: ")[2]
    assert "1 of 2 cells failed (mine-b-0-0); the rest are done" in done.stderr
    assert project.run("whichlayer", "fleet", "--list").stdout == "whichlayer fleet --cell mine-b-0-0\n"
    failed = project.run("whichlayer", "fleet", "--cell", "mine-b-0-0", ok=False)
    assert "mine-b-0-0: must succeed, " in failed.stderr
    entry.write_text(code)
    project.run("dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    project.run("dvc", "push", "-q", "--run-cache", "prepare@mine")
    project.computed()
    project.run("sh", "-c", "whichlayer fleet --list --remote | xargs -P 2 -I {} sh -c '{}'")
    assert project.computed() == OF_CELLS
    done = project.run("whichlayer", "fleet", "--remote")
    assert "fleet: 0 of 2 cells are open" in done.stdout
    assert entries(project) == entries(serial)
    assert project.computed() == {"aggregate"}


BROKEN = """    args = parse_args()
    if args.model == "b":
        raise RuntimeError("broken on purpose")
"""
