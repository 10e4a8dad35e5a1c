from itertools import combinations

import numpy as np
import pytest

from stages.measure.analyses import class_subsets as module
from stages.measure.analyses.class_subsets import class_subsets, subsets
from stages.measure.embedded_split import EmbeddedSplit, Settings
from stages.measure.metrics import METRICS
from stages.measure.run import refit_split
from stages.measure.scores.kmeans import Search
from tests.measure.analyses.synthetic import toy_cell


def test_of_five_classes_none_each_and_every_pair_is_left_out():
    assert subsets(5) == [(), (0,), (1,), (2,), (3,), (4,), *combinations(range(5), 2)]


@pytest.mark.parametrize(("K", "expected"), [(2, [()]), (3, [(), (0,), (1,), (2,)])])
def test_two_classes_at_least_are_left(K, expected):
    assert subsets(K) == expected


def test_many_classes_are_halved_ten_times_at_random_and_always_alike():
    found = subsets(7)
    halves = found[8:]
    assert found[:8] == [(), *((c,) for c in range(7))]
    assert len(halves) == len(set(halves)) == 10
    assert all(len(half) == 3 and list(half) == sorted(set(half)) for half in halves)  # 4 of 7 are left
    assert found == subsets(7)


def test_values_are_those_of_the_catalogue_on_what_is_left(tmp_path):
    metrics = ["nmi", "knn_purity", "probe_accuracy", "accuracy"]
    kmeans = {"starts": 1, "polished": 1, "seed": 3}
    cell, layer, split = toy_cell(tmp_path, "unseen", metrics=metrics, kmeans=kmeans)
    rows = class_subsets(cell, layer, split).tables["class_subsets"]
    sets = ["", "unseen0", "unseen1", "unseen2"]
    assert [row["left_out"] for row in rows] == [name for name in sets for _ in range(3)]
    assert [row["n_classes"] for row in rows] == [3] * 3 + [2] * 9
    kept = split.y != 1
    y = np.unique(split.y[kept], return_inverse=True)[1]
    settings = Settings("none", 10, Search(1, 1, 3), 1.0, 3, split.settings.probe_seed, 0)
    without = EmbeddedSplit(split.X[kept], y, settings)
    found = {row["metric"]: row["value"] for row in rows if row["left_out"] == "unseen1"}
    assert found == {name: METRICS[name].score(without).value for name in ("nmi", "knn_purity", "probe_accuracy")}
    assert len({row["value"] for row in rows if row["metric"] == "knn_purity"}) == 4


FOUR = {"test": (8, 8, 8), "unseen": (9, 11, 10, 8)}


def test_what_refits_know_is_taken_and_the_rest_is_computed_alike(tmp_path, monkeypatch):
    cell, layer, split = toy_cell(tmp_path, "unseen", sizes=FOUR, metrics=["nmi", "nn1_accuracy", "collapse"])
    plain = class_subsets(cell, layer, split).tables["class_subsets"]
    fitted = []
    inner = module.subset_scores
    monkeypatch.setattr(module, "subset_scores", lambda *a, **k: fitted.append((a[2], a[4])) or inner(*a, **k))
    other = cell.embedded(layer, cell.step, "unseen")
    refit_split(cell, other, ["nmi", "collapse"])
    rows = class_subsets(cell, layer, other).tables["class_subsets"]
    assert [row | {"value": 0} for row in rows] == [row | {"value": 0} for row in plain]
    assert [row["value"] for row in rows] == pytest.approx([row["value"] for row in plain], rel=1e-12)
    assert [(masks.sum(axis=1) < 25).all() for masks, names in fitted if "nmi" in names] == [True]  # halves alone
    other.without_class["nmi"][2] = 0.125
    again = class_subsets(cell, layer, other).tables["class_subsets"]
    assert [row["left_out"] for row in again if row["value"] == 0.125] == ["unseen2"]


def test_with_nothing_left_out_the_value_is_the_layers_own(tmp_path):
    metrics = ["nmi", "silhouette", "probe_accuracy", "few_shot_accuracy_1"]
    cell, layer, split = toy_cell(tmp_path, "unseen", metrics=metrics)
    rows = class_subsets(cell, layer, split).tables["class_subsets"]
    own = cell.embedded(layer, cell.step, "unseen")
    assert [row["value"] for row in rows[:4]] == [METRICS[name].score(own).value for name in metrics]


@pytest.mark.parametrize(("sizes", "notes"), [((4, 5), 1), ((4, 5, 6), 0)])
def test_two_classes_are_noted_to_be_too_few_to_leave_one_out(tmp_path, sizes, notes):
    cell, layer, split = toy_cell(tmp_path, "unseen", sizes={"unseen": sizes}, metrics=["nn1_accuracy"])
    assert len(class_subsets(cell, layer, split).notes) == notes


def test_several_classes_left_out_are_joined_in_order(tmp_path):
    sizes = {"test": (8, 8, 8), "unseen": (4, 4, 4, 4)}
    cell, layer, split = toy_cell(tmp_path, "unseen", sizes=sizes, metrics=["nn1_accuracy"])
    rows = class_subsets(cell, layer, split).tables["class_subsets"]
    assert [row["left_out"] for row in rows][-2:] == ["unseen1;unseen3", "unseen2;unseen3"]


def test_embeddings_of_unit_length_stay_so(tmp_path):
    cell, layer, split = toy_cell(tmp_path, "unseen", metrics=["knn_purity", "nn1_accuracy"], normalize="l2")
    rows = class_subsets(cell, layer, split).tables["class_subsets"]
    assert np.allclose(np.linalg.norm(split.X, axis=1), 1)
    assert [row["value"] for row in rows[:2]] == [METRICS[n].score(split).value for n in ("knn_purity", "nn1_accuracy")]
