"""A finished cell's layer: its network with its weights, and what is said of a cell that is not finished."""

from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from stages.commands.cut.cell import CellPaths, choose_cell, open_source
from stages.commands.cut.which_layer import Wanted
from stages.commands.project import ROOT
from stages.shared.checkpoints.checkpoints import read_state
from stages.shared.runtime.errors import UserError
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


@pytest.mark.parametrize(("folds", "fold"), [([1, 0], "1"), ([0, 1, "all"], "all")])
def test_the_default_cell_leaves_no_class_out_where_the_grid_has_it(
    finished: Finished, tmp_path: Path, folds: list[int | str], fold: str
):
    yaml = YAML(typ="safe")
    params = yaml.load(finished[0])
    params["run"] |= {"folds": folds, "seeds": [7, 8]}
    yaml.dump(params, tmp_path / "params.yaml")
    assert choose_cell(tmp_path / "params.yaml", "trees", "tiny", None, None) == ("trees", "tiny", fold, 7)
    assert choose_cell(tmp_path / "params.yaml", "trees", "tiny", "0", 0) == ("trees", "tiny", "0", 0)


@pytest.mark.parametrize(("step", "taken"), [(None, 50), (0, 0)])
def test_the_network_has_the_weights_of_the_checkpoint(finished: Finished, step: int | None, taken: int):
    params, cell, paths = finished
    source = open_source(params, cell, paths, Wanted(step=step, layers=["blocks.1"]))
    assert (source.step, source.checkpoint.name) == (taken, f"step_{taken:06}.safetensors")
    state, own = read_state(source.checkpoint), source.cell.embedder.network.module.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in state.items())
    assert (source.layer.depth, source.layers[0].tap.path) == (2, "blocks.1")
    assert source.cell.classes == source.cell.images.seen


def test_what_is_not_there_is_named_with_what_to_run(finished: Finished, tmp_path: Path):
    params, cell, paths = finished
    with pytest.raises(UserError, match=r"trees-tiny-0-3 have the steps 0, 50, not 7; put it into finetune\.steps"):
        open_source(params, cell, paths, Wanted(step=7, layers=["blocks.1"]))
    elsewhere = CellPaths(paths.prepared, paths.weights, tmp_path / "none", paths.results)
    with pytest.raises(UserError, match=r"found none; .* run `dvc repro embed@trees-tiny-0-3`"):
        open_source(params, cell, elsewhere, Wanted(layers=["blocks.1"]))


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
    with pytest.raises(UserError, match=r"have the steps 0, not 50; a frozen network has step 0 alone"):
        open_source(params, cell, paths, Wanted(step=50, layers=["blocks.0"]))


def test_embeddings_of_another_cell_in_its_place_are_an_error(finished: Finished):
    params, cell, paths = finished
    other = (*cell[:3], cell[3] + 1)
    with pytest.raises(UserError, match=r"embeddings: must hold the cell trees-tiny-0-4, found trees-tiny-0-3; run"):
        open_source(params, other, paths, Wanted(layers=["last"]))
