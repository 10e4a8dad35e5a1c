"""`whichlayer fleet` as people use it: on one machine, and on a cluster of two of which one is lost."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.commands.fleet.conftest import Cluster
from tests.faults.kills import kill_group, wait_for
from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.fleet


OF_CELLS = {f"{stage}@mine-{model}-0-0" for stage in ("finetune", "embed", "measure") for model in "ab"}


def make_project(folder: Path) -> Workflow:
    folder.mkdir()
    workflow = Workflow(folder)
    tiny_params(workflow, ["mine"], ["a", "b"])
    workflow.edit_params({"finetune.steps": [0, 60], "finetune.schedule_steps": 60, "embed.batch_size": 1})
    tiny_images(folder / "data" / "raw" / "mine", seed=0)
    workflow.start_repository()
    return workflow


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A grid of two cells, computed one after another."""
    workflow = make_project(tmp_path_factory.mktemp("serial") / "project")
    workflow.run("dvc", "repro")
    return workflow


@contextmanager
def running(project: Workflow, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Within, a fleet runs; at the end it is killed, if it has not ended."""
    fleet = project.start("whichlayer", "fleet", "run", *command)
    try:
        yield fleet
    finally:
        fleet.kill()
        fleet.communicate(timeout=60)


def wait_while_running(fleet: subprocess.Popen[str], condition: Callable[[], object]) -> None:
    """Wait until something holds; a fleet that ended before has failed."""
    wait_for(lambda: condition() or fleet.poll() is not None, seconds=300)
    assert fleet.poll() is None, fleet.communicate()


def at_work(scratch: Path, stage_folder: str) -> set[str]:
    """Workspaces in which a stage writes to a folder of `data`, this moment."""
    folders = f"whichlayer-fleet-*/data/{stage_folder}/*/*/*"  # of dataset, model and fold; a link stands for a seed's
    found = [*scratch.glob(f"{folders}/.*.partial-*"), *scratch.glob(f"{folders}/*/.*.partial-*")]
    return {path.relative_to(scratch).parts[0] for path in found}


def test_a_fleet_gives_what_dvc_repro_gives_and_says_what_ran(serial: Workflow, tmp_path: Path):
    project = make_project(tmp_path / "project")
    done = project.run("whichlayer", "fleet", "run", "--workers", "2")
    assert "fleet: 2 of 2 cells are open" in done.stdout
    assert "mine-a-0-0: computed finetune, embed, measure" in done.stdout
    assert "fleet: 2 computed" in done.stdout
    assert project.text("dvc.lock") == serial.text("dvc.lock")
    assert project.computed() == {"prepare@mine", *OF_CELLS, "aggregate"}  # durations came home
    assert "2 computed" in project.run("whichlayer", "fleet", "status").stdout
    assert project.run("whichlayer", "fleet", "list").stdout == ""
    assert project.run("whichlayer", "fleet", "list", "--sbatch").stdout == "# no cell is open\n"
    done = project.run("whichlayer", "fleet", "results")
    assert "Incomplete" not in done.stdout
    shutil.rmtree(project.folder / "data" / "partial")
    assert project.repro() == set()


def test_edits_that_are_not_committed_travel_and_a_cell_that_fails_stops_no_other(tmp_path: Path):
    project = make_project(tmp_path / "project")
    cell = project.folder / "stages" / "finetune" / "__main__.py"
    broken = cell.read_text().replace("    args = parse_args()\n", BROKEN, 1)
    cell.write_text(broken)
    done = project.run("whichlayer", "fleet", "run", "--workers", "2", ok=False)
    assert done.returncode == 2
    assert "mine-a-0-0: computed finetune, embed, measure" in done.stdout
    failed = next(line for line in done.stdout.splitlines() if line.startswith("mine-b-0-0: "))
    assert failed.startswith("mine-b-0-0: finetune@mine-b-0-0 failed on ")
    assert ": RuntimeError: broken on purpose; see " in failed
    assert "fleet: 1 computed, 1 failed" in done.stdout
    assert "1 of 2 cells failed (mine-b-0-0); the others are done" in done.stderr
    assert 'raise RuntimeError("broken on purpose")' in Path(failed.rpartition("see ")[2]).read_text()
    assert failed in project.run("whichlayer", "fleet", "status").stdout
    listed = project.run("whichlayer", "fleet", "list").stdout
    assert "whichlayer fleet cell mine-b-0-0" in listed
    script = project.run("whichlayer", "fleet", "list", "--sbatch", "--memory", "1").stdout
    assert f"# Before: {failed}\n" in script
    assert "--array=0-0 --mem=1024M --time=0:" in script
    assert "mine-a-0-0" not in script
    refused = project.run("whichlayer", "fleet", "results", ok=False)
    assert "Incomplete: 1 of 2 cells of the grid are missing (mine-b-0-0). --allow-missing takes what" in refused.stderr
    done = project.run("whichlayer", "fleet", "results", "--allow-missing")
    assert "\nIncomplete: 1 of 2 cells of the grid are missing (mine-b-0-0).\nmine: take" in done.stdout
    assert pd.read_csv(project.folder / "data" / "partial" / "summary.csv")["model"].unique().tolist() == ["a"]
    assert not (project.folder / "data" / "results").exists()
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
    early = project.run("whichlayer", "fleet", "cell", "mine-a-0-0", "--remote", ok=False)
    assert "prepare@mine must have run before the cells of mine; run `dvc repro prepare@mine` and" in early.stderr
    project.run("dvc", "repro", "prepare@mine")
    project.run("dvc", "push", "-q", "--run-cache", "prepare@mine")
    project.run("sh", "-c", "whichlayer fleet list --remote | xargs -P 2 -I {} sh -c '{}'")
    assert project.computed() == {"prepare@mine", *OF_CELLS}
    shutil.rmtree(project.folder / ".dvc" / "cache")
    project.run("dvc", "repro", "--pull")
    assert project.text("dvc.lock") == serial.text("dvc.lock")
    assert project.computed() == {"aggregate"}


def test_a_fleet_takes_from_a_remote_what_aggregate_reads_and_a_machine_pulls_images_once(
    serial: Workflow, tmp_path: Path, scratch: Path
):
    project = make_project(tmp_path / "project")
    project.run("dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    done = project.run("whichlayer", "fleet", "run", "--remote", "--workers", "2")
    assert "fleet: 2 computed" in done.stdout
    assert project.text("dvc.lock") == serial.text("dvc.lock")
    assert project.computed() == {"prepare@mine", *OF_CELLS, "aggregate"}
    for folder, here in (("measures", True), ("training", True), ("checkpoints", False), ("embeddings", False)):
        assert any((project.folder / "data" / folder).rglob("*.*")) == here
    (inputs,) = scratch.glob("whichlayer-inputs-*")
    pulled = [inputs / "files" / path.relative_to(tmp_path / "store" / "files") for path in objects(tmp_path / "store")]
    cached = [
        project.folder / ".dvc" / "cache" / path.relative_to(tmp_path / "store") for path in objects(tmp_path / "store")
    ]
    assert 0 < sum(path.is_file() for path in pulled) < len(pulled) / 2
    assert not all(path.is_file() for path in cached)
    assert "0 of 2 cells are open" in project.run("whichlayer", "fleet", "run", "--remote").stdout
    assert project.computed() == set()
    project.run("dvc", "pull")
    assert project.repro() == set()


def objects(store: Path) -> list[Path]:
    """What a remote has of files."""
    return [path for path in (store / "files").rglob("*") if path.is_file()]


def test_ctrl_c_ends_it_and_leaves_no_process_behind(tmp_path: Path, scratch: Path):
    project = make_project(tmp_path / "project")
    project.edit_params({"finetune.steps": [0, 100000], "finetune.schedule_steps": 100000})
    with running(project, "--workers", "2") as fleet:
        wait_while_running(fleet, lambda: len(at_work(scratch, "checkpoints")) == 2)
        told = project.run("whichlayer", "fleet", "status").stdout
        assert "a fleet is at work" in told
        assert ": 2 running" in told
        assert "  mine-b-0-0: finetune, embed, measure on " in told
        assert "Running stage 'finetune@" in Path(told.rpartition("see ")[2].partition(",")[0]).read_text()
        refused = project.run("whichlayer", "fleet", "cell", "mine-b-0-0", ok=False)
        assert "cell mine-b-0-0: must be computed by one process at a time" in refused.stderr
        second = project.run("whichlayer", "fleet", "run", "--workers", "1", ok=False)
        assert second.returncode == 2
        assert "cell mine-a-0-0: must be computed by one process at a time" in second.stderr
        assert processes_in(scratch)
        began = time.monotonic()
        fleet.send_signal(signal.SIGINT)
        assert fleet.wait(timeout=60) == 130
        assert time.monotonic() - began < 30  # two or three, and what a busy machine adds
    wait_for(lambda: not processes_in(scratch), seconds=30)
    assert not [*scratch.glob("whichlayer-*")]  # nor a workspace
    told = project.run("whichlayer", "fleet", "status").stdout
    assert "no fleet is at work" in told
    assert ": 2 open" in told


def test_what_was_finished_before_ctrl_c_is_not_done_again(serial: Workflow, tmp_path: Path, scratch: Path):
    project = make_project(tmp_path / "project")
    with running(project, "--workers", "1") as fleet:
        wait_while_running(fleet, lambda: at_work(scratch, "embeddings"))
        fleet.send_signal(signal.SIGINT)
        assert fleet.wait(timeout=60) == 130
    done = project.run("whichlayer", "fleet", "run", "--workers", "2").stdout
    assert re.search("mine-a-0-0: computed (embed, )?measure", done)  # it may have embedded before the signal came
    assert "mine-b-0-0: computed finetune, embed, measure" in done
    assert project.text("dvc.lock") == serial.text("dvc.lock")


def processes_in(folder: Path) -> list[psutil.Process]:
    """Processes that work below a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(str(folder)):
                found.append(process)
    return found


def workspaces_of(machine: "subprocess.Popen[str]") -> set[str]:
    """Workspaces in which processes of one machine of Ray work."""
    found = set()
    for process in psutil.Process(machine.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found.add(Path(process.cwd()).name)
    return found


def test_a_machine_that_is_lost_in_the_middle_of_a_cell_costs_time_alone(
    serial: Workflow, tmp_path: Path, scratch: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    project = make_project(tmp_path / "project")
    lost = cluster.add(f"--address={cluster.address}")
    monkeypatch.setenv("RAY_AUTH_TOKEN", cluster.token)
    with running(project, "--address", cluster.address) as fleet:
        wait_while_running(fleet, lambda: at_work(scratch, "embeddings") & workspaces_of(lost))
        kill_group(lost)
        output, errors = fleet.communicate(timeout=300)
        assert fleet.returncode == 0, errors
    lines = sorted(line.partition(": ")[2] for line in output.splitlines() if line.startswith("mine-"))
    assert lines[0].startswith("computed embed, measure, ")  # what was finished is not done again
    assert lines[1].startswith("computed finetune, embed, measure, ")
    assert project.text("dvc.lock") == serial.text("dvc.lock")


def test_what_a_gpu_is_for_holds_one_and_measure_none_with_few_cells_at_once(
    serial: Workflow, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    project = make_project(tmp_path / "project")
    cluster.add(f"--address={cluster.address}", "--num-gpus=1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", cluster.token)
    options = ("--workers", "2", "--memory", "0.5", "--retries", "1")
    done = project.run("whichlayer", "fleet", "run", "--address", cluster.address, *options)
    assert "fleet: finetune, embed: up to 512 MiB of memory; measure: up to 512 MiB of memory" in done.stdout
    assert "mine-a-0-0: computed finetune, embed, measure" in done.stdout
    assert project.text("dvc.lock") == serial.text("dvc.lock")
    rows = [json.loads(line) for line in project.text("data/durations.jsonl").splitlines()]
    with_gpu = {row["stage"] for row in rows if "CUDA_VISIBLE_DEVICES=0" in row["machine"]}
    assert with_gpu == {"finetune", "embed"}


def test_a_training_goes_on_from_its_last_kept_point_after_its_worker_was_lost(tmp_path: Path, scratch: Path):
    project = make_project(tmp_path / "project")
    project.edit_params({"run.models": ["a"], "finetune.steps": [0, 20, 800], "finetune.schedule_steps": 800})
    kept = project.folder / ".dvc" / "cache" / "fleet" / "kept" / "finetune@mine-a-0-0"

    def has_kept() -> bool:
        records = [*kept.glob(".weights.partial-*/resume.json")]
        return any(json.loads(record.read_text())["progress"]["step"] == 20 for record in records)

    with running(project, "--workers", "1", "--memory", "0") as fleet:
        wait_while_running(fleet, has_kept)
        (worker,) = (
            each for each in psutil.Process(fleet.pid).children(recursive=True) if "ray::mine" in name_of(each)
        )
        worker.kill()
        wait_while_running(fleet, lambda: not psutil.pid_exists(worker.pid))
        output, errors = fleet.communicate(timeout=300)
        assert fleet.returncode == 0, errors
    assert "mine-a-0-0: computed finetune, embed, measure" in output
    log = (project.folder / ".dvc" / "cache" / "fleet" / "mine-a-0-0.log").read_text()
    assert "goes on after optimizer step 20 of 800" in log
    assert not kept.exists()


def name_of(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
