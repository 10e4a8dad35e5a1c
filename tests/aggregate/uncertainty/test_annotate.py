"""What is known of scores is put beside them: every row by its cell, every point of a curve by its embedding."""

import pandas as pd
import pytest

from stages.aggregate.curves import COMPARISONS, EMBEDDING, INTERVALS, POINT, average
from stages.aggregate.tables.columns import stack, typed
from stages.aggregate.uncertainty.annotate import CELL_EMBEDDING, Uncertainty, add_uncertainty
from stages.shared.metric_table import HEAD
from stages.shared.metric_table import typed as typed_records
from stages.shared.params import RunParams
from tests.aggregate.test_curves import point

RUN = RunParams(datasets=["d"], models=["m"], folds=[0], seeds=[0, 1])
NOTHING = pd.DataFrame()


@pytest.fixture
def layers():
    """A layer with two poolings, one that stands on both curves, and the head."""
    rows = [
        point(*embedding, 0.5, seed=seed, step=step)
        for embedding in (("a", 0, "mean"), ("a", 0, "max"), ("b", 1, "none"))
        for seed in (0, 1)
        for step in (0, 5)
    ]
    rows += [point(HEAD, None, "", 0.9, seed=s, split="test", step=5, metric="accuracy") for s in (0, 1)]
    return typed_records(pd.DataFrame(rows)).assign(better="higher")


def uncertainty(cells=NOTHING, points=NOTHING, curves=NOTHING):
    return Uncertainty(
        stack([cells], CELL_EMBEDDING | INTERVALS),
        stack([points], EMBEDDING | INTERVALS),
        stack([curves], POINT | COMPARISONS),
        classes=NOTHING,
        subsets=NOTHING,
        without=[],
    )


def of(layer, pooling, low, **further):
    keys = {"dataset": "d", "model": "m", "metric": "nmi", "step": 5, "split": "unseen", "layer": layer}
    return keys | {"pooling": pooling, "ci_images_low": low} | further


def test_every_cell_has_its_own_interval(layers):
    cells = pd.DataFrame([of("a", "max", 0.1, fold="0", seed=0), of("a", "max", 0.2, fold="0", seed=1)])
    rows, _ = add_uncertainty(layers, average(layers, RUN), uncertainty(cells=cells))
    assert rows[list(layers.columns)].equals(layers)
    found = rows[rows["ci_images_low"].notna()][["layer", "pooling", "step", "seed", "ci_images_low"]]
    assert found.to_numpy().tolist() == [["a", "max", 5, 0, 0.1], ["a", "max", 5, 1, 0.2]]


def test_a_layer_that_stands_on_two_curves_has_its_interval_on_both(layers):
    points = pd.DataFrame([of("a", "mean", 0.1), of("b", "none", 0.3)])
    _, scores = add_uncertainty(layers, average(layers, RUN), uncertainty(points=points))
    last = scores.curves[scores.curves["step"] == 5].set_index(["pooling", "layer"])["ci_images_low"]
    assert last.dropna().to_dict() == {("mean", "a"): 0.1, ("mean", "b"): 0.3, ("max", "b"): 0.3}
    assert scores.curves.loc[scores.curves["step"] == 0, "ci_images_low"].isna().all()


def test_comparisons_are_those_of_the_curve(layers):
    scores = average(layers, RUN)
    last = scores.curves[(scores.curves["step"] == 5) & scores.curves["main"]]
    compared = typed(last.assign(in_best_set=[True, False], lead=0.25), POINT | COMPARISONS)
    _, scores = add_uncertainty(layers, scores, uncertainty(curves=compared))
    assert scores.curves["in_best_set"].count() == scores.curves["lead"].count() == 2
    assert set(scores.curves.loc[scores.curves["lead"].notna(), "pooling"]) == {"mean"}


def test_the_networks_accuracy_has_its_interval(layers):
    head = of(HEAD, "", 0.8, ci_images_high=0.95) | {"metric": "accuracy", "split": "test"}
    _, scores = add_uncertainty(layers, average(layers, RUN), uncertainty(points=pd.DataFrame([head])))
    assert scores.accuracy[["ci_images_low", "ci_images_high"]].to_numpy().tolist() == [[0.8, 0.95]]


def test_where_nothing_is_known_all_columns_are_there(layers):
    rows, scores = add_uncertainty(layers, average(layers, RUN), uncertainty())
    assert rows[list(INTERVALS)].isna().all(axis=None)
    assert scores.curves[[*INTERVALS, *COMPARISONS]].isna().all(axis=None)
