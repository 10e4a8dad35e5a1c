"""What people give to `quick`, `embed` and `score`, however odd: the right result, or one sentence; none is silent."""

from pathlib import Path

import pytest

from tests.faults import changed_raw_data, embed_calls, quick_folders, scored_arrays
from tests.faults.campaign import Place
from tests.faults.outcomes import FAILURE, SAME, SENTENCE, Outcome, expected

MODULES = (quick_folders, embed_calls, scored_arrays)
TRIALS = [
    pytest.param(
        module, name, marks=[pytest.mark.slow] * (module is scored_arrays and kind == SAME), id=ascii(name)[:60]
    )
    for module in MODULES
    for name, (kind, *_) in module.CASES.items()
]


@pytest.mark.parametrize(("module", "name"), TRIALS)
def test_it_ends_as_it_must(tmp_path: Path, module, name: str):
    outcome = module.run(name, Place(tmp_path, tmp_path))
    assert outcome.kind == module.CASES[name][0], outcome.said


def test_changed_tables_of_labels_are_read_right_or_refused(tmp_path: Path):
    for trial in changed_raw_data.LABELS.trials[:60]:
        outcome = changed_raw_data.LABELS.run(trial, Place(tmp_path, tmp_path))
        assert outcome.kind != FAILURE, f"{trial}: {outcome.said}"
        (tmp_path / "new.parquet").unlink()


def test_what_is_wrong_must_not_be_taken_and_what_is_right_not_refused():
    same, said, failed = Outcome(SAME), Outcome(SENTENCE, "error: a"), Outcome(FAILURE, "a traceback")
    assert [expected(SAME, each).kind for each in (same, said, failed)] == [SAME, FAILURE, FAILURE]
    ends = [expected(SENTENCE, each) for each in (same, said, failed)]
    assert [each.kind for each in ends] == [FAILURE, SENTENCE, FAILURE]
    assert ends[0].said == "it is taken in silence"
