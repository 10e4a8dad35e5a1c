"""One cell in a workspace of its own, without DVC: what is run, in which order, and what is left, kept and removed."""

import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from stages.commands.fleet import worker
from stages.commands.fleet.worker import SENT, Source, Task, commands, environment, run_commands

STAGES = ("finetune@d-m-0-0", "embed@d-m-0-0")
GRID = {"datasets": ["d"], "models": ["m"], "folds": ["0"], "seeds": [0]}
TASK = Task("d-m-0-0", ("data/prepared/d",), STAGES, "durations.jsonl", GRID, {"prepare@d": {"cmd": "p"}})


def names_and_verbs(source: Source) -> list[tuple[str, str]]:
    return [(name, " ".join(words[3:])) for name, words in commands(source, TASK)]


def test_with_a_cache_inputs_are_checked_out_and_stages_run_in_one_command():
    assert names_and_verbs(Source(b"", "/cache", 1)) == [
        ("checkout of prepared images", "checkout data/prepared/d"),
        ("finetune@d-m-0-0", "repro -s finetune@d-m-0-0 embed@d-m-0-0"),
    ]


def test_with_a_remote_inputs_are_pulled_and_the_results_of_every_stage_pushed():
    assert names_and_verbs(Source(b"", "", 1, ("store", "/store"))) == [
        ("pull of prepared images", "pull data/prepared/d"),
        ("finetune@d-m-0-0", "repro --pull -s finetune@d-m-0-0"),
        ("push of finetune@d-m-0-0", "push --run-cache finetune@d-m-0-0"),
        ("embed@d-m-0-0", "repro --pull -s embed@d-m-0-0"),
        ("push of embed@d-m-0-0", "push --run-cache embed@d-m-0-0"),
    ]


def test_nothing_runs_after_the_command_that_failed(tmp_path: Path):
    def python(code: str) -> list[str]:
        return [sys.executable, "-c", code]

    wanted = [
        ("first", python("print('one')")),
        ("second", python("import sys; print('two', flush=True); sys.exit('why')")),
        ("third", python("open('third', 'w')")),
    ]
    here, log = dict(os.environ), tmp_path / "log"
    log.write_text("before\n")
    assert run_commands(tmp_path, wanted, here, log) == ("second", False, "one\ntwo\nwhy")
    assert log.read_text() == "before\none\ntwo\nwhy\n"
    assert not (tmp_path / "third").exists()
    assert run_commands(tmp_path, wanted[:1], here, log) == ("", False, "one")
    said = python("import sys; sys.exit(\"ERROR: failed to reproduce 'embed@d-m-0-0': failed to run\")")
    assert run_commands(tmp_path, [("finetune@d-m-0-0", said)], here, log)[0] == "embed@d-m-0-0"


@pytest.mark.parametrize(
    ("code", "killed"),
    [
        ("import os; os.kill(os.getpid(), 9)", True),
        ("print(\"ERROR: failed to reproduce 'measure@d': failed to run: x, exited with -9\"); exit(1)", True),
        ("print(\"ERROR: failed to reproduce 'measure@d': failed to run: x, exited with -15\"); exit(1)", False),
        ("print(\"ERROR: failed to reproduce 'measure@d': failed to run: x, exited with 137\"); exit(1)", True),
        ("print('it said exited with -9'); exit(1)", False),
    ],
)
def test_a_stage_that_the_system_killed_is_told_from_one_that_failed(code: str, killed: bool, tmp_path: Path):
    found = run_commands(tmp_path, [("measure@d", [sys.executable, "-c", code])], dict(os.environ), tmp_path / "log")
    assert found[:2] == ("measure@d", killed)


def test_threads_are_set_for_all_that_a_cell_starts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found = environment(Source(b"", "", 3))
    assert {found[n] for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "WHICHLAYER_WORKERS")} == {
        "3"
    }
    assert found["PATH"].startswith(str(Path(sys.executable).parent))
    assert found["CUDA_VISIBLE_DEVICES"] == "1"  # Ray's or the scheduler's choice
    assert environment(Source(b"", "", 3, without_gpu=True))["CUDA_VISIBLE_DEVICES"] == ""


def test_a_workspace_holds_the_files_and_shares_the_cache(tmp_path: Path):
    worker.fill_workspace(tmp_path, Source(packed(), "/some/cache", 1), TASK)
    assert (tmp_path / "stages" / "a.py").read_text() == "x = 1\n"
    with Repo(str(tmp_path)) as repo:
        assert repo.config["core"]["no_scm"] is True
        assert repo.config["core"]["analytics"] is False
        assert repo.config["cache"]["dir"] == "/some/cache"
        assert repo.config["remote"]["store"]["jobs"] == 3  # the local settings travelled
        assert Path(repo.site_cache_dir).is_relative_to(tmp_path)  # and what DVC keeps of it goes with it


def test_a_workspace_has_a_grid_of_its_cell_alone_and_what_dvc_lock_says_of_it(tmp_path: Path):
    worker.fill_workspace(tmp_path, Source(packed(), "/some/cache", 1), TASK)
    params = YAML(typ="safe", pure=True).load(tmp_path / "params.yaml")
    assert params == {"run": GRID, "measure": {"refits": 0.001}}
    lock = YAML(typ="safe", pure=True).load(tmp_path / "dvc.lock")
    assert lock == {"schema": "2.0", "stages": {"prepare@d": {"cmd": "p"}}}


@pytest.mark.parametrize(
    ("failed", "count"),
    [("", 2), (STAGES[0], 0), (STAGES[1], 1), (f"push of {STAGES[1]}", 1), ("pull of prepared images", 0)],
)
def test_stages_before_the_one_that_failed_are_done(failed: str, count: int):
    assert worker.done(TASK, failed) == STAGES[:count]


def test_without_a_shared_cache_a_workspace_has_its_own_and_the_address_of_the_remote(tmp_path: Path):
    worker.fill_workspace(tmp_path, Source(packed(), "", 1, ("store", "/full/store")), TASK)
    with Repo(str(tmp_path)) as repo:
        assert repo.config["remote"]["store"]["url"] == "/full/store"
        assert Path(repo.cache.local.path).is_relative_to(tmp_path)


def packed() -> bytes:
    settings = "['remote \"store\"']\n    url = ../relative\n    jobs = 3\n[cache]\n    dir = /of/the/main/one\n"
    params = "run:\n  datasets: [d, e]  # two\n  models: [m]\n  folds: [0, 1]\n  seeds: [0]\nmeasure: {refits: 1e-3}\n"
    files = {".dvc/config": "[core]\n    analytics = false\n", ".dvc/config.local": settings, "stages/a.py": "x = 1\n"}
    files["params.yaml"] = params
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent was killed")
def test_what_a_worker_started_ends_with_it(tmp_path: Path):
    script = (
        "import os, sys; from pathlib import Path; from stages.commands.fleet.worker import run_commands\n"
        "code = 'import os, pathlib, time; pathlib.Path(\"pid\").write_text(str(os.getpid())); time.sleep(60)'\n"
        "here = Path(sys.argv[1])\n"
        "run_commands(here, [('sleep', [sys.executable, '-c', code])], dict(os.environ), here / 'log')"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=Path(worker.__file__).parents[3])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert parent.poll() is None
    child = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the child outlived the worker")


def test_what_ray_sends_away_runs_where_the_project_is_not():
    ray = pytest.importorskip("ray")
    for module in (worker, *SENT):
        ray.cloudpickle.register_pickle_by_value(module)
    try:
        sent = ray.cloudpickle.dumps((worker.run_task, Source(b"", "", 1), TASK))
    finally:
        for module in (worker, *SENT):
            ray.cloudpickle.unregister_pickle_by_value(module)
    code = (
        "import pickle, sys; run_task, source, task = pickle.load(sys.stdin.buffer)\n"
        "try: run_task(source, task)\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print([name for name in sys.modules if name.startswith('stages')])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True, cwd="/")
    assert done.stdout.decode().splitlines() == ["ReadError", "[]"]  # an empty archive of code


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a killed worker left in the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / "whichlayer-fleet-left"
    (folder / "data").mkdir(parents=True)
    (folder / worker.HELD).touch()
    return folder


def test_what_a_killed_worker_left_is_removed_and_what_is_at_work_stays(tmp_path: Path, left: Path):
    with worker.own_workspace() as first:
        assert not left.exists()
        with worker.own_workspace() as second:
            assert first.is_dir()
            assert second.is_dir()
            assert second != first
    assert list(tmp_path.iterdir()) == []


def make_link_to_a_file(left: Path) -> None:
    (left / worker.HELD).unlink()
    (left / worker.HELD).symlink_to(left.parent / "made")


def make_fifo(left: Path) -> None:
    (left / worker.HELD).unlink()
    os.mkfifo(left / worker.HELD)


def make_link_to_a_folder(left: Path) -> None:
    left.rename(left.parent / "folder")
    left.symlink_to(left.parent / "folder")


@pytest.mark.parametrize(
    "change",
    [make_link_to_a_file, make_fifo, make_link_to_a_folder, lambda left: left.chmod(0o777), Path.is_dir],
    ids=["link", "fifo", "link to a folder", "writable by all", "another user's"],
)
def test_nothing_is_opened_in_what_may_be_another_user_s(
    left: Path, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
):
    """Everybody may make folders of these names in the folder of temporary files."""
    change(left)
    before = sorted(left.parent.rglob("*"))
    if change is Path.is_dir:
        monkeypatch.setattr(os, "getuid", lambda: left.lstat().st_uid + 1)
    worker.remove_left_workspaces()
    assert sorted(left.parent.rglob("*")) == before


def test_a_workspace_that_is_written_to_while_it_is_removed_is_removed_once_that_ends(
    left: Path, monkeypatch: pytest.MonkeyPatch
):
    remove, writes = shutil.rmtree, iter([True, True, False])

    def remove_under_a_writer(folder: Path, **options: bool) -> None:
        remove(folder, **options)
        if next(writes):
            (folder / "data").mkdir(parents=True)  # and no file that is held

    monkeypatch.setattr(shutil, "rmtree", remove_under_a_writer)
    worker.remove_left_workspaces()
    assert left.exists()
    worker.remove_left_workspaces(patience=10)
    assert not left.exists()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a machine that has the images of a dataset, which a first worker pulled."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with worker.inputs_of_machine({"outs": "images"}) as folder:
        (Path(folder) / "pulled").touch()
    return Path(folder)


def test_images_that_one_worker_pulled_are_there_for_the_next(made: Path):
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    with worker.inputs_of_machine({"outs": "images"}) as folder:
        assert Path(folder) == made
        assert (made / "pulled").is_file()
    with worker.inputs_of_machine({"outs": "other images"}) as folder:
        assert [path.name for path in Path(folder).iterdir()] == [worker.HELD]
    assert len([*made.parent.iterdir()]) == 2


def test_images_that_nobody_used_for_a_day_go_with_the_next_pull(made: Path):
    long_ago = time.time() - 2 * 86400
    os.utime(made, (long_ago, long_ago))
    with worker.inputs_of_machine({"outs": "other images"}):
        assert not made.exists()


def test_a_folder_of_images_that_others_may_write_to_is_neither_used_nor_removed(made: Path):
    made.chmod(0o777)
    with worker.inputs_of_machine({"outs": "images"}) as folder:
        assert folder == ""
    assert (made / "pulled").is_file()
