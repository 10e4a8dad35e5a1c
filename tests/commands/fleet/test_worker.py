"""One cell in a workspace of its own, without DVC: what is run, in which order, and what a failure leaves."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from stages.commands.fleet import worker
from stages.commands.fleet.worker import Source, Task, commands, environment, read_durations, run_commands

TASK = Task("d-m-0-0", ("data/prepared/d",), ("finetune@d-m-0-0", "embed@d-m-0-0"))


def names_and_verbs(source: Source) -> list[tuple[str, str]]:
    return [(name, " ".join(words[3:])) for name, words in commands(source, TASK)]


def test_with_a_cache_inputs_are_checked_out_and_stages_run_one_by_one():
    assert names_and_verbs(Source(b"", "/cache", 1)) == [
        ("checkout of prepared images", "checkout --quiet data/prepared/d"),
        ("finetune@d-m-0-0", "repro -s finetune@d-m-0-0"),
        ("embed@d-m-0-0", "repro -s embed@d-m-0-0"),
    ]


def test_with_a_remote_inputs_are_pulled_and_results_pushed():
    assert names_and_verbs(Source(b"", "", 1)) == [
        ("pull of prepared images", "pull --quiet data/prepared/d"),
        ("finetune@d-m-0-0", "repro --pull -s finetune@d-m-0-0"),
        ("embed@d-m-0-0", "repro --pull -s embed@d-m-0-0"),
        ("push", "push --quiet --run-cache finetune@d-m-0-0 embed@d-m-0-0"),
    ]


def test_nothing_runs_after_the_command_that_failed(tmp_path: Path):
    def python(code: str) -> list[str]:
        return [sys.executable, "-c", code]

    wanted = [
        ("first", python("print('one')")),
        ("second", python("import sys; print('two'); sys.exit('why')")),
        ("third", python("open('third', 'w')")),
    ]
    assert run_commands(tmp_path, wanted, 1) == ("second", "one\ntwo\nwhy")
    assert not (tmp_path / "third").exists()
    assert run_commands(tmp_path, wanted[:1], 1) == ("", "one")


def test_threads_are_set_for_all_that_a_cell_starts():
    found = environment(3)
    assert {found[n] for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "WHICHLAYER_WORKERS")} == {
        "3"
    }
    assert found["PATH"].startswith(str(Path(sys.executable).parent))


def test_a_workspace_holds_the_files_and_shares_the_cache(tmp_path: Path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in ((".dvc/config", "[core]\n    analytics = false\n"), ("stages/a.py", "x = 1\n")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    worker.make_workspace(tmp_path, Source(buffer.getvalue(), "/some/cache", 1))
    assert (tmp_path / "stages" / "a.py").read_text() == "x = 1\n"
    local = (tmp_path / ".dvc" / "config.local").read_text()
    assert "no_scm = true" in local
    assert "dir = /some/cache" in local


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent was killed")
def test_what_a_worker_started_ends_with_it(tmp_path: Path):
    script = (
        "import sys; from pathlib import Path; from stages.commands.fleet.worker import run_commands\n"
        "code = 'import os, pathlib, time; pathlib.Path(\"pid\").write_text(str(os.getpid())); time.sleep(60)'\n"
        "run_commands(Path(sys.argv[1]), [('sleep', [sys.executable, '-c', code])], 1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=Path(worker.__file__).parents[3])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert parent.poll() is None
    child = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    for _ in range(1000):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
    pytest.fail("the child outlived the worker")


def test_stages_from_the_cache_have_no_duration(tmp_path: Path):
    assert read_durations(tmp_path / "none.jsonl") == ()
    (tmp_path / "some.jsonl").write_text('{"stage": "embed", "cell": "c", "seconds": 1.5}\n')
    assert read_durations(tmp_path / "some.jsonl") == ({"stage": "embed", "cell": "c", "seconds": 1.5},)
