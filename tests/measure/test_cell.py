from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import KMeans

from stages.measure.cell import Cell, draw_halves, groups_of, part_of
from stages.measure.halves import complementary_halves, halves_seed
from stages.measure.params import MeasureParams
from stages.measure.scores.kmeans import Search
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.settings.params import parse
from tests.measure.synthetic import DEFAULT, blobs, embedded, write_store


def test_a_part_is_scored_like_the_whole_with_its_own_classes_and_k():
    X, y = blobs([10, 6, 8], 5)
    whole = embedded(X, y, search=Search(5, 2, 1), folds=4, probe_seed=9, normalize="l2")
    rows = np.flatnonzero(y != 0)
    part = part_of(whole, rows, needs=["clusterings"])
    assert np.array_equal(part.y, y[rows] - 1)
    assert np.array_equal(part.X, whole.X[rows])  # of unit length already, and not scaled again
    settings = part.settings
    assert (settings.neighbours, settings.search, settings.folds, settings.probe_seed) == (8, Search(5, 2, 1), 4, 9)
    assert part.needs == {"clusterings"}
    assert np.array_equal(part.rotated, whole.rotated[rows])


def test_a_part_may_be_searched_less_hard():
    X, y = blobs([4, 4], 3)
    part = part_of(embedded(X, y), np.arange(8), search=Search(1, 1, 5))
    assert (part.settings.search, part.settings.neighbours) == (Search(1, 1, 5), 4)
    assert np.array_equal(part.clusters, KMeans(2, random_state=5, n_init=1).fit(X).labels_)


def test_classes_are_numbered_in_the_order_of_their_names(tmp_path):
    write_store(tmp_path / "store")
    cell = Cell(open_embeddings(tmp_path / "store"), parse(DEFAULT, MeasureParams, where="measure"))
    for split in ("test", "unseen"):
        assert cell.names[split][cell.classes[split]].tolist() == cell.store.labels(split).tolist()
    assert cell.step == 10
    with pytest.raises(ValueError, match="no embeddings of the last step alone"):
        cell.last  # noqa: B018


def unseen_cell(tmp_path, **refits):
    write_store(tmp_path / "store", steps=(0,), sizes={"test": (4, 4), "unseen": (6, 6, 6)})
    changed = DEFAULT | {"refits": DEFAULT["refits"] | refits}
    return Cell(open_embeddings(tmp_path / "store"), parse(changed, MeasureParams, where="measure"))


def test_halves_are_those_of_the_dataset_fold_and_images(tmp_path):
    cell = unseen_cell(tmp_path, halves=6)
    ids = [f"i{n:03}" for n in range(8, 26)]
    expected = complementary_halves(cell.store.labels("unseen"), 6, halves_seed("toy", "0", ids))
    assert np.array_equal(cell.halves, expected)
    other, _ = draw_halves(replace(cell.store, fold="1"), cell.params)
    assert not np.array_equal(other, expected)
    assert unseen_cell(tmp_path / "none", halves=0).halves.shape == (0, 18)


def test_groups_stay_whole_where_images_have_any(tmp_path):
    cell = unseen_cell(tmp_path)
    assert groups_of(cell.store, "unseen") is None
    groups = ["a", "a", "", "", "b", "b"] * 3
    samples = cell.store.samples.assign(group=[""] * 8 + groups)
    store = replace(cell.store, samples=samples)
    found = groups_of(store, "unseen")
    assert len(set(found)) == 2 + 6  # images without a group are on their own
    halves, why = draw_halves(store, cell.params)
    assert why is None
    for half in halves:
        assert all(len(set(half[found == group])) == 1 for group in set(found))
