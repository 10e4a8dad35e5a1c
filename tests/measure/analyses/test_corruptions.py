import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from stages.measure import cell as cell_module
from stages.measure import embedded_split as split_module
from stages.measure.analyses import corruptions as module
from stages.measure.analyses.corruptions import corruptions, head, nmi_of_least_inertia, score_row
from stages.measure.cell import Cell
from stages.measure.embedded_split import unit_rows
from stages.measure.metrics import LAYER_SCORES, ScoreValue
from stages.measure.scores.kmeans import Search, cluster
from stages.measure.scores.probe import held_out_predictions
from tests.measure.analyses.synthetic import toy_cell
from tests.measure.synthetic import blobs

ROWS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19]  # the first four test images of every class
TRUTH = np.repeat([0, 1, 2], 4)


def test_copies_are_matched_with_their_originals(tmp_path):
    cell, *_ = toy_cell(tmp_path, "test")
    assert cell.corruptions == ("blur_1", "noise_3")
    assert cell.copied_rows.tolist() == ROWS
    assert cell.store.labels("test")[ROWS].tolist() == cell.last.labels("noise_3").tolist()


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_copies_are_scored_by_probe_and_clusters_beside_their_originals(tmp_path, normalize):
    cell, layer, split = toy_cell(tmp_path, "test", normalize=normalize)
    rows = {(row.split, row.metric): row for row in corruptions(cell, layer, split).scores}
    assert len(rows) == 4
    copied = cell.features_of_last(layer, "noise_3")
    own = {"C": 1.0, "folds": 3, "seed": split.settings.probe_seed}
    clean, copies = held_out_predictions(split.X, split.y, **own, copies={"a": (np.array(ROWS), copied)})
    probed = rows["noise_3", "probe_accuracy"]
    assert probed.score.value == (copies["a"] == TRUTH).mean()
    assert probed.relative == pytest.approx(probed.score.value / (clean[ROWS] == TRUTH).mean())
    assert (probed.n_images, probed.n_classes, probed.score.chance) == (12, 3, pytest.approx(1 / 3))
    clustered = rows["noise_3", "nmi"]
    value, reference = (
        nmi_of_least_inertia(unit_rows(X) if normalize == "l2" else X, TRUTH, Search(3, 1))
        for X in (copied, split.X[ROWS])
    )
    assert clustered.score.value == value
    assert clustered.relative == pytest.approx(clustered.score.value / reference)


def test_the_probe_is_fitted_once_for_its_own_score_and_for_copies(tmp_path, monkeypatch):
    cell, layer, split = toy_cell(tmp_path, "test")
    fits = []
    inner = split_module.held_out_predictions
    monkeypatch.setattr(split_module, "held_out_predictions", lambda *a, **k: fits.append(1) or inner(*a, **k))
    found = LAYER_SCORES["probe_accuracy"].score(split)
    corruptions(cell, layer, split)
    assert len(fits) == 1
    settings = split.settings
    own = held_out_predictions(split.X, split.y, C=settings.C, folds=settings.folds, seed=settings.probe_seed)[0]
    assert np.array_equal(found.per_image, own == split.y)


def test_the_heads_accuracy_on_copies(tmp_path):
    cell, *_ = toy_cell(tmp_path, "test")
    rows = head(cell).scores
    assert [(row.split, row.metric, row.n_images) for row in rows] == [
        ("blur_1", "accuracy", 12),
        ("noise_3", "accuracy", 12),
    ]
    clean = (cell.store.logits(10, "test")[ROWS].argmax(axis=1) == TRUTH).mean()
    for row in rows:
        value = (cell.last.logits(10, row.split).argmax(axis=1) == TRUTH).mean()
        assert row.score.value == value
        assert row.relative == pytest.approx(value / clean)


def test_there_is_no_accuracy_without_logits(tmp_path, monkeypatch):
    cell, *_ = toy_cell(tmp_path, "test")
    monkeypatch.setattr(module, "HEAD_SCORES", None)
    object.__setattr__(cell.store, "classes", ())
    assert head(cell).scores == []


def test_corruptions_of_different_images_are_an_error(tmp_path, monkeypatch):
    cell, *_ = toy_cell(tmp_path, "test")
    inner = cell_module.sample_ids
    other_order = {"noise_3": -1}
    monkeypatch.setattr(cell_module, "sample_ids", lambda s, split: inner(s, split)[:: other_order.get(split, 1)])
    with pytest.raises(ValueError, match="copies of the same images in the same order"):
        Cell(cell.store, cell.params).copied_rows  # noqa: B018


def test_relative_is_the_share_of_the_clean_score():
    def relative(value, clean):
        return score_row("blur_1", "nmi", ScoreValue(value), clean, TRUTH).relative

    assert relative(0.3, 0.6) == 0.5
    assert relative(0.6, 0.3) == 2
    assert relative(0.0, 0.5) == 0
    assert np.isnan(relative(0.0, 0.0))
    assert np.isnan(relative(0.4, 0.0))


def test_nmi_of_one_start_equals_scikit_learn():
    X, y = blobs([12, 15, 9], 4, spread=1.5)
    labels = KMeans(n_clusters=3, random_state=5, n_init=1).fit_predict(X)
    expected = normalized_mutual_info_score(y, labels)
    assert nmi_of_least_inertia(X, y, Search(1, 1, 5)) == pytest.approx(expected)
    assert nmi_of_least_inertia(X, np.array([4, 9, 2])[y], Search(1, 1, 5)) == pytest.approx(expected)
    assert 0 < expected < 1


def test_the_clustering_of_least_inertia_counts():
    X, y = blobs([10] * 8, 3, spread=0.6)
    values = {starts: nmi_of_least_inertia(X, y, Search(starts, 1)) for starts in (2, 20)}
    for starts, value in values.items():
        labels = cluster(X, 8, Search(starts, 1)).labels
        assert value == pytest.approx(normalized_mutual_info_score(y, labels))
    assert values[2] != values[20]


def test_the_stronger_a_corruption_the_lower_the_score():
    X, y = blobs([15, 15, 15], 5, spread=0.5)
    noise = np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    clean, weak, total = (nmi_of_least_inertia(copies, y, Search(2, 1)) for copies in (X, X + 0.5 * noise, 9 * noise))
    assert weak / clean > 0.8
    assert total / clean < 0.4


def test_a_corruption_that_leaves_nothing_scores_0():
    X, y = blobs([6, 6], 3)
    assert nmi_of_least_inertia(np.ones_like(X), y, Search(3, 1)) == 0
