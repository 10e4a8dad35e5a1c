"""Which layer is meant: a name, or what the results say; and what is said where none is."""

from pathlib import Path
from typing import Any

import pytest

from stages.aggregate.facts import Facts, write_facts
from stages.aggregate.recommend.schema import Baseline, Recommendation
from stages.aggregate.tables.summary import SUMMARY_COLUMNS, SummaryRow, summary_table
from stages.commands.cut.which_layer import choose_layer
from stages.shared.embeddings.embedding_store import Embeddings, open_embeddings
from stages.shared.files.csv_table import write_table
from stages.shared.runtime.errors import UserError
from tests.aggregate import recommended
from tests.commands.cut.finished import finish_cell

ROW: dict[str, Any] = {
    "dataset": "trees", "model": "tiny", "fold": "mean", "pooling": "class_token", "step": 50, "n_folds": 2,
    "n_seeds": 1, "metric": "nmi", "unseen": 0.4, "best_layer": "blocks.1", "best_depth": 2, "last_depth": 6,
    "last_layer": "blocks.5", "best_parameters": 9, "total_parameters": 99, "best_operations": 9,
    "total_operations": 99, "main": True, "better": "higher",
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    _, _, paths = finish_cell(tmp_path_factory.mktemp("cell"))
    return open_embeddings(paths.embeddings)


def write_summary(folder: Path, *changes: dict[str, Any]) -> Path:
    rows = [SummaryRow(**{**ROW, **change}) for change in changes]
    write_table(folder / "summary.csv", summary_table(rows), SUMMARY_COLUMNS)
    return folder


def _record(**changes: Any) -> Recommendation:
    chosen = recommended.layer(3, "blocks.2", 0.4).model_copy(update={"pooling": "max", "step": 0})
    fields = {"dataset": "trees", "model": "tiny", "recommended": chosen, **changes}
    return recommended.recommendation(**fields)


def recommend(folder: Path, **changes: Any) -> Path:
    write_facts(folder, Facts([_record(model="large"), _record(**changes)], []))
    return folder


def test_a_name_is_the_store_s(store: Embeddings, tmp_path: Path):
    assert choose_layer(store, "last", tmp_path)[0] == next(
        x for x in store.layers if x.depth == store.layers[-1].depth
    )
    layer, step = choose_layer(store, "blocks.1@max", tmp_path)
    assert (layer.name, layer.module, layer.pooling, step) == ("blocks.1@max", "blocks.1", "max", None)


def test_the_best_is_the_main_score_s_over_all_folds(store: Embeddings, tmp_path: Path):
    others = [{"main": False, "best_layer": "blocks.3"}, {"model": "large", "best_layer": "blocks.4"}]
    layer, step = choose_layer(store, "best", write_summary(tmp_path, *others, {}))
    assert (layer.name, step) == ("blocks.1", None)
    layer, _ = choose_layer(store, "best", write_summary(tmp_path, {"pooling": "max"}))
    assert layer.name == "blocks.1@max"


def test_the_recommended_comes_with_its_checkpoint(store: Embeddings, tmp_path: Path):
    layer, step = choose_layer(store, "recommended", recommend(tmp_path))
    assert (layer.name, step) == ("blocks.2@max", 0)


def test_a_joined_pooling_stands_for_each_layer_s_own(store: Embeddings, tmp_path: Path):
    results = write_summary(tmp_path, {"pooling": "class_token+mean"})
    assert choose_layer(store, "best", results)[0].name == "blocks.1"


def test_what_is_missing_is_named(store: Embeddings, tmp_path: Path):
    with pytest.raises(
        UserError, match=r"'blocks\.O' must be recommended, best, last or a layer of trees, tiny: did you"
    ):
        choose_layer(store, "blocks.O", tmp_path)
    with pytest.raises(UserError, match="'pixels' must be recommended, best, last"):
        choose_layer(store, "pixels", tmp_path)
    with pytest.raises(UserError, match=r"facts\.json: must be the facts of a finished workflow, found no file"):
        choose_layer(store, "recommended", tmp_path)
    with pytest.raises(UserError, match=r"summary\.csv: must be a summary, found no"):
        choose_layer(store, "best", tmp_path)
    with pytest.raises(UserError, match=r"summary\.csv must say which layer of trees, tiny"):
        choose_layer(store, "best", write_summary(tmp_path, {"model": "large"}))
    with pytest.raises(UserError, match=r"facts\.json must say which layer of trees, tiny"):
        choose_layer(store, "recommended", recommend(tmp_path, dataset="shrubs"))
    nothing = recommend(tmp_path, unbeaten=Baseline(name="raw pixels", value=0.5))
    with pytest.raises(UserError, match=r"no layer of trees, tiny is recommended: no layer beats raw.*; name one"):
        choose_layer(store, "recommended", nothing)
    with pytest.raises(UserError, match=r"'stage\.9', which the results name, is not in the embedding store"):
        choose_layer(store, "best", write_summary(tmp_path, {"best_layer": "stage.9"}))
