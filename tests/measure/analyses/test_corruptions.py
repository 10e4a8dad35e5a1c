import numpy as np
import pytest

from stages.measure.analyses import corruptions as module
from stages.measure.analyses.corruptions import corruptions, head_on_corruptions, rows_of_originals
from stages.measure.corrupted import nmi_of_least_inertia
from stages.measure.scores.probe import held_out_predictions, held_out_predictions_of_copies
from tests.measure.analyses.synthetic import toy_cell

ROWS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19]  # the first four test images of every class
TRUTH = np.repeat([0, 1, 2], 4)


def test_copies_are_matched_with_their_originals(tmp_path):
    cell, *_ = toy_cell(tmp_path, "test")
    assert cell.corruptions == ("blur_1", "noise_3")
    assert rows_of_originals(cell).tolist() == ROWS
    assert cell.store.labels("test")[ROWS].tolist() == cell.last.labels("noise_3").tolist()


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_copies_are_scored_by_probe_and_clusters_beside_their_originals(tmp_path, normalize):
    cell, layer, split = toy_cell(tmp_path, "test", normalize=normalize)
    rows = {(row.split, row.metric): row for row in corruptions(cell, layer, split).scores}
    assert len(rows) == 4
    copied = cell.features_of_last(layer, "noise_3")
    own = {"C": 1.0, "folds": 3, "seed": split.settings.probe_seed}
    clean, copies = held_out_predictions_of_copies(split.X, split.y, **own, copies={"a": (np.array(ROWS), copied)})
    probed = rows["noise_3", "probe_accuracy"]
    assert probed.score.value == (copies["a"] == TRUTH).mean()
    assert probed.relative == pytest.approx(probed.score.value / (clean[ROWS] == TRUTH).mean())
    assert (probed.n_images, probed.n_classes, probed.score.chance) == (12, 3, pytest.approx(1 / 3))
    clustered = rows["noise_3", "nmi"]
    assert clustered.score.value == nmi_of_least_inertia(copied, TRUTH, starts=3, seed=0)
    reference = nmi_of_least_inertia(split.X[ROWS], TRUTH, starts=3, seed=0)
    assert clustered.relative == pytest.approx(clustered.score.value / reference)


def test_the_probes_fits_serve_the_score_of_clean_images_too(tmp_path, monkeypatch):
    cell, layer, split = toy_cell(tmp_path, "test")
    corruptions(cell, layer, split)
    found, settings = split.probe_predictions, split.settings
    monkeypatch.setattr("stages.measure.embedded_split.held_out_predictions", None)  # not fitted again
    assert split.probe_predictions is found
    own = held_out_predictions(split.X, split.y, C=settings.C, folds=settings.folds, seed=settings.probe_seed)
    assert np.array_equal(found, own)


def test_the_heads_accuracy_on_copies(tmp_path):
    cell, *_ = toy_cell(tmp_path, "test")
    rows = head_on_corruptions(cell)
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
    monkeypatch.setattr(module, "HEAD_METRICS", None)
    object.__setattr__(cell.store, "classes", ())
    assert head_on_corruptions(cell) == []


def test_corruptions_of_different_images_are_an_error(tmp_path, monkeypatch):
    cell, *_ = toy_cell(tmp_path, "test")
    monkeypatch.setattr(type(cell), "rows_of_copies", lambda self, name: np.arange(len(name)))
    with pytest.raises(ValueError, match="copies of the same images in the same order"):
        rows_of_originals(cell)
