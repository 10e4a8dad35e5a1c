import itertools

import pandas as pd
import pytest

from stages.aggregate.facts import best_network
from stages.aggregate.render.page.data import all_networks, answers, best_layers, class_scores
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
    table = named(best_layers(study.results.tables["summary.csv"], networks), networks)
    rows = study.results.tables["summary.csv"]
    both = rows.merge(table, on=["model", "fold", "metric"], suffixes=("_table", ""), validate="1:1")
    assert len(both) == len(rows)
    assert both["best_depth"].tolist() == both["best_depth_table"].tolist()
    for column in ("unseen", "last_value"):
        assert (both[column].astype(float) - both[f"{column}_table"].astype(float)).abs().max() <= 5e-4
    means = both[both["fold"] == "mean"]
    assert (means["low"].astype(float) - means["ci_classes_low"]).abs().max() <= 5e-4


def test_answers_name_the_checkpoint_of_each_use_and_the_best_network(study, networks):
    table, found = named(answers(study.results.facts, networks), networks), study.results.facts.of_use()
    assert [tuple(row) for row in table[["model", "use", "metric", "step"]].to_numpy()] == [
        (each.model, each.use, each.metric, each.best.step) for each in found
    ]
    best = {(best_network(study.results.facts.of_use(use)).model, use) for use in {each.use for each in found}}
    assert {(row["model"], row["use"]) for row in table[table["best"]].to_dict("records")} == best


def test_scores_of_classes_are_those_at_the_best_and_the_last_layer_of_each_step(study, networks):
    known = pd.concat([study.results.classes, study.results.classes.assign(step=0)])
    table = named(class_scores(known, study.results.scores, networks), networks)
    assert set(table["metric"]) == {"knn_purity", "nn1_accuracy"}  # the means over images
    points = study.results.scores.points.query("fold == 'mean' and split == 'unseen' and main")
    best = points[points["best"]].set_index(["model", "metric", "step"])["depth"]
    keys = ["model", "fold", "metric", "step", "split", "label"]
    classes = known.set_index([*keys, "depth"])["value"]
    assert len(table) == 2 * 2 * 3 * 2 * 2 * 5
    for row in itertools.islice(table.to_dict("records"), 0, None, 7):
        key = tuple(row[name] for name in keys)
        chosen = best[row["model"], row["metric"], row["step"]]
        assert row["value_best"] == pytest.approx(classes[(*key, chosen)], abs=5e-4)
        assert row["value_last"] == pytest.approx(classes[(*key, len(LAYERS) - 1)], abs=5e-4)


def test_no_classes_no_rows(study, networks):
    empty = class_scores(study.results.classes.head(0), study.results.scores, networks)
    assert set(map(len, empty.values())) == {0}
