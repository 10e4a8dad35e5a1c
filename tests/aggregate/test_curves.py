import numpy as np
import pandas as pd
import pytest

from stages.aggregate import curves
from stages.aggregate.curves import KEYS, MEAN, mark_points
from stages.aggregate.tables.summary import check_main_score
from stages.core.inference.best import best_index, equally_best
from stages.core.scores.catalogue import SCORES
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import HEAD, typed
from stages.shared.workflow.params import RunParams
from tests.aggregate.synthetic import only_means

ONE = RunParams(datasets=["d"], models=["m"], folds=[0], seeds=[0])
TWO = RunParams(datasets=["d"], models=["m"], folds=[0], seeds=[0, 1])
THREE = RunParams(datasets=["d"], models=["m"], folds=[0], seeds=[0, 1, 2])


def point(
    layer, depth, pooling, value, *, fold="0", seed=0, split="unseen", step=0, metric="nmi", parameters=0, operations=0
):
    cell = {"dataset": "d", "model": "m", "fold": fold, "seed": seed}
    keys = cell | {"step": step, "split": split, "layer": layer, "depth": depth}
    keys |= {"pooling": pooling, "metric": metric, "value": value}
    keys |= {"parameters": parameters, "operations": operations}
    keys |= {"better": "higher"}
    return keys | {"chance": 0.1, "ceiling": 1.0, "n_images": 10, "n_classes": 2, "width": 4}


def average(layers, run, SCORES):
    """Means over the one fold that there is, which are those of the fold."""
    return only_means(curves.average(layers, run, SCORES))


def names(scores, pooling):
    curve = scores.curves[scores.curves["pooling"] == pooling]
    return list(zip(curve["depth"], curve["layer"], strict=True))


def test_the_main_curve_joins_the_poolings_it_uses_in_order_of_depth():
    rows = [point("a", 0, "mean", 0.1), point("b", 1, "class_token", 0.2), point("c", 2, "none", 0.3)]
    scores = average(typed(pd.DataFrame(rows)), ONE, SCORES)
    assert set(scores.curves["pooling"]) == {"mean+class_token"}
    assert names(scores, "mean+class_token") == [(0, "a"), (1, "b"), (2, "c")]
    assert scores.curves["main"].all()


def test_vectors_alone_are_named_none():
    scores = average(typed(pd.DataFrame([point("a", 0, "none", 0.1)])), ONE, SCORES)
    assert names(scores, "none") == [(0, "a")]


def test_a_further_pooling_borrows_only_identical_embeddings():
    rows = [point("a", 0, "max", 0.1), point("b", 1, "class_token", 0.2), point("b@mean", 1, "mean", 0.3)]
    rows += [point("c", 2, "mean", 0.4), point("d", 3, "none", 0.5)]
    scores = average(typed(pd.DataFrame(rows)), ONE, SCORES)
    assert names(scores, "mean") == [(1, "b@mean"), (2, "c"), (3, "d")]
    assert names(scores, "max+class_token+mean") == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
    assert list(scores.curves["main"]) == [True] * 4 + [False] * 3


def test_a_further_pooling_is_known_by_its_place_after_the_main_one():
    """The measure stage names every pooling of a layer by the module's path."""
    rows = [point(layer, depth, pooling, 0.1) for depth, layer in enumerate("ab") for pooling in ("mean", "max")]
    scores = average(typed(pd.DataFrame(rows)), ONE, SCORES)
    assert names(scores, "mean") == names(scores, "max") == [(0, "a"), (1, "b")]
    assert list(scores.curves["main"]) == [True, True, False, False]


def test_the_curve_of_token_0_goes_on_in_the_class_tokens_of_the_main_curve():
    """As with `embed.pooling: [auto, token0]` on PVT, which adds its class token late."""
    rows = [point("a", 0, "mean", 0.1), point("a@token0", 0, "token0", 0.2), point("b", 1, "class_token", 0.3)]
    scores = average(typed(pd.DataFrame(rows)), ONE, SCORES)
    assert set(scores.curves["pooling"]) == {"mean+class_token", "token0"}
    assert names(scores, "token0") == [(0, "a@token0"), (1, "b")]


def test_token_0_is_one_curve_where_it_becomes_a_class_token():
    """As with `embed.pooling: [mean, token0]`."""
    rows = [point("a", 0, "mean", 0.1), point("a@token0", 0, "token0", 0.2)]
    rows += [point("b", 1, "mean", 0.3), point("b@token0", 1, "class_token", 0.4)]
    scores = average(typed(pd.DataFrame(rows)), ONE, SCORES)
    assert set(scores.curves["pooling"]) == {"mean", "token0"}
    assert names(scores, "token0") == [(0, "a@token0"), (1, "b@token0")]


def test_a_class_token_beside_means_keeps_its_name():
    rows = [point("a", 0, "mean", 0.1), point("b", 1, "mean", 0.3), point("b@auto", 1, "class_token", 0.4)]
    scores = average(typed(pd.DataFrame(rows)), ONE, SCORES)
    assert names(scores, "class_token") == [(1, "b@auto")]


def test_a_curve_tells_the_pooling_of_every_layer():
    rows = [point("a", 0, "mean", 0.1), point("a", 0, "max", 0.2), point("b", 1, "none", 0.3)]
    found = average(typed(pd.DataFrame(rows)), ONE, SCORES).curves
    assert list(zip(found["pooling"], found["embedding"], strict=True)) == [
        ("mean", "mean"),
        ("mean", "none"),
        ("max", "max"),
        ("max", "none"),
    ]


def test_means_and_standard_deviations_over_seeds():
    rows = [point("a", 0, "mean", value, seed=seed) for seed, value in enumerate([0.2, 0.5])]
    curve = average(typed(pd.DataFrame(rows)), TWO, SCORES).curves.iloc[0]
    assert curve["value"] == pytest.approx(0.35)
    assert curve["sd"] == pytest.approx(0.3 / 2**0.5)  # ddof = 1: sqrt(2 * 0.15 ** 2)


def test_one_seed_has_no_standard_deviation():
    assert average(typed(pd.DataFrame([point("a", 0, "mean", 0.2)])), ONE, SCORES).curves["sd"].isna().all()


def test_a_value_undefined_for_one_seed_leaves_the_mean_undefined():
    rows = [point("a", 0, "mean", value, seed=seed) for seed, value in enumerate([0.2, np.nan, 0.5])]
    assert average(typed(pd.DataFrame(rows)), THREE, SCORES).curves[["value", "sd"]].isna().all(axis=None)


def test_folds_count_alike_and_spread_over_their_means():
    values = {"0": (0.2, 0.4), "1": (0.7, 0.7)}
    rows = [
        point("a", 0, "mean", value, fold=fold, seed=seed)
        for fold, pair in values.items()
        for seed, value in enumerate(pair)
    ]
    run = RunParams(datasets=["d"], models=["m"], folds=[0, 1], seeds=[0, 1])
    scores = curves.average(typed(pd.DataFrame(rows)), run, SCORES)
    assert scores.curves["fold"].tolist() == ["0", "1", MEAN]
    assert scores.curves["value"].tolist() == pytest.approx([0.3, 0.7, 0.5])
    assert scores.curves["sd"].tolist() == pytest.approx([0.2 / 2**0.5, 0, 0.4 / 2**0.5])
    assert (scores.n_folds("0"), scores.n_folds(MEAN)) == (1, 2)


def test_folds_measured_differently_are_an_error():
    rows = [point("a", 0, "mean", 0.2, fold="0"), point("a", 0, "mean", 0.2, fold="1")]
    rows.append(point("b", 1, "mean", 0.3, fold="1"))
    run = RunParams(datasets=["d"], models=["m"], folds=[0, 1], seeds=[0])
    with pytest.raises(UserError, match=r"every fold must .* layer b is there for 1 of 2 folds;"):
        curves.average(typed(pd.DataFrame(rows)), run, SCORES)


def test_baseline_and_head_are_kept_apart_from_the_curves():
    rows = [point("pixels", -1, "none", 0.9), point("a", 0, "mean", 0.2), point(HEAD, 1, "none", 0.3)]
    rows.append(point(HEAD, None, "", 0.7, split="test", metric="accuracy"))
    scores = average(typed(pd.DataFrame(rows)), ONE, SCORES)
    assert list(scores.curves["layer"]) == ["a", HEAD]
    assert set(scores.curves["pixels"]) == {0.9}
    assert set(scores.curves["accuracy"]) == {0.7}


def test_a_baseline_of_another_step_serves_where_there_is_no_own():
    rows = [point("pixels", -1, "none", value, step=step) for step, value in ((0, 0.9), (10, 0.8))]
    rows += [point("a", 0, "mean", 0.2, step=step) for step in (0, 10, 20)]
    points = average(typed(pd.DataFrame(rows)), ONE, SCORES).curves.groupby("step")["pixels"]
    assert points.unique().map(list).to_dict() == {0: [0.9], 10: [0.8], 20: [0.9]}


def test_fold_all_is_no_fold_to_average_over():
    rows = [point("a", 0, "mean", value, fold=fold) for fold, value in (("0", 0.1), ("2", 0.3))]
    run = RunParams(datasets=["d"], models=["m"], folds=[0, 2, "all"], seeds=[0])
    scores = average(typed(pd.DataFrame(rows)), run, SCORES)
    assert (scores.folds, scores.curves["value"].tolist()) == (("0", "2"), [0.2])


def test_seeds_measured_differently_are_an_error():
    rows = [point("a", 0, "mean", 0.2, seed=0), point("a", 0, "mean", 0.2, seed=1), point("b", 1, "mean", 0.3, seed=1)]
    with pytest.raises(UserError, match=r"every seed must .* layer b is there for 1 of 2 seeds;"):
        average(typed(pd.DataFrame(rows)), TWO, SCORES)


def test_scores_of_matched_splits_alone_are_no_curve():
    """The analysis measures scores of its own, whether or not they were asked for."""
    matched = [point("a", 0, "mean", 0.5, split=split) for split in ("seen_matched", "unseen_matched")]
    scores = average(typed(pd.DataFrame([*matched, point("a", 0, "mean", 0.4, metric="ami")])), ONE, SCORES)
    assert set(scores.curves["metric"]) == {"ami"}


@pytest.mark.parametrize(
    ("values", "better", "index"),
    [
        ([1, 3, 3], "higher", 1),
        ([2, 1, 1], "lower", 1),
        ([np.nan, 0, 1], "lower", 1),
        ([1, 2], "neither", None),
        ([np.nan] * 2, "higher", None),
        ([0.3, np.inf, np.inf], "higher", 1),
        ([0.3, 0.5, 0.5 + 1e-16], "higher", 1),
        ([np.nan, 0.9999999999999996, 0.9999999999999997, 0.2], "higher", 1),
        ([900.0002, 900.0, 901.0], "lower", 0),
        ([0.5, 0.50001], "higher", 1),
    ],
)
def test_the_first_of_equally_good_layers_is_the_best(values, better, index):
    assert best_index(np.array(values, dtype=float), better) == index
    places = pd.MultiIndex.from_product(
        [["test", "unseen"], [0, 5], range(len(values))], names=["split", "step", "depth"]
    )
    rows = places.to_frame(index=False).assign(**dict.fromkeys(KEYS, "any"), value=np.tile(values, 4), better=better)
    points = mark_points(rows.astype({"value": float}))
    assert points.index[points["best"]].tolist() == [i * len(values) + index for i in range(4) if index is not None]
    assert points["last"].equals(points["step"] == 5)


def test_layers_within_rounding_of_the_best_are_equally_good_in_every_row():
    values = np.array([[0.2, 0.5, 0.5 - 1e-8], [np.nan, 0.1, 0.3], [np.nan] * 3])
    assert equally_best(values, "higher").tolist() == [[False, True, True], [False, False, True], [False] * 3]
    assert equally_best(values, "lower").tolist() == [[True, False, False], [False, True, False], [False] * 3]
    assert not equally_best(values, "neither").any()


def one_layer(value=0.3, better="higher", metric="nmi"):
    rows = [point("a", 0, "mean", value, seed=seed, metric=metric) for seed in (0, 1)]
    return curves.average(typed(pd.DataFrame(rows)).assign(better=better), TWO, SCORES)


def test_a_score_that_chooses_a_layer_may_be_the_main_one():
    check_main_score(one_layer(), "nmi")
    check_main_score(one_layer(better="lower", metric="collapse"), "collapse")


@pytest.mark.parametrize(
    ("scores", "main", "message"),
    [
        ({}, "nmy", r"aggregate\.main_metric: must be a score .*found 'nmy': did you mean 'nmi'"),
        ({"value": np.nan}, "nmi", "must be a score by which a layer is best on unseen classes, found 'nmi'"),
        ({"better": "neither"}, "nmi", "must be a score by which a layer is best on unseen classes, found 'nmi'"),
    ],
)
def test_another_is_refused_with_the_reason(scores, main, message):
    with pytest.raises(UserError, match=message):
        check_main_score(one_layer(**scores), main)


def test_a_main_score_that_chooses_no_layer_of_one_network_is_refused():
    rows = [point("a", 0, "mean", v, seed=s) | {"model": m} for m, v in (("m", 0.3), ("n", np.nan)) for s in (0, 1)]
    scores = curves.average(typed(pd.DataFrame(rows)), TWO.model_copy(update={"models": ["m", "n"]}), SCORES)
    with pytest.raises(UserError, match="d, n: nmi has no finite value at any layer"):
        check_main_score(scores, "nmi")
