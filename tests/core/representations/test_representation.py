import json
import pickle

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.base import clone

from stages.core.representations.candidates import RECIPES, list_candidates
from stages.core.representations.judging import Fit, Source
from stages.core.representations.representation import METADATA, Representation
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


def test_classes_of_equal_images_have_nothing_to_take_out():
    y = np.repeat(np.arange(4), 2)
    layers = {"layer0": np.random.default_rng(0).standard_normal((4, 6))[y]}
    for recipe in RECIPES:
        vectors = Representation(("layer0",), recipe).fit(layers, y).transform(layers)
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layers": ("layer7",)}, "needs the array 'layer7'"),
        ({"layers": ()}, "layers must be a tuple of names of arrays, found"),
        ({"layers": "layer0"}, "layers must be a tuple of names of arrays, found 'layer0'"),
        ({"layers": ("layer0",), "recipe": "whole"}, "recipe must be a known one, found 'whole'"),
        ({"layers": ("layer0",), "dimensions": 7}, "dimensions must be a whole number from 1 to 6"),
        ({"layers": ("layer0",), "dimensions": 2.5}, "found 2.5"),
        ({"layers": ("layer0",), "dimensions": "3"}, "found '3'"),
        ({"layers": ("layer0",), "dimensions": True}, "found True"),
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
    made = [[1.0, 2.0], [3.0]], np.array([[1, "a"]], object), np.ma.masked_less(layers["layer0"], 0)
    for wrong, message in zip(made, ("must be an array, found list", "found object", "no masked values"), strict=True):
        with pytest.raises(UserError, match=f"array 'layer0' .*{message}"):
            fitted.transform({"layer0": wrong})
    with pytest.raises(UserError, match="labels must be an array, found list"):
        Representation(("layer0",)).fit(layers, [["a"], ["b", "c"]])
    (tmp_path / "text").write_text("no representation")
    with pytest.raises(UserError, match="a file that a representation was saved to"):
        Representation.load(tmp_path / "text")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("recipe", ["plain", "within"])
def test_numbers_that_are_not_finite_are_refused_and_named(data, recipe, value):
    layers, labels = data
    wrong = {"layer0": layers["layer0"].copy()}
    wrong["layer0"][7, 2] = value
    with pytest.raises(UserError, match=r"array 'layer0' must have finite numbers of at most 1e.18, found .* in row 7"):
        Representation(("layer0",), recipe).fit(wrong, labels)
    with pytest.raises(UserError, match="in row 7"):
        Representation(("layer0",), recipe).fit(layers, labels).transform(wrong)
    with pytest.raises(UserError, match=r"must be .images, features. of real numbers, .* found bool"):
        Representation(("layer0",), recipe).fit({"layer0": layers["layer0"] > 0}, labels)


def test_labels_that_are_missing_or_another_shape_are_refused(data):
    layers, labels = data
    for wrong, message in (([None] * len(labels), "not be missing"), (labels[:, None], "found the shape .120, 1.")):
        with pytest.raises(UserError, match=message):
            Representation(("layer0",), "within").fit(layers, wrong)
    with pytest.raises(UserError, match=r"must be a dict of embeddings, name -> .N, D., found ndarray"):
        Representation(("layer0",)).fit(layers["layer0"], labels)


def test_a_file_needs_a_place_and_numpy_counts_its_dimensions(data, tmp_path):
    layers, labels = data
    fitted = Representation(("layer0",), "within", np.int64(3)).fit(layers, labels)
    fitted.save(tmp_path / "file")
    assert Representation.load(tmp_path / "file").dimensions == 3
    (tmp_path / "other").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode
    with pytest.raises(UserError, match="must be a file in a folder that can be written to"):
        fitted.save(tmp_path / "none" / "file")
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="found no file"):
            Representation.load(path)


def without(name):
    return lambda fields, arrays: arrays.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("layer.0.mean"), "arrays of other shapes than 'within' makes"),
        (without("layer.0.matrix"), "layer.0.matrix"),
        (without("join.mean"), "arrays of other shapes"),
        (without("reduction.matrix"), "arrays of other shapes"),
        (lambda fields, arrays: arrays.update(other=np.ones(3)), "arrays of other shapes"),
        (lambda fields, arrays: arrays.update({"join.mean": arrays["join.mean"][:-1]}), "arrays of other shapes"),
        (lambda fields, arrays: arrays.update({"join.mean": arrays["join.mean"] * np.nan}), "that are not finite"),
        (lambda fields, arrays: arrays.update({"join.mean": arrays["join.mean"].astype("f4")}), "double precision"),
        (lambda fields, arrays: arrays.update({"layer.0.matrix": np.array(1.0)}), "tuple index out of range"),
        (lambda fields, arrays: fields.update(recipe="plain"), "arrays of other shapes than 'plain' makes"),
        (lambda fields, arrays: fields.update(recipe=["within"]), "the unknown recipe .'within'."),
        (lambda fields, arrays: fields.update(layers="l"), "names that are no texts"),
        (lambda fields, arrays: fields.update(layers=[[]]), "names that are no texts"),
        (lambda fields, arrays: fields.update(dimensions=4), "arrays of other shapes"),
        (lambda fields, arrays: fields.update(n_features_out_=2**70), "arrays of other shapes"),
        (lambda fields, arrays: fields.update(widths_=[-1]), "sizes that are no whole numbers"),
        (lambda fields, arrays: arrays.update({"join.mean": arrays["join.mean"] * 2}), "other content than was saved"),
        (lambda fields, arrays: fields.update(reference_classes_=["a"]), "other content than was saved"),
        (lambda fields, arrays: fields.pop("sha256", None), "other content than was saved"),
        (lambda fields, arrays: fields.update(origin={"network": 1, "image_size": 1, "pooling": ""}), "no texts"),
    ],
)
def test_a_file_with_other_content_is_refused(data, tmp_path, change, message):
    layers, labels = data
    Representation(("layer0",), "within", 3).fit(layers, labels).save(tmp_path / "file")
    with safe_open(tmp_path / "file", framework="numpy") as file:
        fields = json.loads(file.metadata()[METADATA])
    arrays = load_file(tmp_path / "file")
    change(fields, arrays)
    save_file(arrays, tmp_path / "file", {METADATA: json.dumps(fields)})
    with pytest.raises(UserError, match=f"a file that a representation was saved to, found .*{message}"):
        Representation.load(tmp_path / "file")


def test_a_file_that_cannot_be_written_leaves_the_former_one(data, tmp_path, monkeypatch):
    X, y = data
    path = tmp_path / "kept"
    made = Representation(tuple(X)).fit(X, y)
    made.save(path)
    before = path.read_bytes()

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        made.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_a_file_of_numbers_that_numpy_lacks_is_refused(tmp_path):
    array = {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}
    content = json.dumps({"x": array, "__metadata__": {METADATA: "{}"}})
    path = tmp_path / "file"
    path.write_bytes(len(content).to_bytes(8, "little") + content.encode() + b"0")
    with pytest.raises(UserError, match="must be a file that a representation was saved to"):
        Representation.load(path)


def test_the_least_whole_number_is_too_large(data):
    X, y = data
    made = Representation(tuple(X)).fit(X, y)
    with pytest.raises(UserError, match="at most 1e"):
        made.transform({name: np.full(own.shape, -(2**63)) for name, own in X.items()})
