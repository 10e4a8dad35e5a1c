import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.embedded_split import EmbeddedSplit
from stages.core.scores.kmeans import Search, rotate
from stages.measure.analyses.seen_matched import DRAWS, means, seen_matched, selections
from stages.shared.workflow.seeding import child_seed
from tests.measure.analyses.synthetic import toy_cell
from tests.measure.synthetic import blobs, embedded, settings


def test_selections_are_balanced_random_and_without_repetition():
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(6), [5, 7, 9, 6, 5, 8]))
    found = list(selections(y, 3, 5, seed=1))
    assert len(found) == DRAWS
    classes = set()
    for rows in found:
        assert len(set(rows)) == 15
        chosen, counts = np.unique(y[rows], return_counts=True)
        assert counts.tolist() == [5, 5, 5]
        classes.add(tuple(chosen))
    assert len(classes) > 10
    assert all(np.array_equal(a, b) for a, b in zip(found, selections(y, 3, 5, seed=1), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(found, selections(y, 3, 5, seed=2), strict=True))


def test_one_selection_where_there_is_no_choice():
    found = list(selections(np.array([1, 0, 1, 0]), 2, 2, seed=0))
    assert [rows.tolist() for rows in found] == [[0, 1, 2, 3]]


def test_scores_are_means_over_equal_selections_of_both_splits(tmp_path):
    cell, layer, split = toy_cell(tmp_path, "unseen", sizes={"test": (8, 9, 8, 8), "unseen": (10, 8)})
    rows = {(row.split, row.metric): row for row in seen_matched(cell, layer, split).scores}
    assert len(rows) == 6
    assert seen_matched(cell, layer, split).notes == []
    assert {(row.n_images, row.n_classes) for row in rows.values()} == {(16, 2)}
    seen = cell.embedded(layer, cell.step, "test")
    seed = child_seed(7, "matched selections", "seen")
    parts = []
    for chosen in selections(seen.y, 2, 8, seed):
        y = np.unique(seen.y[chosen], return_inverse=True)[1]
        own = settings(y, search=Search(3, 1))
        parts.append(EmbeddedSplit(seen.X[chosen], y, own, known_rotated=rotate(seen.X)[chosen]))
    for name in ("nmi", "knn_purity", "nn1_accuracy"):
        scores = [LAYER_SCORES[name].score(part) for part in parts]
        found = rows["seen_matched", name].score
        assert found.value == pytest.approx(np.mean([score.value for score in scores]))
        assert found.chance == pytest.approx(np.mean([score.chance for score in scores]))
    purity = rows["unseen_matched", "knn_purity"].score
    assert (purity.chance, purity.ceiling) == (pytest.approx(7 / 15), pytest.approx(7 / 8))


@pytest.mark.parametrize(
    ("sizes", "which"),
    [({"test": (1, 6, 5), "unseen": (7, 7)}, "test"), ({"test": (6, 5), "unseen": (7, 1)}, "unseen")],
)
def test_one_image_of_each_class_has_no_scores_and_is_noted(tmp_path, sizes, which):
    cell, layer, split = toy_cell(tmp_path, "unseen", sizes=sizes)
    found = seen_matched(cell, layer, split)
    (note,) = found.notes
    assert f"the split {which!r} has a class of one image" in note
    rows = found.scores
    assert [(row.split, row.n_images) for row in rows] == [("seen_matched", 2)] * 3 + [("unseen_matched", 2)] * 3
    assert np.isnan([(row.score.value, row.score.chance, row.score.ceiling) for row in rows]).all()


def test_selections_of_one_group_alone_are_left_out_and_noted(tmp_path):
    cell, layer, _ = toy_cell(tmp_path, "unseen", sizes={"test": (8, 8), "unseen": (8, 8, 8)})
    own_groups = np.where(cell.classes["unseen"] == 2, np.arange(24) % 2, 2)  # of the first two classes all are of one
    cell.settings["unseen"] = replace(cell.settings["unseen"], own_groups=own_groups)
    found = seen_matched(cell, layer, cell.embedded(layer, cell.step, "unseen"))
    (note,) = found.notes
    assert re.fullmatch(r"seen_matched: \d+ of 50 selections of the split 'unseen' left out: .* one group", note)
    assert np.isfinite([row.score.value for row in found.scores]).all()
    cell.settings["unseen"] = replace(cell.settings["unseen"], own_groups=np.zeros(24, int))
    found = seen_matched(cell, layer, cell.embedded(layer, cell.step, "unseen"))
    assert np.isnan([row.score.value for row in found.scores]).tolist() == [False] * 3 + [True] * 3


def test_selections_are_held_one_at_a_time():
    X, y = blobs([60] * 4, 2000)
    split, rows = embedded(X, y), list(selections(y, 3, 50, seed=0))
    peaks = []
    for selected in (rows[:3], rows[:3], rows):  # the first imports
        tracemalloc.start()
        means(split, selected)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 2 * X.nbytes  # 47 more selections would be 28 of X, and sorting a block takes one


def test_fewer_seen_than_unseen_classes_are_matched_the_other_way_round(tmp_path):
    cell, layer, split = toy_cell(tmp_path, "unseen", sizes={"test": (6, 6), "unseen": (7, 7, 7)})
    assert {(r.n_images, r.n_classes) for r in seen_matched(cell, layer, split).scores} == {(12, 2)}
