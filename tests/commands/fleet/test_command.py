"""`whichlayer fleet` as people use it: on one machine, and on a cluster of two of which one is lost."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.test_faults import stage_processes, wait_for
from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.slow


def make_project(folder: Path) -> Workflow:
    folder.mkdir()
    workflow = Workflow(folder)
    tiny_params(workflow, ["mine"], ["a", "b"])
    workflow.edit_params({"finetune.steps": [0, 60], "finetune.schedule_steps": 60})
    tiny_images(folder / "data" / "raw" / "mine", seed=0)
    workflow.start_repository()
    return workflow


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A grid of two cells, computed one after another."""
    workflow = make_project(tmp_path_factory.mktemp("serial") / "project")
    workflow.run("dvc", "repro")
    return workflow


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workers make their workspaces."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def partial_checkpoints(scratch: Path) -> set[str]:
    """Workspaces in which a network trains, this moment."""
    found = scratch.glob("whichlayer-fleet-*/data/checkpoints/**/.weights.partial-*/weights/step_000000.safetensors")
    return {path.relative_to(scratch).parts[0] for path in found}


def test_a_fleet_gives_what_dvc_repro_gives_and_says_what_ran(serial: Workflow, tmp_path: Path):
    project = make_project(tmp_path / "project")
    done = project.run("whichlayer", "fleet", "run", "--workers", "2")
    assert "fleet: 2 of 2 cells are open" in done.stdout
    assert "mine-a-0-0: computed finetune, embed, measure" in done.stdout
    assert "fleet: 2 computed" in done.stdout
    assert project.text("dvc.lock") == serial.text("dvc.lock")
    assert sorted(project.computed()) == sorted(serial.computed())  # durations came home, and nothing ran twice
    assert "2 computed" in project.run("whichlayer", "fleet", "status").stdout
    assert project.run("whichlayer", "fleet", "list").stdout == ""
    assert project.repro() == set()


def test_edits_that_are_not_committed_travel_and_a_cell_that_fails_stops_no_other(tmp_path: Path):
    project = make_project(tmp_path / "project")
    cell = project.folder / "stages" / "finetune" / "__main__.py"
    broken = cell.read_text().replace("    args = parse_args()\n", BROKEN, 1)
    cell.write_text(broken)
    done = project.run("whichlayer", "fleet", "run", "--workers", "2", ok=False)
    assert done.returncode == 2
    assert "mine-a-0-0: computed finetune, embed, measure" in done.stdout
    assert "mine-b-0-0: finetune@mine-b-0-0 failed on " in done.stdout
    assert "fleet: 1 computed, 1 failed" in done.stdout
    assert "1 of 2 cells failed (mine-b-0-0); the others are in the cache" in done.stderr
    log = next(line.rpartition("see ")[2] for line in done.stdout.splitlines() if "failed on" in line)
    assert "broken on purpose" in Path(log).read_text()
    listed = project.run("whichlayer", "fleet", "list").stdout
    assert "whichlayer fleet cell mine-b-0-0" in listed
    assert project.run("whichlayer", "fleet", "cell", "mine-b-0-0", ok=False).returncode == 1
    (project.folder / "stages" / "new.py").write_text("")
    refused = project.run("whichlayer", "fleet", "cell", "mine-b-0-0", ok=False)
    assert "stages/new.py: must be tracked by git" in refused.stderr


BROKEN = """    args = parse_args()
    if args.model == "b":
        raise RuntimeError("broken on purpose")
"""


def test_results_pass_through_a_remote_where_no_cache_is_shared(serial: Workflow, tmp_path: Path):
    project = make_project(tmp_path / "project")
    refused = project.run("whichlayer", "fleet", "run", "--remote", ok=False)
    assert "--remote needs a default remote of DVC, found none" in refused.stderr
    project.run("dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    project.run("dvc", "push", "-q")
    project.run("whichlayer", "fleet", "cell", "mine-a-0-0", "--remote")
    project.run("whichlayer", "fleet", "cell", "mine-b-0-0", "--remote")
    shutil.rmtree(project.folder / ".dvc" / "cache")
    project.run("dvc", "repro", "--pull")
    assert project.text("dvc.lock") == serial.text("dvc.lock")
    assert project.computed() == {"prepare@mine", "aggregate"}


def test_ctrl_c_ends_it_and_leaves_no_process_behind(tmp_path: Path, scratch: Path):
    project = make_project(tmp_path / "project")
    fleet = project.start("whichlayer", "fleet", "run", "--workers", "2")
    wait_for(lambda: partial_checkpoints(scratch))
    fleet.send_signal(signal.SIGINT)
    assert fleet.wait(timeout=60) == 130
    wait_for(lambda: not processes_in(scratch), seconds=30)
    assert "no fleet is at work" in project.run("whichlayer", "fleet", "status").stdout
    assert not stage_processes(project)


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def cluster(scratch: Path) -> Iterator[object]:
    """Two machines of one processor each, as Ray sees them."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    head = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield head
    head.shutdown()


def test_a_machine_that_is_lost_in_the_middle_of_a_cell_costs_time_alone(
    serial: Workflow, tmp_path: Path, scratch: Path, cluster: object
):
    project = make_project(tmp_path / "project")
    lost = cluster.add_node(num_cpus=1)  # type: ignore[attr-defined]
    fleet = project.start("whichlayer", "fleet", "run", "--address", cluster.address)  # type: ignore[attr-defined]
    wait_for(lambda: len(partial_checkpoints(scratch)) == 2)
    cluster.remove_node(lost, allow_graceful=False)  # type: ignore[attr-defined]
    output, errors = fleet.communicate(timeout=600)
    assert fleet.returncode == 0, errors
    assert "fleet: 2 computed" in output
    assert project.text("dvc.lock") == serial.text("dvc.lock")
