import pytest

from stages.measure.outputs.notes import notes
from stages.measure.params import MeasureParams
from stages.shared.embedding_store import open_embeddings
from stages.shared.params import parse
from tests.measure.synthetic import DEFAULT, write_store


def notes_of(tmp_path, sizes, **changes):
    write_store(tmp_path / "store", steps=(0,), sizes=sizes)
    return notes(open_embeddings(tmp_path / "store"), parse(DEFAULT | changes, MeasureParams, where="measure"), [])


@pytest.mark.parametrize(("split", "sizes"), [("unseen", (7, 1)), ("test", (1, 5, 1))])
def test_matched_selections_of_single_images_are_said_to_have_no_scores(tmp_path, split, sizes):
    found = notes_of(tmp_path, {"test": (6, 5), "unseen": (7, 7), split: sizes}, analyses=["seen_matched"])
    (note,) = (note for note in found if note.startswith("seen_matched: "))
    assert f"the split {split!r} has a class of one image" in note


def test_matched_selections_are_not_mentioned_without_need(tmp_path):
    assert notes_of(tmp_path, {"test": (6, 5), "unseen": (7, 2)}, analyses=["seen_matched"]) == []
    single = notes_of(tmp_path / "single", {"test": (6, 5), "unseen": (7, 1)})
    assert single == ["split 'unseen' has 1 classes of one image, which no neighbour can match (column `ceiling`)"]
