"""One cell in a workspace of its own, without DVC: what is run, in which order, and what a failure leaves."""

import io
import os
import subprocess
import sys
import tarfile
import time
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
