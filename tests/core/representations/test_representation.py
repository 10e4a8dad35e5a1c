import pickle

import numpy as np
import pytest
from sklearn.base import clone

from stages.core.representations.candidates import RECIPES, list_candidates
from stages.core.representations.judging import Fit, Source
from stages.core.representations.representation import Representation
from stages.shared.runtime.errors import UserError
from tests.core.representations.test_choice import make_layers


@pytest.fixture(scope="module")
def data():
    return make_layers([6, 70, 30], [10] * 12)


@pytest.mark.parametrize("recipe", RECIPES)
def test_vectors_have_the_cosines_that_are_judged(data, recipe):
    layers, labels = data
    y, arrays = np.unique(labels, return_inverse=True)[1], list(layers.values())
    candidates = list_candidates(dict.fromkeys(layers, ""), ["last_2"], [recipe])
    fit = Fit(Source(arrays, arrays, y, candidates, [range(1, 3)]), np.arange(len(y)))
    [(_, cosines)] = fit.cosines(np.arange(len(y)))
    fitted = Representation(candidates[0].arrays, recipe).fit(layers, labels)
    vectors = fitted.transform(layers)
    assert vectors.dtype == np.float32
    assert np.abs(vectors @ vectors.T - cosines).max() < 1e-5
    assert len(fitted.get_feature_names_out()) == vectors.shape[1] == fitted.n_features_out_


def test_columns_are_named_by_layer_while_they_belong_to_one(data):
    layers, labels = data
    names = Representation(("layer0", "layer2"), "plain").fit(layers, labels).get_feature_names_out()
    assert [*names[[0, 5, 6, -1]]] == ["layer0_0", "layer0_5", "layer2_0", "layer2_29"]
    assert Representation(("layer0",), "within").fit(layers, labels).get_feature_names_out()[0] == "representation_0"


@pytest.mark.parametrize(("recipe", "dimensions"), [("plain", None), ("centred", 8), ("whitened_within", 12)])
def test_it_is_the_same_after_saving_pickling_and_cloning(data, tmp_path, recipe, dimensions):
    layers, labels = data
    fitted = Representation(("layer1", "layer2"), recipe, dimensions).fit(layers, labels)
    fitted.save(tmp_path / "of.safetensors")
    loaded = Representation.load(tmp_path / "of.safetensors")
    expected = fitted.transform(layers)
    assert expected.shape[1] == (dimensions or 100)
    for other in (loaded, pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(layers, labels)):
        assert np.array_equal(other.transform(layers), expected)
        assert other.get_params() == fitted.get_params()
        assert other.reference_classes_ == [f"class {number:02d}" for number in range(12)]
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "of.safetensors").read_bytes()


def test_fewer_dimensions_keep_cosines_best(data):
    layers, labels = data
    whole = Representation(("layer1",), "plain").fit(layers, labels).transform(layers)
    few = Representation(("layer1",), "plain", 60).fit(layers, labels).transform(layers)
    assert np.abs(np.linalg.norm(few, axis=1) - 1).max() < 1e-6
    assert np.abs(few @ few.T - whole @ whole.T).max() < 0.05


def test_constant_and_repeated_images_are_no_error():
    y = np.repeat(np.arange(4), 3)
    layers = {"constant": np.ones((12, 5), np.float32), "line": np.outer(np.arange(12), np.ones(3)).astype(np.float32)}
    for recipe in RECIPES:
        vectors = Representation(("constant", "line"), recipe).fit(layers, y).transform(layers)
        assert np.isfinite(vectors).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layers": ("layer7",)}, "needs the array 'layer7'"),
        ({"layers": ()}, "at least one array"),
        ({"layers": ("layer0",), "recipe": "whole"}, "recipe must be a known one, found 'whole'"),
        ({"layers": ("layer0",), "dimensions": 7}, "dimensions must be from 1 to 6"),
    ],
)
def test_wrong_parameters(data, params, message):
    layers, labels = data
    with pytest.raises(UserError, match=message):
        Representation(**params).fit(layers, labels)


def test_other_arrays_and_files_are_refused(data, tmp_path):
    layers, labels = data
    fitted = Representation(("layer0",), "centred").fit(layers, labels)
    with pytest.raises(UserError, match="layer 'layer0' must have the 6 features"):
        fitted.transform({"layer0": layers["layer1"]})
    (tmp_path / "text").write_text("no representation")
    with pytest.raises(UserError, match="a file that a representation was saved to"):
        Representation.load(tmp_path / "text")
