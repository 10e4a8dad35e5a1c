"""Scores of representations against a naive loop of scikit-learn and pytorch-metric-learning, and who sees what."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.covariance import shrunk_covariance
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from torchvision.models import mobilenet_v2
from torchvision.transforms.functional import to_tensor

import stages.library as wl
from stages.core.representations.candidates import FITTED, RECIPES, list_candidates
from stages.core.representations.choice import choose_representation, judge_classes
from stages.core.representations.fitting import MAX_AXES, SHRINKAGE
from stages.core.representations.judging import Fit, Gallery, Source
from stages.shared.runtime.errors import UserError


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

    def nearest(_query, k, _reference, _ref_includes_query):  # the calculator's own are of single precision
        distances, places = NearestNeighbors(metric="cosine", algorithm="brute").fit(rows).kneighbors(n_neighbors=k)
        return torch.from_numpy(distances), torch.from_numpy(places)

    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r",),
        k="max_bin_count",
        return_per_class=True,
        device=torch.device("cpu"),
        knn_func=nearest,
    )
    found = calculator.get_accuracy(torch.from_numpy(rows), torch.from_numpy(labels))
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


SIZES = [11, 8, 14] * 5
"""Images of each class, 165 in all, of which about 110 are of the other folds."""


def embed_patterns(network, taps):
    """Embed noisy images around a pattern for each class."""
    rng = np.random.default_rng(0)
    patterns = (
        rng.integers(0, 256, (len(SIZES), 4, 4, 3)).repeat(16, 1).repeat(16, 2)[np.repeat(range(len(SIZES)), SIZES)]
    )
    images = (patterns + rng.normal(0, 120, patterns.shape)).clip(0, 255).astype(np.uint8)
    if isinstance(network, str):
        return wl.embed(network, images, taps, image_size=64)
    torch.manual_seed(0)
    return wl.embed(network(), [Image.fromarray(image) for image in images], taps, to_tensor)


@pytest.mark.parametrize(
    ("network", "taps"),
    [
        ("efficientnet_lite0", ["blocks.0", "blocks.3", "blocks.4", "bn2"]),
        ("efficientnet_lite1", ["blocks.1", "blocks.4", "blocks.6"]),
        (mobilenet_v2, ["features.3", "features.10", "features.13"]),
    ],
)
def test_scores_equal_a_naive_loop(network, taps):
    """Layers have fewer columns than axes, more, and more than there are reference images.

    Random weights make the last layer of MobileNetV2 equal but for rounding, so it is left out.
    """
    layers, labels = embed_patterns(network, taps), np.repeat([f"class {n:02d}" for n in range(len(SIZES))], SIZES)
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


JUDGED = ["class 03", "class 07", "class 08", "class 12", "class 14"]


def test_judged_classes_score_as_in_a_naive_loop():
    layers, labels = make_layers([6, 30, 90], SIZES)
    names, y = np.unique(labels, return_inverse=True)
    found = judge_classes(layers, labels, JUDGED[::-1])
    assert found.classes == tuple(JUDGED)
    assert {candidate.recipe for candidate in found.candidates} == {*RECIPES}
    design = SimpleNamespace(candidates=found.candidates, folds=np.where(np.isin(names, JUDGED), 0, 1))
    expected = naive_scores(design, layers, y, judged=0, unseen=[0])
    assert np.abs(found.class_scores - expected).max() < 1e-6
    left = naive_scores(design, layers, y, judged=0, unseen=[0], dropped=[8])
    assert np.abs(found.without[2] - left.mean(axis=1)).max() < 1e-6
    assert found.without.shape == (5, len(found.candidates))


def test_judged_classes_score_alike_in_any_order_of_images():
    layers, labels = make_layers([6, 30], SIZES)
    order = np.random.default_rng(1).permutation(len(labels))
    one = judge_classes(layers, labels, JUDGED)
    other = judge_classes({name: X[order] for name, X in layers.items()}, labels[order], JUDGED)
    assert np.abs(one.class_scores - other.class_scores).max() < 1e-9
    assert np.abs(one.without - other.without).max() < 1e-9


def test_a_judged_class_needs_two_images_a_reference_class_one():
    layers, labels = make_layers([6], [4, 1, 4, 1, 4, 4, 4, 4])
    assert judge_classes(layers, labels, ["class 00", "class 02"]).class_scores.shape[1] == 2
    with pytest.raises(UserError, match="found class 'class 03' with one"):
        judge_classes(layers, labels, ["class 00", "class 03"])


@pytest.mark.parametrize(
    ("score_all", "count"),
    [
        (choose_representation, 2 * 3 + 3 * 2 + 2 * 15 + 2 * 15),  # folds, pairs, own classes, reference classes
        (partial(judge_classes, judged=JUDGED), 2 + 2 * 5),
    ],
)
def test_no_image_of_a_judged_class_enters_a_fit(monkeypatch, score_all, count):
    """Fits see only what they are given, which has no class of the gallery that they are judged on."""
    layers, labels = make_layers([6, 30, 40], [8] * 15)
    y = np.unique(labels, return_inverse=True)[1]
    seen = {}
    fit_to, score, score_parts = Fit.__init__, Fit.score, Fit.score_parts

    def noted(self, source, reference):
        seen[id(self)] = (self, set(y[reference]))
        fit_to(self, source, reference)

    def checked(self, gallery):
        assert not seen[id(self)][1] & set(gallery.classes)
        counts.append(len(gallery.classes))
        return score(self, gallery)

    def checked_parts(self, gallery, parts):
        assert not seen[id(self)][1] & set(gallery.classes)
        counts.extend(len(part.classes) for part in parts)
        return score_parts(self, gallery, parts)

    counts = []
    monkeypatch.setattr(Fit, "__init__", noted)
    monkeypatch.setattr(Fit, "score", checked)
    monkeypatch.setattr(Fit, "score_parts", checked_parts)
    score_all(layers, labels)
    assert len(counts) == count


def test_the_choice_for_a_fold_does_not_depend_on_its_images():
    layers, labels = make_layers([6, 30], [8] * 15)
    choice = choose_representation(layers, labels)
    judged = np.isin(labels, [name for name, fold in zip(choice.classes, choice.folds, strict=True) if fold == 1])
    noise = {name: np.where(judged[:, None], 1e6 * X[::-1] ** 2, X) for name, X in layers.items()}
    other = choose_representation(noise, labels)
    assert np.array_equal(choice.choosing[1], other.choosing[1])
    assert not np.allclose(choice.choosing[0], other.choosing[0])


def test_compressed_axes_are_those_of_the_reference_without_a_class():
    """300 columns are turned into 256, in which the leading 64 are found again without one class."""
    layers, labels = make_layers([300], [24] * 18)
    _, y = np.unique(labels, return_inverse=True)
    candidates = [c for c in list_candidates({"layer0": ""}) if c.recipe != "plain"]
    source = Source(list(layers.values()), list(layers.values()), y, candidates, [range(1)] * len(candidates))
    reference, gallery = np.flatnonzero(y < 12), Gallery(np.flatnonzero(y >= 12), y, np.arange(len(y)))
    compressed = source.compressed(reference)
    assert compressed.spans[0].shape[1] == 256
    left = np.flatnonzero(y < 11)
    assert np.abs(Fit(compressed, left).score(gallery) - Fit(source, left).score(gallery)).max() < 0.005


def test_neighbours_of_the_own_group_are_kept_out():
    """Two images of each group and class coincide, so that they find each other unless they are kept out."""
    layers, labels = make_layers([20], [4] * 6)
    layers, labels = {name: np.repeat(X, 2, axis=0) for name, X in layers.items()}, np.repeat(labels, 2)
    groups = np.repeat(np.arange(len(labels) // 2), 2)
    apart, together = (choose_representation(layers, labels, g, recipes=["plain"]) for g in (groups, None))
    assert apart.score < together.score
    rows = [np.flatnonzero(np.isin(labels, np.array(apart.classes)[apart.folds == fold])) for fold in range(2)]
    for own in rows:
        X, y, g = layers["layer0"][own].astype(float), labels[own], groups[own]
        cosines = normalize(X) @ normalize(X).T
        for name in np.unique(y):
            found = []
            for query in np.flatnonzero(y == name):
                others = np.flatnonzero(g != g[query])
                ranked = others[np.argsort(-cosines[query, others], kind="stable")]
                hits = (y[ranked] == name)[: (y[others] == name).sum()]
                found.append((np.cumsum(hits) / np.arange(1, len(hits) + 1) * hits).mean())
            scored = apart.class_scores[0, apart.classes.index(name)]
            assert scored == pytest.approx(np.mean(found), abs=0.02)  # coinciding images come in an order of chance


def test_equal_embeddings_score_as_chance():
    rows, y = np.arange(400), np.repeat(np.arange(4), 100)
    assert Gallery(rows, y, rows).score(np.ones((400, 400))) == pytest.approx(np.full(4, 0.08), abs=0.03)


def test_few_classes_are_chosen_among_recipes_that_fit_little():
    layers, labels = make_layers([10, 10], [10] * 16)

    def of(count):
        keep = np.isin(labels, np.unique(labels)[:count])
        return choose_representation({name: X[keep] for name, X in layers.items()}, labels[keep])

    assert {c.recipe for c in of(3).candidates} == {"plain"}
    assert {c.recipe for c in of(7).candidates} == {"plain", "centred"}
    assert of(7).without.shape == (0, len(of(7).candidates))
    assert any(c.recipe in FITTED for c in of(8).candidates)
    assert [len(of(count).references) for count in (3, 7, 14, 15, 16)] == [1, 2, 2, 3, 3]
    assert min(of(15).references) == 10


def test_joins_cross_neither_networks_nor_sizes_and_the_control_is_named():
    layers, labels = make_layers([6, 8, 6, 8], [6] * 8)
    networks = {name: "net at 64 px" if n < 2 else "net at 224 px" for n, name in enumerate(layers)}
    choice = choose_representation(
        layers, labels, networks=networks, recipes=["centred"], joins=["all"], control="layer3"
    )
    assert [(c.arrays, c.join, c.recipe) for c in choice.candidates] == [
        (("layer0",), "single", "plain"),
        (("layer1",), "single", "plain"),
        (("layer0", "layer1"), "all", "centred"),
        (("layer2",), "single", "plain"),
        (("layer3",), "single", "plain"),
        (("layer2", "layer3"), "all", "centred"),
    ]
    assert choice.control == 4
    assert choose_representation(layers, labels, networks=networks).control == 1


def test_of_equal_candidates_the_control_is_chosen():
    layers, labels = make_layers([6], [6] * 8)
    same = dict.fromkeys(["first", "second", "third"], layers["layer0"])
    choice = choose_representation(same, labels, recipes=["plain"], control="second")
    assert {choice.chosen, *choice.judged, *choice.judged_single} == {choice.control}


def test_a_class_of_one_image_or_group_is_refused():
    layers, labels = make_layers([4], [3, 3, 1, 3])
    with pytest.raises(UserError, match="found class 'class 02' with one"):
        choose_representation(layers, labels)
    layers, labels = make_layers([4], [3] * 4)
    with pytest.raises(UserError, match="found class 'class 00' with one"):
        choose_representation(layers, labels, groups=labels)
