from pathlib import Path

import pytest

from stages.aggregate.facts import Facts, read_facts, write_facts
from stages.aggregate.result_files import check_result, finish_results
from stages.aggregate.tables.summary import read_summary, summary_table
from stages.shared.runtime.errors import UserError
from tests.faults.damage import DAMAGES

READERS = {
    "facts.json": lambda path: read_facts(path.parent),
    "summary.csv": read_summary,
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
        assert read(results / name) in ([], Facts([], []), results / name)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_damage_is_named(results: Path, tmp_path: Path, name: str, damage: str):
    sibling = tmp_path / "sibling"
    sibling.write_bytes(b"of another study")
    DAMAGES[damage](results / name, sibling)
    with pytest.raises(UserError, match=rf"{name}: must be as the aggregate stage wrote it, found .*; repair it with"):
        READERS[name](results / name)


def test_the_results_of_a_study_may_be_kept_without_digests(results: Path):
    (results / "digests.json").unlink()
    (results / "depth.csv").write_text("edited")
    assert check_result(results / "depth.csv") == results / "depth.csv"
