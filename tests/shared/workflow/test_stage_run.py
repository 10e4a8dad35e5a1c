import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stages.shared.workflow.stage_run import RECORD, StageRun
from stages.shared.runtime.console import Stopped
from stages.shared.runtime.errors import UserError, explain_system_error
from stages.shared.runtime.processes import process_mark
from stages.shared.workflow import snapshot, stage_run
from tests.faults.kills import wait_for

ROOT = Path(__file__).parents[3]
PARAMS = "measure: {k: 1, kmeans: {starts: 10}}\nembed: {size: 8}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "a").write_text("a")
    return tmp_path


def start(folder: Path, *, outputs: tuple[str, ...] = ("out",), **kind: bool) -> StageRun:
    return StageRun(
        "measure", folder / "params.yaml", keys=["measure"], reads=[folder / "input"],
        writes=[folder / name for name in outputs], **kind,
    )  # fmt: skip


def dead_process() -> int:
    return next(pid for pid in range(2**22 - 1, 2, -1) if not psutil.pid_exists(pid))


def write(run: StageRun, output: Path, **files: str) -> None:
    for name, text in files.items():
        run.scratch(output).mkdir(exist_ok=True)
        (run.scratch(output) / name).write_text(text)


def work(folder: Path, meanwhile: Callable[[], object]) -> None:
    """Run a stage that writes a file, and do something else before it ends."""
    with start(folder) as run:
        write(run, folder / "out", a="1")
        meanwhile()


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_outputs_appear_whole_when_the_work_is_done(folder: Path):
    (folder / "empty").mkdir()
    with start(folder, outputs=("out", "empty", "table.csv")) as run:
        write(run, folder / "out", a="1", b="2")
        write(run, folder / "empty", c="3")
        run.scratch(folder / "table.csv").write_text("4")
        assert not (folder / "out").exists()
    assert names(folder) == ["empty", "input", "out", "params.yaml", "table.csv"]
    assert {p.name: p.read_text() for p in (folder / "out").iterdir()} == {"a": "1", "b": "2"}
    assert (folder / "empty" / "c").read_text() == "3"
    assert (folder / "table.csv").read_text() == "4"


def test_nothing_is_left_of_work_that_failed(folder: Path):
    with pytest.raises(ZeroDivisionError):
        work(folder, lambda: 1 / 0)
    assert names(folder) == ["input", "params.yaml"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_output_that_exists_is_left_alone(folder: Path, kind: str):
    precious = folder / "out" / "precious" if kind == "folder" else folder / "out"
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("x")
    with pytest.raises(UserError, match=r"out: must not exist before the stage has run; remove it \(rm -r .*out\)"):
        start(folder)
    with pytest.raises(UserError, match=r"new/table\.csv: must lie outside of .*new, another output"):
        start(folder, outputs=("new/table.csv", "new"))
    assert precious.read_text() == "x"


def test_an_output_that_appears_meanwhile_is_left_alone(folder: Path):
    with pytest.raises(UserError, match="out: appeared while the stage ran"):
        work(folder, lambda: (folder / "out").write_text("x"))
    assert (folder / "out").read_text() == "x"
    assert names(folder) == ["input", "out", "params.yaml"]


def test_entries_of_a_shared_folder_are_replaced_whole(folder: Path):
    old = {"figures/old.png": "1", "summary.csv": "2", "notes.md": "mine"}
    for name, text in old.items():
        (folder / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "out" / name).write_text(text)
    with start(folder, replace=True) as run:
        write(run, folder / "out", **{"summary.csv": "new"})
        (run.scratch(folder / "out") / "figures").mkdir()
    assert names(folder / "out") == ["figures", "notes.md", "summary.csv"]
    assert names(folder / "out" / "figures") == []
    assert (folder / "out" / "summary.csv").read_text() == "new"


def test_what_a_killed_run_left_is_removed_and_a_live_one_keeps_its_own(folder: Path):
    alive = process_mark(os.getppid())
    reused = f"{os.getppid()}-{int(alive.partition('-')[2]) - 60}"  # the id of a process that has ended
    for mark in (f"{dead_process()}-1700000000", reused, str(os.getppid()), alive):
        (folder / f".out.partial-{mark}").mkdir()
    with start(folder) as run:
        write(run, folder / "out", a="1")
    assert names(folder) == [f".out.partial-{alive}", "input", "out", "params.yaml"]


def keep(run: StageRun, folder: Path) -> None:
    """Write what a resumable run has when it has kept some of its work."""
    run.work.mkdir()
    (run.work / RECORD).write_text("{}")
    write(run, folder / "out", a="1")
    write(run, folder / "table", b="2")


@pytest.mark.parametrize("error", [Stopped(15), MemoryError(), UserError("x")])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_resumable_run_that_does_not_end_well_leaves_what_can_be_gone_on_from(
    folder: Path, error: BaseException, recorded: bool
):
    run = start(folder, outputs=("out", "table"), resumable=True)

    def work() -> None:
        with run:
            keep(run, folder)
            if not recorded:
                (run.work / RECORD).unlink()
            raise error

    with pytest.raises(type(error)):
        work()
    assert names(folder) == [*([run.work.name] if recorded else []), "input", "params.yaml"]
    assert run.scratch(folder / "out") == run.work / "out"


@pytest.mark.parametrize("edited", ["params", "code", "input"])
def test_kept_work_outlives_an_edit_but_not_another_input(folder: Path, monkeypatch: pytest.MonkeyPatch, edited: str):
    run = start(folder, outputs=("out", "table"), resumable=True)

    def work() -> None:
        with run:
            keep(run, folder)
            if edited == "code":
                monkeypatch.setattr(snapshot, "CODE_AT_START", {**snapshot.CODE_AT_START, "measure/run.py": "another"})
            elif edited == "params":
                (folder / "params.yaml").write_text(PARAMS.replace("10", "11"))
            else:
                (folder / "input" / "a").write_text("other")

    with pytest.raises(UserError, match="changed while measure ran"):
        work()
    assert names(folder) == [*([run.work.name] if edited != "input" else []), "input", "params.yaml"]


@pytest.mark.parametrize("error", [Stopped(9), PermissionError(13, "no")])
def test_a_resumable_run_that_ends_between_two_outputs_leaves_its_work_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
):
    publish, run = stage_run.publish, start(folder, outputs=("out", "table"), resumable=True)

    def publish_one(scratch: Path, output: Path, *, replace: bool) -> None:
        if (folder / "table").exists():
            raise error
        publish(scratch, output, replace=replace)

    monkeypatch.setattr(stage_run, "publish", publish_one)
    with pytest.raises(type(error)), run:
        keep(run, folder)
    assert names(folder) == [run.work.name, "input", "params.yaml", "table"]
    assert names(run.work) == ["out", RECORD]
    assert names(run.work / "out") == ["a"]


def test_a_resumable_run_leaves_what_others_left_until_it_has_ended_well(folder: Path):
    left = folder / f".out.partial-{dead_process()}-1700000000"
    left.mkdir()
    with pytest.raises(MemoryError), start(folder, resumable=True) as run:
        raise MemoryError
    assert names(folder) == [left.name, "input", "params.yaml"]
    with start(folder, resumable=True) as run:
        assert run.leftovers == [left]
        run.work.mkdir()
        write(run, folder / "out", a="1")
        (run.work / "state").write_text("not of the output")
    assert names(folder) == ["input", "out", "params.yaml"]
    assert names(folder / "out") == ["a"]


def test_what_determines_a_result_differs_by_parameters_and_inputs(folder: Path):
    before = start(folder).facts
    assert before["parameters"] == {"measure": {"k": 1, "kmeans": {"starts": 10}}}
    assert {Path(name).parts[0] for name in before["code"]} - {"core"} == {"measure", "shared"}  # core: if imported
    (folder / "params.yaml").write_text(PARAMS.replace("size: 8", "size: 9"))
    assert start(folder).facts == before
    (folder / "input" / "a").write_text("other")
    (folder / "params.yaml").write_text(PARAMS.replace("k: 1", "k: 2"))
    after = start(folder).facts
    assert [name for name in before if before[name] != after[name]] == ["parameters", "inputs"]


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (
            {"params.yaml": PARAMS.replace("10", "11")},
            r"yaml: measure\.kmeans\.starts changed while measure ran",
        ),
        ({"params.yaml": "measure: {k: 2}"}, r"params\.yaml: measure\.k and 1 more changed while"),
        ({"params.yaml": "measure: ["}, r"params\.yaml changed while"),
        ({"input/a": "other"}, r"input/a changed while"),
        ({"input/a": None}, r"input/a changed while"),
        ({"input/b": "new"}, r"input/b changed while"),
    ],
)
def test_what_changes_while_a_stage_runs_fails_it(folder: Path, edit: dict[str, str | None], named: str):
    def change() -> None:
        for name, text in edit.items():
            (folder / name).unlink() if text is None else (folder / name).write_text(text)

    with pytest.raises(UserError, match=named + ".*retry"):
        work(folder, change)
    assert "out" not in names(folder)
    assert not [name for name in names(folder) if "partial" in name]


@pytest.mark.parametrize("text", [PARAMS.replace("8", "9"), "# a comment\n" + PARAMS, PARAMS + "new: {}\n"])
def test_parameters_of_other_stages_may_change(folder: Path, text: str):
    work(folder, lambda: (folder / "params.yaml").write_text(text))
    assert (folder / "out" / "a").exists()


def test_an_error_of_the_work_is_not_hidden_by_a_change(folder: Path):
    with pytest.raises(ZeroDivisionError):
        work(folder, lambda: (folder / "params.yaml").write_text("measure: {}") / 0)


def start_with_numpy(folder: Path, code: str) -> "subprocess.Popen[str]":
    """Start a stage that meets this code in the place of its first large library."""
    (folder / "numpy.py").write_text(code)
    return subprocess.Popen(
        [sys.executable, "-m", "stages.measure"], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_ctrl_c_while_libraries_are_imported_ends_a_stage_without_a_word(tmp_path: Path):
    waits = f"import time\nfrom pathlib import Path\nPath({str(tmp_path)!r}, 'importing').touch()\ntime.sleep(600)\n"
    with start_with_numpy(tmp_path, waits) as process:
        wait_for((tmp_path / "importing").exists)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
    assert (process.returncode, printed) == (-signal.SIGINT, "")


@pytest.mark.parametrize("error", ["MemoryError()", "ImportError('x.so: failed to map segment from shared object')"])
def test_want_of_memory_while_libraries_are_imported_is_one_sentence(tmp_path: Path, error: str):
    with start_with_numpy(tmp_path, f"raise {error}") as process:
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert re.fullmatch(r"error: not enough memory; free some, .*needs\n", printed)


def test_other_errors_of_an_import_keep_their_traceback(tmp_path: Path):
    with start_with_numpy(tmp_path, "raise ImportError('no such symbol')") as process:
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" in printed
    assert printed.endswith("ImportError: no such symbol\n")


ADDRESSES = ("-v 1500000", r"address space \(`ulimit -v`\) must be at least 4 GiB, found 1\.4")
DATA = ("-d 500000", r"data \(`ulimit -d`\) must be at least 1 GiB, found 0\.5")


@pytest.mark.parametrize(
    ("stage", "limit", "said"),
    [
        *((stage, *ADDRESSES) for stage in ("prepare", "finetune", "embed", "measure", "aggregate")),
        ("aggregate", *DATA),
    ],
)
def test_a_limit_too_low_for_the_libraries_is_one_sentence_before_they_are_imported(stage: str, limit: str, said: str):
    command = f"ulimit {limit}; exec {sys.executable} -m stages.{stage}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"error: the limit on {said}: .*; raise it, .*\n", done.stderr)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of git that is the working directory, beside a folder `disk`."""
    for name in ("clone/.git", "clone/.dvc", "clone/cache", "disk"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setenv("DVC_STAGE", "measure@a-b-0-0")
    return tmp_path / "clone"


@pytest.mark.parametrize(
    ("link", "target"),
    [("data", "disk"), ("data/net", "disk"), ("data/net/out", "disk"), ("data", "gone"), ("data/net", "gone")],
)
def test_a_result_behind_a_link_out_of_the_project_is_refused_before_the_work(clone: Path, link: str, target: str):
    Path(link).parent.mkdir(exist_ok=True, parents=True)
    Path(link).symlink_to(clone.parent / target)
    with pytest.raises(UserError, match=rf"{link}: must be a folder in the project, found a link to .*/{target}: DVC"):
        StageRun("measure", Path("none"), keys=[], reads=[], writes=[Path("data/net/out")])


def test_a_cache_behind_a_link_to_nothing_is_refused_before_the_work(clone: Path):
    Path(".dvc/cache").symlink_to(clone.parent / "gone")
    with pytest.raises(UserError, match=r"must be a folder for DVC's cache, found a link to .*/gone, which does not"):
        StageRun("measure", Path("none"), keys=[], reads=[], writes=[Path("data/out")])
    (clone.parent / "gone").mkdir()
    StageRun("measure", Path("none"), keys=[], reads=[], writes=[Path("data/out")])


def test_links_that_dvc_takes_are_left_alone(clone: Path, monkeypatch: pytest.MonkeyPatch):
    Path("data").symlink_to("cache")
    stage_run.check_inside(Path("data/net/out"))
    Path("cache/summary.csv").symlink_to(clone.parent / "disk")  # into DVC's cache (cache.type)
    (clone.parent / "disk").rmdir()
    (clone.parent / "disk").write_text("a table")
    stage_run.check_inside(Path("cache/summary.csv"))
    (clone.parent / "link").symlink_to(clone)
    monkeypatch.chdir(clone.parent / "link")
    stage_run.check_inside(Path("cache/out"))


def test_want_of_memory_names_what_the_stage_was_to_write(folder: Path):
    def lack() -> None:
        raise MemoryError

    with pytest.raises(MemoryError) as caught:
        work(folder, lack)
    assert (explain_system_error(caught.value) or "").startswith(f"{folder / 'out'}: not enough memory; ")
