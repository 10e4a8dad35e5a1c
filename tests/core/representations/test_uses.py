"""Scores of other uses, fitted to the images of other folds."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import stages.library as wl
from stages.core.representations.candidates import Candidate
from stages.core.representations.folds import draw_folds
from stages.core.representations.representation import Representation
from stages.core.representations.uses import USES, UseScores
from stages.shared.workflow.seeding import child_seed
from tests.core.representations.test_choice import make_layers

SPLIT = StratifiedKFold(5, shuffle=True, random_state=child_seed(0, "probe folds"))
LAST, ALL = (
    Candidate(("layer2",), "single", "plain"),
    Candidate(("layer0", "layer1", "layer2"), "all", "whitened_within"),
)


@pytest.fixture(scope="module")
def data():
    layers, labels = make_layers([6, 70, 5], [10] * 12)
    names, y = np.unique(labels, return_inverse=True)
    layers["layer1"] = np.random.default_rng(0).standard_normal((len(y), 70), np.float32)
    return layers, y, draw_folds(names.tolist())


def test_scores_are_those_of_vectors_that_are_fitted_to_the_other_folds(data):
    layers, y, folds = data
    expected = []
    for fold, candidate in enumerate((LAST, ALL)):
        own = folds[y] == fold
        known, asked = ({name: X[rows] for name, X in layers.items()} for rows in (~own, own))
        vectors = Representation(candidate.arrays, candidate.recipe).fit(known, y[~own]).transform(asked)
        scored = wl.score({"vectors": vectors}, y[own], metrics=[*USES], refits_metrics=[])
        expected.append(scored.table.loc["vectors", [*USES]])
    found = UseScores(layers, y, np.arange(len(y)), folds).mean([LAST, ALL])
    assert [*found] == [*USES]
    assert [*found.values()] == pytest.approx([*np.mean(expected, axis=0)])
    assert 0.5 < max(found.values()) < 1


def test_the_probe_of_all_layers_weighs_them_equally(data):
    """70 columns of noise beside 6 would else be twelve times as heavy."""
    layers, y, folds = data
    rows, edges, scores = np.hstack([*layers.values()]).astype(float), (0, 6, 76, 81), []
    blocks = []
    for start, end in pairwise(edges):
        weight = FunctionTransformer(partial(np.multiply, (81 / 3 / (end - start)) ** 0.5))
        blocks.append((make_pipeline(StandardScaler(), weight), slice(start, end)))
    probe = make_pipeline(make_column_transformer(*blocks), LogisticRegression(C=0.1, tol=1e-8, max_iter=1000))
    for fold in range(folds.max() + 1):
        own = folds[y] == fold
        scores.append(cross_val_score(probe, rows[own], y[own], cv=SPLIT).mean())
    assert UseScores(layers, y, np.arange(len(y)), folds).joined_probe([*layers]) == pytest.approx(np.mean(scores))


def test_an_image_finds_none_of_its_group_and_few_images_have_no_probe(data):
    """Two images of each group and class coincide, and two groups of a class leave four images for the probe."""
    layers, y, folds = data
    few = np.concatenate([np.flatnonzero(y == k)[[0, 0, 1, 1]] for k in range(12)])
    layers, y = {name: X[few] for name, X in layers.items()}, y[few]
    apart, together = (UseScores(layers, y, of, folds) for of in (few, np.arange(len(few))))
    assert together.mean([LAST, LAST])["nn1_accuracy"] == 1
    assert apart.mean([LAST, LAST])["nn1_accuracy"] < 0.9
    assert np.isnan([apart.mean([LAST, LAST])["probe_accuracy"], apart.joined_probe(["layer2"])]).all()
