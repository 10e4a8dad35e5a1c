"""Scaled and joined layers: of a cut, as scikit-learn scales what the store has."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler, normalize
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from stages.aggregate.facts import Facts, write_facts
from stages.aggregate.recommend.schema import ScalingRecord
from stages.commands.cut.cell import open_source
from stages.commands.cut.export import load_onnx, load_program
from stages.commands.cut.folder import read_cut, write_cut
from stages.commands.cut.scaling import Scaler, fit_scaler
from stages.commands.cut.verify import take_reference
from stages.commands.cut.which_layer import Wanted, choose
from stages.shared.runtime.errors import UserError
from tests.aggregate.recommended import recommendation
from tests.commands.cut.finished import finish_cell


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory):
    return finish_cell(tmp_path_factory.mktemp("cell"))


def scaled_by_scikit_learn(store, names, scale):
    """Unseen images at the last step."""
    layers = [next(layer for layer in store.layers if layer.name == name) for name in names]
    seen, unseen = ([store.features(each, 50, split) for each in layers] for split in ("test", "unseen"))
    if scale == "standard":
        return StandardScaler().fit(seen[0]).transform(unseen[0])
    return np.hstack([normalize(each) if scale == "l2" else each for each in unseen])


@pytest.mark.parametrize(
    ("names", "scale", "taken"),
    [
        (["blocks.1"], "none", "none"),
        (["blocks.1"], "l2", "l2"),
        (["blocks.1"], "standard", "standard"),
        (["blocks.0", "blocks.3"], None, "l2"),
    ],
)
def test_a_cut_gives_what_scikit_learn_makes_of_the_store(finished, tmp_path: Path, names, scale, taken):
    params, cell, paths = finished
    source = open_source(params, cell, paths, Wanted(layers=names, scale=scale))
    card = write_cut(tmp_path / "cut", source, onnx=True, tolerance=2e-3, licence=None, command="again")
    expected = scaled_by_scikit_learn(source.store, names, taken)
    reference = take_reference(source)
    np.testing.assert_allclose(reference.embeddings, expected, rtol=1e-4, atol=1e-5)  # so few images that all are taken
    program, onnx = load_program(tmp_path / "cut/model.pt2"), load_onnx(tmp_path / "cut/model.onnx")
    with torch.inference_mode():
        found = program(torch.from_numpy(reference.pixels)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_allclose(onnx(reference.pixels), expected, atol=2e-3)
    output = json.loads((tmp_path / "cut/preprocess.json").read_text())["output"]
    about = read_cut(tmp_path / "cut").about
    assert [card["layer"]["scale"], output["scale"], about["scale"]] == [taken] * 3
    assert (card["layer"]["name"], output["shape"][1]) == ("+".join(names), expected.shape[1])


def operations(source, folder: Path) -> int:
    write_cut(folder, source, onnx=False, tolerance=2e-3, licence=None, command="again")
    program = load_program(folder / "model.pt2")
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        program(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    return counter.get_total_flops() // 2


def test_two_layers_take_no_more_operations_than_the_deeper_one(finished, tmp_path: Path):
    params, cell, paths = finished
    joined = open_source(params, cell, paths, Wanted(layers=["blocks.3", "blocks.0"]))
    deeper = open_source(params, cell, paths, Wanted(layers=["blocks.3"]))
    assert operations(joined, tmp_path / "two") <= 1.02 * operations(deeper, tmp_path / "one")
    assert joined.layer.operations == deeper.layer.operations


def test_without_seen_images_columns_are_standardized_by_the_others(finished, tmp_path: Path):
    params, cell, paths = finish_cell(tmp_path, fold="all", splits=["test"])
    source = open_source(params, cell, paths, Wanted(step=0, layers=["blocks.1"], scale="standard"))
    fitted = StandardScaler().fit(source.store.features(source.layer, 0, "test"))
    np.testing.assert_allclose(source.scaler.mean, fitted.mean_, rtol=1e-6)
    np.testing.assert_allclose(source.scaler.deviation, fitted.scale_, rtol=1e-6)


def test_several_layers_are_scaled_to_length_1_and_must_differ(finished):
    params, cell, paths = finished
    store = open_source(params, cell, paths, Wanted(layers=["blocks.1"])).store
    with pytest.raises(UserError, match="--scale: of several layers each is scaled to length 1"):
        fit_scaler(store, store.layers[:2], 50, "standard")
    with pytest.raises(UserError, match=r"several layers must differ, found blocks\.1, blocks\.1"):
        open_source(params, cell, paths, Wanted(layers=["blocks.1", "blocks.1"]))


def test_rows_of_zeros_stay():
    parts = [np.array([[3, 4], [0, 0]], np.float32), np.array([[2], [0]], np.float32)]
    assert Scaler("l2").join(parts).tolist() == [pytest.approx([0.6, 0.8, 1]), [0, 0, 0]]


def scaling(scale: str) -> ScalingRecord:
    return ScalingRecord(best=scale, value=0.5, gain=0.1, recommended=scale)


def test_the_scaling_is_the_recommended_one_where_the_layer_and_step_are(finished, tmp_path: Path):
    params, cell, paths = finished
    source = open_source(params, cell, paths, Wanted(layers=["blocks.1"]))
    of = {"dataset": "trees", "model": "tiny", "layer": "blocks.1", "step": 50}
    retrieval = recommendation(use="retrieval", scaling=scaling("l2"), **of)
    unknown = recommendation(use="classifier", **of)
    write_facts(tmp_path, Facts([retrieval, unknown], []))
    store, other = source.store, source.store.layers[-1].name

    def chosen(layer: str = "blocks.1", step: int = 50, use: str | None = None, results: Path = tmp_path) -> str:
        return choose(store, results, Wanted([layer], step, use))[2]

    assert chosen(use="retrieval") == "l2"
    assert chosen(step=0) == "none"
    assert chosen(other) == "none"
    assert chosen(use="classifier") == "none"
    with pytest.raises(UserError, match=r"--scale: must be given, .* have retrieval l2 and classifier none"):
        chosen()
    assert chosen(results=tmp_path / "nothing") == "none"
    write_facts(tmp_path, Facts([retrieval, recommendation(scaling=scaling("standard"), **of)], []))
    with pytest.raises(UserError, match=r"--scale: must be given, .* have retrieval l2 and discovery standard"):
        chosen()
    assert chosen(use="discovery") == "standard"
