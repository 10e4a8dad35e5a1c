import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from stages.commands.dvc_project import workspace
from stages.commands.dvc_project.inventory import Inventory
from stages.commands.dvc_project.workspace import open_repo, run_dvc
from stages.commands.verify import Hasher, Repair, Survey, carry_out, plan_repair, survey
from tests.commands.verify.made import contents, damage
from tests.workflow import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


@pytest.fixture
def project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(workspace, "ROOT", project)
    return project


def look() -> tuple[Survey, Repair]:
    with open_repo() as repo:
        inventory = Inventory(repo)
        damage = survey(inventory, Hasher())
        return damage, plan_repair(inventory, damage)


def repair() -> Repair:
    with open_repo() as repo:
        inventory, hasher = Inventory(repo), Hasher()
        damage = survey(inventory, hasher)
        plan = plan_repair(inventory, damage)
        carry_out(plan, inventory, hasher, damage, yes=True)
    if plan.rerun:
        run_dvc("repro", *plan.rerun)
    return plan


def cached(folder: Path, path: str) -> Path:
    """The object of a file that is whole."""
    md5 = hashlib.md5((folder / path).read_bytes()).hexdigest()
    return folder / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def listing(folder: Path) -> Path:
    """The object of the folder `out`."""
    (found,) = (folder / ".dvc" / "cache" / "files" / "md5").rglob("*.dir")
    return found


def damaged_objects(folder: Path, found: Survey) -> dict[Path, str]:
    objects = folder / ".dvc" / "cache" / "files" / "md5"
    return {objects / oid[:2] / oid[2:]: problem for oid, problem in found.objects.items()}


def test_a_whole_project_has_nothing_to_repair(project: Path):
    found, plan = look()
    assert found.is_whole
    assert plan == Repair([], {}, [], [])
    objects, outputs, read, runs = 5, 4, 2, 1  # of the objects one is the metrics', and one the folder's list
    assert found.counted == objects + outputs + read + runs


def dvc_status(folder: Path) -> dict[str, object]:
    with Repo(str(folder)) as repo:
        return repo.status()


def rot_workspace(folder: Path) -> str:
    damage(folder / "out" / "big")
    return "out/big"


def rot_cache(folder: Path) -> str:
    path = cached(folder, "out/big")
    damage(path)
    return str(path.relative_to(folder))


def rot_both(folder: Path) -> str:
    path = cached(folder, "single")
    damage(folder / "single")
    damage(path)
    return "single"


def rot_listing(folder: Path) -> str:
    damage(listing(folder))
    return str(listing(folder).relative_to(folder))


def rot_listing_and_file(folder: Path) -> str:
    damage(folder / "out" / "sub" / "small")
    damage(listing(folder))
    return "out"


def lose_object(folder: Path) -> str:
    cached(folder, "single").unlink()
    return "single"


def rot_metrics(folder: Path) -> str:
    damage(folder / "counts.json")
    return "counts.json"


def lose_file(folder: Path) -> str:
    (folder / "out" / "sub" / "small").unlink()
    return "out/sub/small"


RESTORED = [rot_workspace, rot_cache, rot_listing, lose_object, lose_file]
RUN_AGAIN = [rot_both, rot_listing_and_file, rot_metrics]


@pytest.mark.parametrize("harm", [*RESTORED, *RUN_AGAIN])
def test_damage_is_named_and_repaired(project: Path, harm: Callable[[Path], str]):
    before = contents(project)
    named = project / harm(project)
    found, plan = look()
    damaged = [*damaged_objects(project, found), *(path for seen in found.outputs for path in seen.damages)]
    assert named in damaged or (harm is lose_object and [*found.objects.values()] == ["no file"])
    assert plan.rerun == (["make"] if harm in RUN_AGAIN else [])
    repair()
    assert contents(project) == before
    assert look()[0].is_whole
    assert dvc_status(project) == {}
    twice = harm in RUN_AGAIN and harm is not rot_metrics  # DVC finds metrics in its run cache
    assert (project / "runs").read_text() == "make " * (2 if twice else 1)


@pytest.mark.parametrize("harm", [rot_workspace, rot_cache, rot_both])
def test_dvc_itself_does_not_see_it(project: Path, harm: Callable[[Path], str]):
    """Else there would be no need for this."""
    harm(project)
    assert dvc_status(project) == {}


def run_entry(folder: Path) -> Path:
    """The entry of the run cache."""
    (found,) = (folder / ".dvc" / "cache" / "runs").glob("*/*/*")
    return found


def rename_entry(folder: Path) -> Path:
    return run_entry(folder).rename(run_entry(folder).with_name("0" * 64))


def move_entry(folder: Path) -> Path:
    other = run_entry(folder).parent.with_name("0" * 64)
    other.mkdir()
    return run_entry(folder).rename(other / run_entry(folder).name)


def flip_in_entry(folder: Path) -> Path:
    damage(run_entry(folder))
    return run_entry(folder)


def empty_entry(folder: Path) -> Path:
    run_entry(folder).write_bytes(b"")
    return run_entry(folder)


def bytes_in_entry(folder: Path) -> Path:
    run_entry(folder).write_bytes(b"\xff\x00: [")
    return run_entry(folder)


@pytest.mark.parametrize("harm", [rename_entry, move_entry, flip_in_entry, empty_entry, bytes_in_entry])
def test_a_damaged_entry_of_the_run_cache_is_named_and_deleted(project: Path, harm: Callable[[Path], Path]):
    before, entry = contents(project), harm(project)
    found, plan = look()
    assert [*found.runs] == [entry]
    assert not found.is_whole
    assert plan == Repair([entry], {}, [], [])
    repair()
    assert not entry.exists()
    assert look()[0].is_whole
    assert contents(project) == before
    assert (project / "runs").read_text() == "make "


def test_a_lock_that_nothing_holds_is_named_and_deleted(project: Path):
    lock = project / ".dvc" / "tmp" / "rwlock"
    lock.write_bytes(b"")
    found, plan = look()
    assert found.locks == {lock: "an empty file"}
    assert not found.is_whole
    assert plan == Repair([lock], {}, [], [])
    repair()
    assert not lock.exists()
    assert look()[0].is_whole


def test_an_object_that_nothing_names_any_more_is_deleted(project: Path):
    stray = project / ".dvc" / "cache" / "files" / "md5" / "00" / ("0" * 30)
    stray.parent.mkdir()
    stray.write_bytes(b"of an earlier run")
    plan = repair()
    assert plan == Repair([stray], {}, [], [])
    assert not stray.exists()


def test_an_output_that_is_not_there_is_not_damaged(project: Path):
    (project / "single").unlink()
    assert look()[0].is_whole


def test_a_file_that_a_stage_did_not_write_is_named(project: Path):
    (project / "out" / "planted").write_bytes(b"")
    found, plan = look()
    assert [problem for seen in found.outputs for problem in seen.damages.values()] == [
        "a file that dvc.lock does not name"
    ]
    assert (plan.remove, plan.checkout) == ([project / "out" / "planted"], [project / "out"])


def test_raw_data_are_compared_with_what_dvc_remembers_and_with_dvc_lock(project: Path):
    raw = project / "raw" / "a.txt"
    damage(raw)
    assert dvc_status(project) == {}
    assert [*look()[0].sources] == [raw]
    raw.write_text("edited, which DVC sees")
    assert [*look()[0].sources] == [project / "raw"]
    with Repo(str(project)) as repo:
        repo.reproduce()
    assert look()[0].is_whole


def lose_raw(folder: Path) -> None:
    (folder / "raw" / "a.txt").unlink()


def add_raw(folder: Path) -> None:
    (folder / "raw" / "b.txt").write_text("one more")


def rot_raw(folder: Path) -> None:
    damage(folder / "raw" / "a.txt")


def edit_raw(folder: Path) -> None:
    (folder / "raw" / "a.txt").write_text("other raw data")


@pytest.mark.parametrize("harm", [lose_raw, add_raw, rot_raw, edit_raw])
def test_raw_data_of_a_project_elsewhere_are_those_of_dvc_lock(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None]
):
    """DVC remembers the files of a project by where they are on the disk."""
    moved = project.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    monkeypatch.setattr(workspace, "ROOT", moved)
    assert look()[0].is_whole
    harm(moved)
    found, plan = look()
    assert found.sources == {moved / "raw": "not what make read, as dvc.lock says; put that back, or run `dvc repro`"}
    assert plan == Repair([], {}, [], [])


def link_to_nothing(folder: Path) -> Path:
    (folder / "single").unlink()
    (folder / "single").symlink_to(folder / "lost")
    return folder / "single"


def link_to_itself(folder: Path) -> Path:
    (folder / "single").unlink()
    (folder / "single").symlink_to(folder / "single")
    return folder / "single"


def pipe_for_file(folder: Path) -> Path:
    (folder / "single").unlink()
    os.mkfifo(folder / "single")
    return folder / "single"


def pipe_in_folder(folder: Path) -> Path:
    (folder / "out" / "sub" / "small").unlink()
    os.mkfifo(folder / "out" / "sub" / "small")
    return folder / "out" / "sub" / "small"


def device_for_file(folder: Path) -> Path:
    (folder / "single").unlink()
    (folder / "single").symlink_to("/dev/zero")
    return folder / "single"


def pipe_in_cache(folder: Path) -> Path:
    path = cached(folder, "single")
    path.unlink()
    os.mkfifo(path)
    return path


def pipe_for_listing(folder: Path) -> Path:
    path = listing(folder)
    path.unlink()
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    "harm",
    [
        link_to_nothing, link_to_itself, pipe_for_file, pipe_in_folder, device_for_file, pipe_in_cache,
        pipe_for_listing,
    ],
)  # fmt: skip
def test_what_is_no_file_is_named_unopened_and_repaired(project: Path, harm: Callable[[Path], Path]):
    before, named = contents(project), harm(project)
    found, _ = look()
    damages = {
        **damaged_objects(project, found),
        **{path: each for seen in found.outputs for path, each in seen.damages.items()},
    }
    unreadable = named.is_symlink() and harm is not device_for_file
    assert damages == {named: "a file that cannot be read" if unreadable else "no regular file"}
    repair()
    assert contents(project) == before
    assert look()[0].is_whole


def test_a_pipe_among_raw_data_is_named_unopened(project: Path):
    os.mkfifo(project / "raw" / "pipe")
    pipe = project / "raw" / "pipe"
    assert look()[0].sources == {pipe: "no regular file at an unchanged time; put it back yourself"}


@pytest.mark.parametrize("lost", ["all", "stage"])
def test_outputs_that_dvc_lock_does_not_name_are_found_and_entered_again(project: Path, lost: str):
    before, lock = contents(project), project / "dvc.lock"
    lock.unlink() if lost == "all" else lock.write_text("schema: '2.0'\nstages: {}\n")
    found, plan = look()
    assert {output.path.name for output in found.unnamed} == {"out", "single", "counts.json"}
    assert not found.is_whole
    assert plan == Repair([], {}, [], ["make"])
    repair()
    assert contents(project) == before
    assert look()[0].is_whole
    assert (project / "runs").read_text() == "make "  # DVC took them from its run cache


def test_a_signal_ends_hashing_in_the_midst_of_a_file(tmp_path: Path):
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(200 * 2**30)  # minutes of zeros, which take no room
    code = (
        "from pathlib import Path; from stages.commands.verify import Hasher; "
        "from stages.shared.runtime.console import run_main; "
        f"print('go', flush=True); run_main(lambda: Hasher().hash_all([Path({str(large)!r})], 'x'))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1)
        process.terminate()
        assert process.wait(timeout=10) == 143
