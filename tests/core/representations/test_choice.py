"""Scores of representations against a naive loop of scikit-learn and pytorch-metric-learning, and who sees what."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.covariance import shrunk_covariance
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from stages.core.representations.choice import choose_representation
from stages.core.representations.fitting import MAX_AXES, SHRINKAGE


def make_layers(widths, sizes, seed=0):
    """Classes of unequal sizes around means of their own, with columns of unequal variance."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([f"class {number:02d}" for number in range(len(sizes))], sizes)
    y = np.repeat(np.arange(len(sizes)), sizes)
    layers = {}
    for number, width in enumerate(widths):
        X = rng.normal(size=(len(sizes), width))[y] + rng.normal(size=(len(y), width)) + 2
        layers[f"layer{number}"] = (X * rng.exponential(size=width)).astype(np.float32)
    shuffled = rng.permutation(len(y))
    return {name: X[shuffled] for name, X in layers.items()}, labels[shuffled]


def naive_rows(recipe, layers, y, reference, judged):
    """Rows of some images, fitted by scikit-learn to others."""
    blocks = {"reference": [], "judged": []}
    for X in layers:
        X, centre = X.astype(np.float64), X[reference].astype(np.float64).mean(axis=0)
        if recipe in ("plain", "centred"):
            rows = X - centre * (recipe == "centred")
        else:
            rank = np.linalg.matrix_rank(X[reference] - centre)
            pca = PCA(min(MAX_AXES, rank - 1), whiten=recipe.startswith("whitened"), svd_solver="full")
            rows = pca.fit(X[reference]).transform(X)
        blocks["reference"].append(normalize(rows[reference]))
        blocks["judged"].append(normalize(rows[judged]))
    known, asked = np.hstack(blocks["reference"]), np.hstack(blocks["judged"])
    if not recipe.endswith("within"):
        return asked
    residuals = np.vstack([known[y[reference] == c] - known[y[reference] == c].mean(axis=0) for c in set(y[reference])])
    values, vectors = np.linalg.eigh(shrunk_covariance(residuals.T @ residuals / len(residuals), SHRINKAGE))
    return (asked - known.mean(axis=0)) @ (vectors / np.sqrt(values)) @ vectors.T


def naive_map_at_r(rows, labels):
    """MAP@R of every class, in their order."""
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r",),
        k="max_bin_count",
        return_per_class=True,
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    )
    found = calculator.get_accuracy(torch.from_numpy(normalize(rows)), torch.from_numpy(labels))
    return np.array(found["mean_average_precision_at_r"])


def naive_scores(choice, layers, y, *, judged, unseen, dropped=()):
    """MAP@R of every candidate on the classes of one fold, fitted without some folds and classes, (C, k)."""
    keep = ~np.isin(y, dropped)
    rows = np.flatnonzero((choice.folds[y] == judged) & keep)
    reference = np.flatnonzero(~np.isin(choice.folds[y], unseen) & keep)
    return np.stack(
        [
            naive_map_at_r(naive_rows(c.recipe, [layers[name] for name in c.arrays], y, reference, rows), y[rows])
            for c in choice.candidates
        ]
    )


@pytest.mark.parametrize(
    ("widths", "sizes"),
    [
        pytest.param([5, 12, 30, 20], [8] * 15, id="narrow"),
        pytest.param([100, 80, 300], [9, 5, 7] * 5, id="wider than the reference"),
        pytest.param([70, 90], [12] * 16, id="more columns than axes"),
    ],
)
def test_scores_equal_a_naive_loop(widths, sizes):
    layers, labels = make_layers(widths, sizes)
    names, y = np.unique(labels, return_inverse=True)
    choice = choose_representation(layers, labels)
    assert choice.classes == tuple(names)
    J = choice.folds.max() + 1
    assert {candidate.recipe for candidate in choice.candidates} == {
        "plain", "centred", "whitened", "within", "whitened_within"
    }  # fmt: skip
    for fold in range(J):
        own = choice.folds == fold
        expected = naive_scores(choice, layers, y, judged=fold, unseen=[fold])
        assert np.abs(choice.class_scores[:, own] - expected).max() < 1e-6
    elsewhere = [naive_scores(choice, layers, y, judged=fold, unseen=[fold, 0]) for fold in range(1, J)]
    expected = np.hstack(elsewhere).mean(axis=1)
    assert np.abs(choice.choosing[0] - expected).max() < 1e-6
    assert choice.judged[0] == expected.argmax()
    assert choice.score == pytest.approx(
        np.mean([choice.class_scores[choice.judged[fold], number] for number, fold in enumerate(choice.folds)])
    )
    left = [naive_scores(choice, layers, y, judged=fold, unseen=[fold], dropped=[3]) for fold in range(J)]
    assert np.abs(choice.without[3] - np.hstack(left).mean(axis=1)).max() < 1e-6
