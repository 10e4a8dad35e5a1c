import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.aggregate.facts import Facts
from stages.aggregate.facts_file import read_facts, write_facts
from stages.aggregate.result_files import check_result, finish_results, input_hashes
from stages.aggregate.tables.summary import summary_table
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.digests import write_digests
from stages.shared.workflow.params import RunParams
from tests.faults.damage import DAMAGES

READERS = {
    "facts.json": lambda path: read_facts(path.parent),
    "summary.csv": check_result,
    "depth.csv": check_result,
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    write_facts(folder, Facts([], []))
    summary_table([]).to_csv(folder / "summary.csv", index=False)
    (folder / "depth.csv").write_text("step\n")
    finish_results(folder)
    return folder


def test_whole_results_are_read(results: Path):
    for name, read in READERS.items():
        assert read(results / name) in (Facts([], []), results / name)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_damage_is_named(results: Path, tmp_path: Path, name: str, damage: str):
    sibling = tmp_path / "sibling"
    sibling.write_bytes(b"of another study")
    DAMAGES[damage](results / name, sibling)
    with pytest.raises(UserError, match=rf"{name}: must be as the aggregate stage wrote it, found .*; remove it with"):
        READERS[name](results / name)


def lose(digests: Path) -> None:
    digests.unlink()


def folder_in_place(digests: Path) -> None:
    digests.unlink()
    digests.mkdir()


def pipe_in_place(digests: Path) -> None:
    digests.unlink()
    os.mkfifo(digests)


@pytest.mark.parametrize("harm", [lose, folder_in_place, pipe_in_place])
@pytest.mark.parametrize("name", READERS)
def test_results_that_have_lost_their_digests_are_not_read(results: Path, name: str, harm: Callable[[Path], None]):
    (results / "report.html").write_text("<!doctype html>")
    finish_results(results)
    harm(results / "digests.json")
    with pytest.raises(UserError, match=r"digests\.json: must say what is in .*, found no such file .*remove it with"):
        READERS[name](results / name)


def test_the_results_of_a_study_may_be_kept_without_page_and_digests(results: Path):
    (results / "digests.json").unlink()
    (results / "depth.csv").write_text("edited")
    assert check_result(results / "depth.csv") == results / "depth.csv"


def test_a_strangers_pipe_device_or_endless_file_is_not_read(tmp_path: Path):
    def refused(found: str) -> None:
        with pytest.raises(UserError, match=rf"facts\.json: must be a file with at most .*, found {found}"):
            read_facts(tmp_path)
        (tmp_path / "facts.json").unlink()

    os.mkfifo(tmp_path / "facts.json")
    refused("a named pipe")
    (tmp_path / "facts.json").symlink_to("/dev/zero")
    refused("a device")
    (tmp_path / "facts.json").touch()
    os.truncate(tmp_path / "facts.json", 2**40)
    refused("1,099,511,627,776 bytes")


GRID = {"datasets": ["a"], "models": ["n"], "folds": [0, "all"], "seeds": [3]}


def test_results_name_the_artifacts_of_the_grid_that_they_were_made_of(tmp_path: Path):
    for folder in ("measures/a/n/0/3", "measures/a/n/all/3", "measures/a/n/1/3", "prepared/a", "prepared/b"):
        path = tmp_path / folder / "digests.json"
        path.parent.mkdir(parents=True)
        (path.parent / "table").write_text(folder)
        write_digests(path, [path.parent / "table"], format="of a test/1", of={})
    folders = {name: tmp_path / name for name in ("measures", "prepared", "lost")}
    found = input_hashes(RunParams.model_validate(GRID), **folders)
    assert list(found) == ["measures/a/n/0/3", "measures/a/n/all/3", "prepared/a"]
    assert len(set(found.values())) == 3
    before, changed = dict(found), tmp_path / "measures/a/n/0/3"
    (changed / "table").write_text("other")
    write_digests(changed / "digests.json", [changed / "table"], format="of a test/1", of={})
    after = input_hashes(RunParams.model_validate(GRID), **folders)
    assert [name for name in before if before[name] != after[name]] == ["measures/a/n/0/3"]
    finish_results(tmp_path / "prepared", after)
    assert json.loads((tmp_path / "prepared" / "digests.json").read_text())["of"] == after
