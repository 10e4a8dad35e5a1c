import pytest

from stages.shared.embeddings.split_names import (
    SEEN,
    SEEN_MATCHED,
    TRAIN,
    UNSEEN,
    UNSEEN_MATCHED,
    corrupted_split,
    parse_corrupted_split,
)


@pytest.mark.parametrize(("kind", "severity"), [("blur", 1), ("salt_and_pepper", 12)])
def test_the_name_of_a_corrupted_split_is_read_back(kind, severity):
    assert parse_corrupted_split(corrupted_split(kind, severity)) == (kind, severity)


@pytest.mark.parametrize("split", [TRAIN, SEEN, UNSEEN, SEEN_MATCHED, UNSEEN_MATCHED, "1", "_1"])
def test_no_other_split_reads_as_corrupted(split):
    assert parse_corrupted_split(split) is None
