import numpy as np
import pandas as pd
import pytest

from stages.aggregate.contributions import Images
from stages.aggregate.curves import INTERVALS, average
from stages.aggregate.params import AggregateParams
from stages.aggregate.uncertainty.bootstrap import WIDTHS
from stages.aggregate.uncertainty.intervals import CI, LEAD, Resamples, add_intervals
from stages.shared.metric_table import HEAD, typed
from stages.shared.params import RunParams
from tests.aggregate.test_curves import point

RUN = RunParams(datasets=["d"], models=["m"], seeds=[0, 1])
PARAMS = AggregateParams(main_metric="nmi", resamples=400, seed=0)
N, CLASSES = 200, 4
HEIGHTS = {"a": 0.3, "b": 0.75, "c": 0.7, "pixels": 0.2}
DEPTHS = {"a": 0, "b": 1, "c": 2, "pixels": -1}


def place(layer):
    return layer, "none" if layer == "pixels" else "mean"


def contributions(rng, seeds=2):
    """0 or 1 of every image, seed and layer; the seeds agree on every image."""
    rank = {layer: rng.random(N) for layer in HEIGHTS}
    blocks = [
        {(3, "unseen", *place(layer)): {"nn1_accuracy": (rank[layer] < height).astype(np.float32)}
         for layer, height in HEIGHTS.items()}
        for _ in range(seeds)
    ]  # fmt: skip
    return Images({"unseen": np.repeat([f"class {i}" for i in range(CLASSES)], N // CLASSES)}, blocks)


def rows_of(images, better="higher", metric="nn1_accuracy"):
    rows = [
        point(layer, DEPTHS[layer], pooling, float(block[metric].mean()), seed=seed, step=step, metric=metric)
        for seed, blocks in enumerate(images.blocks)
        for (step, _, layer, pooling), block in blocks.items()
    ]
    return typed(pd.DataFrame(rows)).assign(better=better, **dict.fromkeys(INTERVALS, np.nan))


def weighed(images, layers=None, better="higher", params=PARAMS, dataset="d"):
    layers = rows_of(images, better) if layers is None else layers
    return add_intervals(layers, average(layers, RUN), images, [0, 1], Resamples(dataset, images, params))


@pytest.fixture(scope="module")
def images():
    return contributions(np.random.default_rng(0))


def test_a_cells_interval_is_that_of_a_stratified_proportion(images):
    layers, _ = weighed(images)
    for row, block in zip(layers.itertuples(), [b for blocks in images.blocks for b in blocks.values()], strict=True):
        of_class = block["nn1_accuracy"].astype(float).reshape(CLASSES, -1)
        error = WIDTHS["nn1_accuracy"].factor * float(np.sqrt(of_class.var(axis=1).mean() / N))  # equal strata
        assert row.ci_images_low == pytest.approx(row.value - 1.96 * error, abs=0.4 * error)
        assert row.ci_images_high == pytest.approx(row.value + 1.96 * error, abs=0.4 * error)


def test_seeds_are_drawn_jointly(images):
    """Seeds that agree on every image leave the interval of their mean as wide as one seed's."""
    layers, scores = weighed(images)
    one = layers[(layers["seed"] == 0) & (layers["layer"] == "b")].iloc[0]
    curve = scores.curves[scores.curves["layer"] == "b"].iloc[0]
    assert curve[CI].tolist() == pytest.approx(one[CI].tolist())


def test_layers_are_compared_with_the_best(images):
    _, scores = weighed(images)
    assert scores.curves["in_best_set"].tolist() == [False, True, True]
    frequency = scores.curves["selection_frequency"].to_numpy()
    assert frequency.sum() == pytest.approx(1)
    assert frequency.argmax() == scores.curves["value"].to_numpy().argmax()


def test_the_lead_over_the_last_layer_is_the_curves(images):
    _, scores = weighed(images)
    value, low, high = scores.curves[LEAD].iloc[0]
    assert low < value < high
    assert (scores.curves[LEAD].nunique() == 1).all()
    first, last = (scores.curves.iloc[i]["value"] for i in (1, 2))
    assert value < max(first - last, 0) + 1e-9  # without the advantage of choosing on the same images


def test_where_lower_is_better_the_lowest_layer_is_chosen(images):
    _, scores = weighed(images, better="lower")
    assert scores.curves["selection_frequency"].tolist() == [1, 0, 0]
    assert scores.curves["in_best_set"].tolist() == [True, False, False]
    assert scores.curves["lead"].iloc[0] == pytest.approx(0.4, abs=0.1)


def test_where_neither_is_better_there_are_intervals_alone(images):
    _, scores = weighed(images, better="neither")
    assert scores.curves[CI].notna().all(axis=None)
    assert scores.curves[["selection_frequency", "in_best_set", *LEAD]].isna().all(axis=None)


def test_draws_depend_on_the_seed_and_the_dataset_alone(images):
    one, same = weighed(images)[0], weighed(images)[0]
    pd.testing.assert_frame_equal(one, same)
    for other in (weighed(images, params=PARAMS.model_copy(update={"seed": 1})), weighed(images, dataset="e")):
        assert not one[CI].equals(other[0][CI])


def test_other_steps_have_no_interval(images):
    layers = rows_of(images)
    layers = pd.concat([layers, layers.assign(step=0)], ignore_index=True)
    filled, scores = weighed(images, layers)
    assert filled.loc[filled["step"] == 0, CI].isna().all(axis=None)
    assert filled.loc[filled["step"] == 3, CI].notna().all(axis=None)
    assert scores.curves.loc[scores.curves["step"] == 0, [*CI, "lead"]].isna().all(axis=None)


def test_a_curve_borrows_the_contributions_of_the_pooling_it_shows():
    rng = np.random.default_rng(1)
    images = contributions(rng)
    for blocks in images.blocks:
        blocks[3, "unseen", "a", "max"] = {"nn1_accuracy": (rng.random(N) < 0.9).astype(np.float32)}
    _, scores = weighed(images)
    curves = scores.curves.set_index(["pooling", "layer"])
    assert (curves["ci_images_low"] < curves["value"]).all()
    assert (curves["ci_images_high"] > curves["value"]).all()
    assert list(curves.loc["max"].index) == ["a"]
    assert curves.loc[("max", "a"), "ci_images_low"] > curves.loc[("mean", "a"), "ci_images_high"]


def test_the_networks_own_accuracy_has_an_interval(images):
    labels = images.labels | {"test": np.repeat(["x", "y"], 50)}
    own = {(3, "test", HEAD, ""): {"accuracy": np.repeat([1, 0], [80, 20]).astype(np.float32)}}
    head = [point(HEAD, None, "", 0.8, seed=seed, step=3, split="test", metric="accuracy") for seed in (0, 1)]
    layers = pd.concat([rows_of(images), typed(pd.DataFrame(head)).assign(better="higher")], ignore_index=True)
    filled, scores = weighed(Images(labels, [blocks | own for blocks in images.blocks]), layers)
    low, high = scores.accuracy.iloc[0][CI]
    assert low == pytest.approx(0.8 - 1.96 * np.sqrt(0.24 / 50) / 2, abs=0.02)  # the second class alone varies
    assert high == pytest.approx(0.8 + 1.96 * np.sqrt(0.24 / 50) / 2, abs=0.02)
    assert filled.iloc[-1][CI].tolist() == pytest.approx([low, high])


def test_a_layer_without_a_value_is_never_in_the_best_set(images):
    broken = Images(images.labels, [dict(blocks) for blocks in images.blocks])
    for blocks in broken.blocks:
        blocks[3, "unseen", "b", "mean"] = {"nn1_accuracy": np.full(N, np.nan, np.float32)}
    _, scores = weighed(broken)
    assert scores.curves["in_best_set"].tolist() == [False, False, True]
    assert scores.curves["selection_frequency"].tolist() == [0, 0, 1]
    assert scores.curves[CI].isna().to_numpy().tolist() == [[False] * 2, [True] * 2, [False] * 2]
