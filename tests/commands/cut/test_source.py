"""A finished cell's layer: its network with its weights, and what is said of a cell that is not finished."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from sklearn.preprocessing import StandardScaler, normalize
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from stages.aggregate.facts import Baseline, Facts, Recommendation
from stages.aggregate.facts_file import write_facts
from stages.commands.cut.export import load_onnx, load_program
from stages.commands.cut.folder import read_cut, take_reference, write_cut
from stages.commands.cut.source import (
    CellPaths,
    Scaler,
    Wanted,
    choose,
    fit_scaler,
    named_cell,
    open_source,
    recommended_cell,
)
from stages.commands.project import ROOT
from stages.shared.embeddings.embedding_store import Embeddings, Layer, open_embeddings
from stages.shared.networks.weights import read_state
from stages.shared.runtime.errors import UserError
from tests.aggregate import recommended
from tests.aggregate.recommended import recommendation
from tests.commands.cut.finished import finish_cell

Finished = tuple[Path, tuple[str, str, str, int], CellPaths]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finish_cell(tmp_path_factory.mktemp("cell"))


def test_paths_are_those_of_dvc_yaml():
    paths = CellPaths.of(("trees", "tiny", "all", 3))
    assert paths.weights == ROOT / "data/checkpoints/trees/tiny/all/3/weights"
    assert paths.prepared == ROOT / "data/prepared/trees"
    assert paths.results == ROOT / "data/results"


@pytest.mark.parametrize("prefix", ["", "data/embeddings/", "/somewhere/else/"])
def test_a_cell_is_the_end_of_its_folder_s_path(prefix: str):
    assert named_cell(f"{prefix}trees/tiny/all/12/", Wanted()) == ("trees", "tiny", "all", 12)


@pytest.mark.parametrize("origin", ["handwriting/efficientnet_lite0/0", "a/b/c/d", "cuts/mine"])
def test_what_is_no_cell_is_refused(origin: str):
    with pytest.raises(UserError, match="must be a cell, dataset/model/fold/seed, "):
        named_cell(origin, Wanted())


@pytest.mark.parametrize(("step", "taken"), [(None, 50), (0, 0)])
def test_the_network_has_the_weights_of_the_checkpoint(finished: Finished, step: int | None, taken: int):
    params, cell, paths = finished
    source = open_source(params, cell, paths, Wanted(step=step, layers=["blocks.1"]))
    assert (source.step, source.checkpoint.name) == (taken, f"step_{taken:06}.safetensors")
    state, own = read_state(source.checkpoint), source.cell.embedder.network.module.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in state.items())
    assert (source.layer.depth, source.layers[0].tap.path) == (2, "blocks.1")
    assert source.cell.classes == source.cell.images.seen


def test_a_layer_that_params_no_longer_name_is_refused(finished: Finished, tmp_path: Path):
    params, cell, paths = finished
    yaml = YAML(typ="safe")
    content = yaml.load(params)
    content["models"]["tiny"]["taps"] = {"layers": ["blocks.2"]}
    yaml.dump(content, tmp_path / "params.yaml")
    with pytest.raises(UserError, match=r"'blocks\.1' is in the embedding store, but not among the layers"):
        open_source(tmp_path / "params.yaml", cell, paths, Wanted(layers=["blocks.1"]))


def test_a_frozen_network_has_step_0_alone(tmp_path: Path):
    params, cell, paths = finish_cell(tmp_path, frozen=True)
    assert open_source(params, cell, paths, Wanted(layers=["blocks.0"])).step == 0
    with pytest.raises(UserError, match=r"has embeddings at the steps 0, not 50; .* a frozen network has step 0 alone"):
        open_source(params, cell, paths, Wanted(step=50, layers=["blocks.0"]))


@pytest.fixture(scope="module")
def store(finished: Finished) -> Embeddings:
    return open_embeddings(finished[2].embeddings)


def choose_layer(store: Embeddings, layer: str, results: Path, **wanted: Any) -> tuple[Layer, int]:
    (found,), step, _ = choose(store, results, Wanted([layer], **wanted))
    return found, step


def _record(**changes: Any) -> Recommendation:
    fields = {"dataset": "trees", "model": "tiny", "layer": "blocks.2", "depth": 3, "pooling": "max", "step": 0}
    return recommended.recommendation(**fields | changes)


def recommend(folder: Path, **changes: Any) -> Path:
    write_facts(folder, Facts([_record(model="large"), _record(**changes)], []))
    return folder


def test_a_name_is_the_store_s(store: Embeddings, tmp_path: Path):
    assert choose_layer(store, "last", tmp_path)[0] == next(
        x for x in store.layers if x.depth == store.layers[-1].depth
    )
    layer, step = choose_layer(store, "blocks.1@max", tmp_path)
    assert (layer.name, layer.module, layer.pooling, step) == ("blocks.1@max", "blocks.1", "max", 50)


def test_the_recommended_comes_with_its_checkpoint(store: Embeddings, tmp_path: Path):
    layer, step = choose_layer(store, "recommended", recommend(tmp_path))
    assert (layer.name, step) == ("blocks.2@max", 0)


def two_uses(folder: Path, **retrieval: Any) -> Path:
    """Results in which discovery and retrieval take other layers, at other steps."""
    other = _record(use="retrieval", layer="blocks.3", depth=4, step=50, **retrieval)
    write_facts(folder, Facts([_record(), other], [], cell="all/1"))
    return folder


def test_where_uses_differ_one_must_be_named(store: Embeddings, tmp_path: Path):
    results = two_uses(tmp_path)
    with pytest.raises(
        UserError, match=r"--layer: must be given, or what .* discovery blocks\.2 \(max\) and retrieval blocks\.3"
    ):
        choose_layer(store, "recommended", results)
    layer, step = choose_layer(store, "recommended", results, use="retrieval")
    assert (layer.module, step) == ("blocks.3", 50)
    with pytest.raises(UserError, match=r"found 'detection'.*docs/scores\.md#uses"):
        choose_layer(store, "recommended", results, use="detection")


def test_a_named_layer_comes_with_the_step_that_is_recommended_for_it(store: Embeddings, tmp_path: Path):
    results = two_uses(tmp_path)
    assert [choose_layer(store, f"blocks.{n}", results)[1] for n in (2, 3)] == [0, 50]
    with pytest.raises(UserError, match="--step: must be given, or what features are for"):
        choose_layer(store, "blocks.1", results)
    assert choose_layer(store, "blocks.1", results, use="discovery")[1] == 0
    assert choose_layer(store, "blocks.1", results, step=50)[1] == 50
    assert choose_layer(store, "last", recommend(tmp_path))[1] == 0


def test_the_cell_is_that_of_the_best_network_for_the_use(tmp_path: Path):
    assert recommended_cell(two_uses(tmp_path), Wanted()) == "trees/tiny/all/1"
    results = two_uses(tmp_path, model="large")
    with pytest.raises(UserError, match=r"--from: must be a cell .* since the results have 2 best networks, by use"):
        recommended_cell(results, Wanted())
    assert recommended_cell(results, Wanted(use="retrieval")) == "trees/large/all/1"
    with pytest.raises(UserError, match="the results have 2 datasets"):
        recommended_cell(two_uses(tmp_path, dataset="shrubs"), Wanted())


def test_a_joined_pooling_stands_for_each_layer_s_own(store: Embeddings, tmp_path: Path):
    results = recommend(tmp_path, pooling="class_token+mean")
    assert choose_layer(store, "recommended", results)[0].name == "blocks.2"


def test_what_is_missing_is_named(store: Embeddings, tmp_path: Path):
    with pytest.raises(
        UserError, match=r"'blocks\.O' must be recommended, last, representation or a layer of trees, tiny: did you"
    ):
        choose_layer(store, "blocks.O", tmp_path)
    with pytest.raises(UserError, match="'pixels' must be recommended, last"):
        choose_layer(store, "pixels", tmp_path)
    with pytest.raises(UserError, match=r"facts\.json: must hold a finished workflow's facts, found no file"):
        choose_layer(store, "recommended", tmp_path)
    with pytest.raises(UserError, match=r"facts\.json must have a layer for trees, tiny"):
        choose_layer(store, "recommended", recommend(tmp_path, dataset="shrubs"))
    nothing = recommend(tmp_path, unbeaten=Baseline(name="raw_pixels", value=0.5))
    with pytest.raises(UserError, match=r"trees, tiny has no recommended layer: no layer beats raw.*; choose one"):
        choose_layer(store, "recommended", nothing)
    with pytest.raises(UserError, match=r"'stage\.9', which the results name, is not in the embedding store"):
        choose_layer(store, "recommended", recommend(tmp_path, layer="stage.9"))


def scaled_by_scikit_learn(store, names, scale):
    """Unseen images at the last step."""
    layers = [next(layer for layer in store.layers if layer.name == name) for name in names]
    seen, unseen = ([store.features(each, 50, split) for each in layers] for split in ("test", "unseen"))
    if scale == "standard":
        return StandardScaler().fit(seen[0]).transform(unseen[0])
    return np.hstack([normalize(each) if scale == "l2" else each for each in unseen])


@pytest.mark.slow
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
    pytest.importorskip("onnxscript", reason="needs whichlayer[export]")
    params, cell, paths = finished
    source = open_source(params, cell, paths, Wanted(layers=names, scale=scale))
    card = write_cut(tmp_path / "cut", source, onnx=True, tolerance=2e-3, licence=None)
    expected = scaled_by_scikit_learn(source.store, names, taken)
    reference = take_reference(source)
    np.testing.assert_allclose(reference.embeddings, expected, rtol=1e-4, atol=1e-5)  # so few images that all are taken
    program, onnx = load_program(tmp_path / "cut/model.pt2"), load_onnx(tmp_path / "cut/model.onnx")
    with torch.inference_mode():
        found = program(torch.from_numpy(reference.pixels)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_allclose(onnx(reference.pixels), expected, atol=2e-3)
    output = json.loads((tmp_path / "cut/preprocess.json").read_text())["output"]
    about = read_cut(tmp_path / "cut")[0]
    assert [card["layer"]["scale"], output["scale"], about["scale"]] == [taken] * 3
    assert (card["layer"]["name"], output["shape"][1]) == ("+".join(names), expected.shape[1])


def operations(source, folder: Path) -> int:
    write_cut(folder, source, onnx=False, tolerance=2e-3, licence=None)
    program = load_program(folder / "model.pt2")
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        program(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    return counter.get_total_flops() // 2


@pytest.mark.slow
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
    np.testing.assert_allclose(source.scaler.fitted["scale_mean"], fitted.mean_, rtol=1e-6)
    np.testing.assert_allclose(source.scaler.fitted["scale_deviation"], fitted.scale_, rtol=1e-6)


def test_several_layers_are_scaled_to_length_1_and_must_differ(finished):
    params, cell, paths = finished
    store = open_source(params, cell, paths, Wanted(layers=["blocks.1"])).store
    with pytest.raises(UserError, match="--scale: several layers are each L2-normalized"):
        fit_scaler(store, store.layers[:2], 50, "standard")
    with pytest.raises(UserError, match=r"several layers must differ, found blocks\.1, blocks\.1"):
        open_source(params, cell, paths, Wanted(layers=["blocks.1", "blocks.1"]))


def test_rows_of_zeros_stay():
    parts = [np.array([[3, 4], [0, 0]], np.float32), np.array([[2], [0]], np.float32)]
    assert Scaler("l2").join(parts).tolist() == [pytest.approx([0.6, 0.8, 1]), [0, 0, 0]]


def test_rows_are_those_of_which_the_use_s_score_is(finished, tmp_path: Path):
    params, cell, paths = finished
    store = open_source(params, cell, paths, Wanted(layers=["blocks.1"])).store
    of = {"dataset": "trees", "model": "tiny"}
    retrieval, classifier = (
        recommendation(use=use, normalize=normalize, **of)
        for use, normalize in (("retrieval", "l2"), ("classifier", "none"))
    )
    write_facts(tmp_path, Facts([retrieval, classifier], []))

    def chosen(layer: str = "blocks.1", step: int = 50, use: str | None = None, results: Path = tmp_path) -> str:
        return choose(store, results, Wanted([layer], step, use))[2]

    for layer in store.layers:
        if layer.module:
            assert [chosen(layer.name, step, "retrieval") for step in store.steps] == ["l2"] * len(store.steps)
            assert chosen(layer.name, use="classifier") == "none"
    with pytest.raises(UserError, match=r"--scale: must be given, .* have retrieval l2 and classifier none"):
        chosen()
    assert chosen(results=tmp_path / "nothing") == "none"
    write_facts(tmp_path, Facts([retrieval, recommendation(normalize="l2", **of)], []))
    assert chosen() == "l2"
