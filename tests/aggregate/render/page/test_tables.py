import itertools

import pandas as pd
import pytest

from stages.aggregate.render.page.data import best_layers, class_scores, layer_similarity, training_steps
from stages.aggregate.render.page.networks import SPLITS, collect_names
from stages.aggregate.scope import is_proven
from tests.aggregate.render.page.made import HOSTILE, LAYERS


@pytest.fixture(scope="module")
def names(study):
    return collect_names(study.scores)


@pytest.fixture(scope="module")
def best(study, names):
    return best_layers(study.summary, names)


def named(columns, names):
    """The rows of a table of the page, places spelled out."""
    table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    table["model"] = [names.keys[i][1] for i in table.pop("network")]
    for column, known in (("fold", names.folds), ("metric", names.metrics), ("step", names.steps), ("split", SPLITS)):
        if column in table:
            table[column] = [known[i] for i in table[column]]
    return table


def test_best_layers_are_the_summarys(study, names, best):
    table = named(best, names)
    rows = study.tables["summary.csv"]
    both = rows.merge(table, on=["model", "fold", "metric"], suffixes=("_table", ""), validate="1:1")
    assert len(both) == len(rows)
    assert both["best"].tolist() == both["best_depth"].tolist()
    for column, own in {"value": "unseen", "last": "last_value", "lead": "lead_table", "pixels": "baseline"}.items():
        assert (both[column].astype(float) - both[own].astype(float)).abs().max() <= 5e-4
    means = both[both["fold"] == "mean"]
    assert (means["at_least"].astype(float) - means["lead_classes_at_least"]).abs().max() <= 5e-4
    assert set(means["scope"]) == {"classes"}
    tied = [";".join(map(str, depths)) for depths in means["tied"]]
    proven = [is_proven(metric, "classes") for metric in means["metric"]]
    known = means["tied_classes"].where(proven, "")  # no tie is claimed where no level is proven
    assert tied == known.tolist()
    assert any(proven)
    assert not all(proven)


def test_training_is_that_of_steps(study, names):
    table = named(training_steps(study.tables["steps.csv"], names), names)
    both = study.tables["steps.csv"].merge(table, on=["model", "fold", "metric", "step"], suffixes=("_table", ""))
    assert len(both) == len(study.tables["steps.csv"]) == len(table)
    for column in ("accuracy", "unseen", "seen", "unseen_sd"):
        known = both[(both["fold"] == "mean") & both[f"{column}_table"].notna()]
        assert len(known) > 0
        assert (known[column].astype(float) - known[f"{column}_table"].astype(float)).abs().max() <= 5e-4
    assert both.loc[both["step"] == 0, "accuracy"].isna().all()


def test_similarity_is_the_mean_over_folds_and_of_each(study, names):
    table = named(layer_similarity(study.tables["layer_pairs.csv"], names), names)
    assert len(table) == 2 * 4
    pairs = study.tables["layer_pairs.csv"].query("model == 'small'")
    for fold in ("mean", "1"):
        (row,) = table[(table["model"] == "small") & (table["fold"] == fold)].to_dict("records")
        own = pairs if fold == "mean" else pairs[pairs["fold"] == fold]
        known = own.groupby(["depth_a", "depth_b"])["cka"].mean()
        lower = [(b, a) for a in range(len(LAYERS)) for b in range(a + 1)]  # of (depth_a <= depth_b)
        assert row["value"] == pytest.approx([known[pair] for pair in lower], abs=5e-4)
        assert not row["pixels"]


def test_without_the_analysis_there_is_no_similarity(study, names):
    assert layer_similarity(study.tables["layer_pairs.csv"].head(0), names)["value"] == []


def test_scores_of_classes_are_those_at_the_best_and_the_last_layer(study, names, best):
    columns = class_scores(study.tables["classes.csv"], best, names)
    labels = columns.pop("labels")
    table = named(columns, names).assign(label=lambda rows: [labels[i] for i in rows["label"]])
    assert sorted(labels) == sorted([HOSTILE, *(f"class {i}" for i in range(1, 5))])
    assert set(table["metric"]) == {"knn_purity", "nn1_accuracy"}  # the means over images
    summary = study.tables["summary.csv"].query("fold == 'mean'").set_index(["model", "metric"])
    classes = study.tables["classes.csv"].set_index(["model", "fold", "metric", "split", "label", "depth"])["value"]
    assert len(table) == 2 * 3 * 2 * 2 * 5
    for row in itertools.islice(table.to_dict("records"), 0, None, 7):
        key = (row["model"], row["fold"], row["metric"], row["split"], row["label"])
        chosen = summary.loc[(row["model"], row["metric"]), "best_depth"]
        assert row["best"] == pytest.approx(classes[(*key, chosen)], abs=5e-4)
        assert row["last"] == pytest.approx(classes[(*key, len(LAYERS) - 1)], abs=5e-4)


def test_no_classes_no_rows(study, names, best):
    empty = class_scores(study.tables["classes.csv"].head(0), best, names)
    assert {name: len(values) for name, values in empty.items()} == dict.fromkeys(
        ["network", "fold", "metric", "split", "label", "best", "last", "labels"], 0
    )
