import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stages.measure.analyses.out_of_distribution import ood
from stages.measure.ood import knn_distances, mahalanobis_distances
from tests.measure.analyses.synthetic import toy_cell


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_distances_of_both_splits_to_the_training_images_and_their_scores(tmp_path, normalize):
    cell, layer, split = toy_cell(tmp_path, "unseen", normalize=normalize)
    found = ood(cell, layer, split)
    train, seen = cell.features_of_last(layer, "train"), cell.embedded(layer, cell.step, "test").X
    assert np.allclose(np.linalg.norm(train, axis=1), 1) == (normalize == "l2")
    labels = np.repeat([0, 1, 2], [5, 4, 6])
    truth = np.repeat([0, 1], [24, 30])
    scores = {row.metric: row for row in found.scores}
    for kind, distances in (
        ("knn", lambda X: knn_distances(train, X)),
        ("mahalanobis", lambda X: mahalanobis_distances(train, labels, X)),
    ):
        near, far = distances(seen), distances(split.X)
        assert np.array_equal(found.images["test"][f"ood_{kind}"], near)
        assert np.array_equal(found.images["unseen"][f"ood_{kind}"], far)
        auroc = roc_auc_score(truth, np.concatenate([near, far]))
        assert scores[f"ood_auroc_{kind}"].score.value == pytest.approx(auroc)
        assert scores[f"ood_fpr95_{kind}"].score.value == (far <= np.sort(near)[22]).mean()  # 23 of 24: 95.8 %
    assert {(row.split, row.n_images, row.n_classes) for row in found.scores} == {("unseen", 30, 3)}
    assert {name: (row.score.chance, row.score.ceiling, row.better) for name, row in scores.items()} == {
        **dict.fromkeys(("ood_auroc_knn", "ood_auroc_mahalanobis"), (0.5, 1.0, "higher")),
        **dict.fromkeys(("ood_fpr95_knn", "ood_fpr95_mahalanobis"), (0.95, 0.0, "lower")),
    }
