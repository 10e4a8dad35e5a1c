import numpy as np
import pytest

from stages.measure.cell import Cell, part_of
from stages.measure.params import MeasureParams
from stages.shared.embedding_store import open_embeddings
from stages.shared.params import parse
from tests.measure.synthetic import DEFAULT, blobs, embedded, write_store


def test_a_part_is_scored_like_the_whole_with_its_own_classes_and_k():
    X, y = blobs([10, 6, 8], 5)
    whole = embedded(X, y, starts=5, folds=4, probe_seed=9, normalize="l2")
    rows = np.flatnonzero(y != 0)
    part = part_of(whole, rows, starts=2, folds=3, needs=["class_distances"])
    assert np.array_equal(part.y, y[rows] - 1)
    assert np.array_equal(part.X, whole.X[rows])  # of unit length already, and not scaled again
    settings = part.settings
    assert (settings.neighbours, settings.starts, settings.folds, settings.probe_seed) == (8, 2, 3, 9)
    assert part.needs == {"class_distances"}


def test_a_part_has_at_most_the_starts_and_folds_of_the_whole():
    X, y = blobs([4, 4], 3)
    part = part_of(embedded(X, y, starts=1, folds=2), np.arange(8), starts=3, folds=5)
    assert (part.settings.starts, part.settings.folds, part.settings.neighbours) == (1, 2, 4)
    assert part_of(embedded(X, y, folds=2), np.arange(8), starts=3).settings.folds == 2


def test_classes_are_numbered_in_the_order_of_their_names(tmp_path):
    write_store(tmp_path / "store")
    cell = Cell(open_embeddings(tmp_path / "store"), parse(DEFAULT, MeasureParams, where="measure"))
    for split in ("test", "unseen"):
        assert cell.names[split][cell.classes[split]].tolist() == cell.store.labels(split).tolist()
    assert cell.step == 10
    with pytest.raises(ValueError, match="no embeddings of the last step alone"):
        cell.last  # noqa: B018
