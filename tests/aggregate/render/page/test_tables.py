import itertools

import pandas as pd
import pytest

from stages.aggregate.render.page.data import all_networks, best_layers, class_scores, layer_similarity, training_steps
from tests.aggregate.render.page.made import LAYERS


@pytest.fixture(scope="module")
def networks(study):
    return all_networks(study.results.scores)


def named(columns, networks):
    """The rows of a table of the page, networks and splits as in the tables beside it."""
    table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    table["model"] = [networks[i][1] for i in table.pop("network")]
    return table.replace({"split": {"seen": "test"}}) if "split" in table else table


def test_best_layers_are_the_summarys(study, networks):
    table = named(best_layers(study.results.tables["summary.csv"], study.results.facts, networks), networks)
    rows = study.results.tables["summary.csv"]
    both = rows.merge(table, on=["model", "fold", "metric"], suffixes=("_table", ""), validate="1:1")
    assert len(both) == len(rows)
    assert both["best_depth"].tolist() == both["best_depth_table"].tolist()
    for column in ("unseen", "last_value"):
        assert (both[column].astype(float) - both[f"{column}_table"].astype(float)).abs().max() <= 5e-4
    means = both[both["fold"] == "mean"]
    for row in means.itertuples():
        gain = study.results.facts.gain_over_last(row.dataset, row.model, row.metric)
        shown = [None if pd.isna(value) else value for value in (row.gain, row.gain_low, row.gain_high)]
        assert shown == [each and round(each, 3) for each in (gain.estimate, gain.low, gain.high)]
    assert means["gain"].notna().any()
    assert (means["low"].astype(float) - means["ci_classes_low"]).abs().max() <= 5e-4
    assert both.loc[both["fold"] != "mean", "gain"].isna().all()


def test_training_is_that_of_steps(study, networks):
    table = named(training_steps(study.results.tables["steps.csv"], networks), networks)
    both = study.results.tables["steps.csv"].merge(
        table, on=["model", "fold", "metric", "step"], suffixes=("_table", "")
    )
    assert len(both) == len(study.results.tables["steps.csv"]) == len(table)
    for column in ("accuracy", "unseen", "seen", "unseen_sd"):
        known = both[(both["fold"] == "mean") & both[f"{column}_table"].notna()]
        assert len(known) > 0
        assert (known[column].astype(float) - known[f"{column}_table"].astype(float)).abs().max() <= 5e-4
    assert both.loc[both["step"] == 0, "accuracy"].isna().all()


def test_similarity_is_the_mean_over_folds_and_of_each(study, networks):
    table = named(layer_similarity(study.results.tables["layer_pairs.csv"], study.results.scores, networks), networks)
    assert len(table) == 2 * 4
    pairs = study.results.tables["layer_pairs.csv"].query("model == 'small'")
    for fold in ("mean", "1"):
        (row,) = table[(table["model"] == "small") & (table["fold"] == fold)].to_dict("records")
        own = pairs if fold == "mean" else pairs[pairs["fold"] == fold]
        known = own.groupby(["depth_a", "depth_b"])["cka"].mean()
        lower = [(b, a) for a in range(len(LAYERS)) for b in range(a + 1)]  # of (depth_a <= depth_b)
        assert row["value"] == pytest.approx([known[pair] for pair in lower], abs=5e-4)
        assert not row["pixels"]


def test_without_the_analysis_there_is_no_similarity(study, networks):
    empty = study.results.tables["layer_pairs.csv"].head(0)
    assert layer_similarity(empty, study.results.scores, networks)["value"] == []


def test_scores_of_classes_are_those_at_the_best_and_the_last_layer(study, networks):
    tables = study.results.tables
    columns = class_scores(tables["classes.csv"], tables["summary.csv"], study.results.scores, networks)
    table = named(columns, networks)
    assert set(table["metric"]) == {"knn_purity", "nn1_accuracy"}  # the means over images
    summary = tables["summary.csv"].query("fold == 'mean'").set_index(["model", "metric"])
    classes = tables["classes.csv"].set_index(["model", "fold", "metric", "split", "label", "depth"])["value"]
    assert len(table) == 2 * 3 * 2 * 2 * 5
    for row in itertools.islice(table.to_dict("records"), 0, None, 7):
        key = (row["model"], row["fold"], row["metric"], row["split"], row["label"])
        chosen = summary.loc[(row["model"], row["metric"]), "best_depth"]
        assert row["value_best"] == pytest.approx(classes[(*key, chosen)], abs=5e-4)
        assert row["value_last"] == pytest.approx(classes[(*key, len(LAYERS) - 1)], abs=5e-4)


def test_no_classes_no_rows(study, networks):
    tables = study.results.tables
    empty = class_scores(tables["classes.csv"].head(0), tables["summary.csv"], study.results.scores, networks)
    assert empty == {name: [] for name in ("network", "fold", "metric", "split", "label", "value_best", "value_last")}
