import numpy as np
import pytest

from stages.measure.analyses import layer_pairs as module
from stages.measure.analyses.layer_pairs import layer_pairs, stratified
from stages.measure.cka import centred_gram, cka
from tests.measure.analyses.synthetic import toy_cell

NAMES = ["pixels", "stem", "stem@max", "blocks.0"]


def test_every_pair_of_every_split_is_compared_once(tmp_path):
    cell, layer, _ = toy_cell(tmp_path, "unseen")
    pairs = layer_pairs(cell)
    expected = [(s, a, b) for s in ("test", "unseen") for i, a in enumerate(NAMES) for b in NAMES[i:]]
    assert [(pair.split, pair.a.name, pair.b.name) for pair in pairs] == expected
    stem = next(each for each in cell.store.layers if each.name == "stem")
    grams = [centred_gram(cell.embedded(each, 10, "unseen").X) for each in (stem, layer)]
    found = next(p for p in pairs if (p.split, p.a.name, p.b.name) == ("unseen", "stem", "blocks.0"))
    assert found.cka == cka(*grams)
    assert abs(found.cka) < 1
    assert all(pair.cka == pytest.approx(1) for pair in pairs if pair.a == pair.b)


def test_all_layers_are_compared_on_the_same_few_images(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 12)
    cell, *_ = toy_cell(tmp_path, "unseen")
    seen = []
    monkeypatch.setattr(module, "centred_gram", lambda X: seen.append(len(X)) or centred_gram(X))
    assert all(pair.cka == pytest.approx(1) for pair in layer_pairs(cell) if pair.a == pair.b)
    assert seen == [12] * 8


def test_images_are_drawn_in_proportion_to_class_sizes():
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 50, 10]))
    found = stratified(y, 32, seed=0)
    assert np.bincount(y[found]).tolist() == [20, 10, 2]
    assert (np.diff(found) > 0).all()
    assert not np.array_equal(found, stratified(y, 32, seed=1))
    assert stratified(y, 1000, seed=0).tolist() == list(range(160))
