"""Which layer is meant: a name, or what the results say; and what is said where none is."""

from pathlib import Path
from typing import Any

import pytest

from stages.aggregate.facts import Facts, write_facts
from stages.aggregate.recommend.schema import Baseline, Recommendation
from stages.commands.cut.which_layer import Wanted, choose, recommended_cell
from stages.shared.embeddings.embedding_store import Embeddings, Layer, open_embeddings
from stages.shared.runtime.errors import UserError
from tests.aggregate import recommended
from tests.commands.cut.finished import finish_cell


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    _, _, paths = finish_cell(tmp_path_factory.mktemp("cell"))
    return open_embeddings(paths.embeddings)


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
    assert recommended_cell(two_uses(tmp_path), None) == "trees/tiny/all/1"
    results = two_uses(tmp_path, model="large")
    with pytest.raises(UserError, match=r"--from: must name a cell .* since the results have 2 best networks, by use"):
        recommended_cell(results, None)
    assert recommended_cell(results, "retrieval") == "trees/large/all/1"
    with pytest.raises(UserError, match="the results have 2 datasets"):
        recommended_cell(two_uses(tmp_path, dataset="shrubs"), None)


def test_a_joined_pooling_stands_for_each_layer_s_own(store: Embeddings, tmp_path: Path):
    results = recommend(tmp_path, pooling="class_token+mean")
    assert choose_layer(store, "recommended", results)[0].name == "blocks.2"


def test_what_is_missing_is_named(store: Embeddings, tmp_path: Path):
    with pytest.raises(UserError, match=r"'blocks\.O' must be recommended, last or a layer of trees, tiny: did you"):
        choose_layer(store, "blocks.O", tmp_path)
    with pytest.raises(UserError, match="'pixels' must be recommended, last"):
        choose_layer(store, "pixels", tmp_path)
    with pytest.raises(UserError, match=r"facts\.json: must be the facts of a finished workflow, found no file"):
        choose_layer(store, "recommended", tmp_path)
    with pytest.raises(UserError, match=r"facts\.json must say which layer of trees, tiny"):
        choose_layer(store, "recommended", recommend(tmp_path, dataset="shrubs"))
    nothing = recommend(tmp_path, unbeaten=Baseline(name="raw pixels", value=0.5))
    with pytest.raises(UserError, match=r"no layer of trees, tiny is recommended: no layer beats raw.*; name one"):
        choose_layer(store, "recommended", nothing)
    with pytest.raises(UserError, match=r"'stage\.9', which the results name, is not in the embedding store"):
        choose_layer(store, "recommended", recommend(tmp_path, layer="stage.9"))
