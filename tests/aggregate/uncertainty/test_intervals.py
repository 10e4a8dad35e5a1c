import numpy as np
import pandas as pd
import pytest

from stages.aggregate.contributions import Contributions
from stages.aggregate.curves import average
from stages.aggregate.metric_info import METRIC_INFO
from stages.aggregate.params import AggregateParams
from stages.aggregate.uncertainty.intervals import Resamples, compare_layers, resample
from stages.shared.metric_table import HEAD, typed
from stages.shared.params import RunParams
from tests.aggregate.test_curves import point

RUN = RunParams(datasets=["d"], models=["m"], folds=[0], seeds=[0, 1])
CI = ["ci_images_low", "ci_images_high"]
LEAD = ["lead", "lead_low", "lead_high"]
PARAMS = AggregateParams(main_metric="nmi", resamples=400, seed=0)
N, CLASSES = 200, 4
HEIGHTS = {"a": 0.3, "b": 0.75, "c": 0.7, "pixels": 0.2}
DEPTHS = {"a": 0, "b": 1, "c": 2, "pixels": -1}


def place(layer):
    return layer, "none" if layer == "pixels" else "mean"


def made(rng, seeds=2):
    """0 or 1 of every image, seed and layer; the seeds agree on every image."""
    rank = {layer: rng.random(N) for layer in HEIGHTS}
    blocks = {
        seed: {
            (3, "unseen", *place(layer)): {"nn1_accuracy": (rank[layer] < height).astype(np.float32)}
            for layer, height in HEIGHTS.items()
        }
        for seed in range(seeds)
    }
    return Contributions({"unseen": np.repeat([f"class {i}" for i in range(CLASSES)], N // CLASSES)}, blocks)


def rows_of(contributions, better="higher", metric="nn1_accuracy"):
    rows = [
        point(layer, DEPTHS[layer], pooling, float(block[metric].mean()), seed=seed, step=step, metric=metric)
        for seed, blocks in contributions.blocks.items()
        for (step, _, layer, pooling), block in blocks.items()
    ]
    return typed(pd.DataFrame(rows)).assign(better=better)


def estimated(contributions, layers=None, better="higher", params=PARAMS, dataset="d"):
    """Intervals of cells and of means, and the comparisons of the curves' points: three tables."""
    layers = rows_of(contributions, better) if layers is None else layers
    resamples = Resamples(dataset, contributions.labels, params)
    found = list(resample(layers, contributions, resamples))
    curves = average(layers, RUN).curves
    compared = [table for resampled in found for table in compare_layers(curves, resampled, resamples)]
    return (
        pd.concat([resampled.of_cells() for resampled in found], ignore_index=True),
        pd.concat([resampled.of_means() for resampled in found], ignore_index=True),
        pd.concat(compared, ignore_index=True) if compared else None,
    )


@pytest.fixture(scope="module")
def contributions():
    return made(np.random.default_rng(0))


def test_a_cells_interval_is_that_of_a_stratified_proportion(contributions):
    cells, _, _ = estimated(contributions)
    assert len(cells) == 2 * len(HEIGHTS)
    for row in cells.itertuples():
        values = contributions.blocks[row.seed][3, "unseen", row.layer, row.pooling]["nn1_accuracy"].astype(float)
        of_class = values.reshape(CLASSES, -1)
        error = METRIC_INFO["nn1_accuracy"].width.factor * float(np.sqrt(of_class.var(axis=1).mean() / N))
        assert row.ci_images_low == pytest.approx(values.mean() - 1.96 * error, abs=0.4 * error)  # equal strata
        assert row.ci_images_high == pytest.approx(values.mean() + 1.96 * error, abs=0.4 * error)


def test_seeds_are_drawn_jointly(contributions):
    """Seeds that agree on every image leave the interval of their mean as wide as one seed's."""
    cells, means, _ = estimated(contributions)
    one = cells[(cells["seed"] == 0) & (cells["layer"] == "b")].iloc[0]
    mean = means[means["layer"] == "b"].iloc[0]
    assert mean[CI].tolist() == pytest.approx(one[CI].tolist())


def test_layers_are_compared_with_the_best(contributions):
    _, _, curves = estimated(contributions)
    assert curves["layer"].tolist() == ["a", "b", "c"]
    assert curves["in_best_set"].tolist() == [False, True, True]
    frequency = curves["selection_frequency"].to_numpy()
    assert frequency.sum() == pytest.approx(1)
    assert frequency.argmax() == 1


def test_the_lead_over_the_last_layer_is_the_curves(contributions):
    _, _, curves = estimated(contributions)
    value, low, high = curves[LEAD].iloc[0]
    assert low < value < high
    assert (curves[LEAD].nunique() == 1).all()
    rows = rows_of(contributions).set_index(["seed", "layer"])["value"]
    assert value < max(rows[0, "b"] - rows[0, "c"], 0) + 1e-9  # without the advantage of choosing on the same images


def test_where_lower_is_better_the_lowest_layer_is_chosen(contributions):
    _, _, curves = estimated(contributions, better="lower")
    assert curves["selection_frequency"].tolist() == [1, 0, 0]
    assert curves["in_best_set"].tolist() == [True, False, False]
    assert curves["lead"].iloc[0] == pytest.approx(0.4, abs=0.1)


def test_where_neither_is_better_there_are_intervals_alone(contributions):
    _, means, curves = estimated(contributions, better="neither")
    assert means[CI].notna().all(axis=None)
    assert curves is None


def test_draws_depend_on_the_seed_and_the_dataset_alone(contributions):
    one, same = estimated(contributions)[0], estimated(contributions)[0]
    pd.testing.assert_frame_equal(one, same)
    others = (
        estimated(contributions, params=PARAMS.model_copy(update={"seed": 1})),
        estimated(contributions, dataset="e"),
    )
    for other in others:
        assert not one[CI].equals(other[0][CI])


def test_the_last_step_alone_has_intervals(contributions):
    layers = rows_of(contributions)
    layers = pd.concat([layers, layers.assign(step=0)], ignore_index=True)
    for table in estimated(contributions, layers):
        assert set(table["step"]) == {3}


def test_a_curve_borrows_the_contributions_of_the_pooling_it_shows():
    rng = np.random.default_rng(1)
    contributions = made(rng)
    for blocks in contributions.blocks.values():
        blocks[3, "unseen", "a", "max"] = {"nn1_accuracy": (rng.random(N) < 0.9).astype(np.float32)}
    _, means, curves = estimated(contributions)
    means = means.set_index(["pooling", "layer"])
    assert means.loc[("max", "a"), "ci_images_low"] > means.loc[("mean", "a"), "ci_images_high"]
    assert curves.set_index("pooling").loc[["max"], "layer"].tolist() == ["a"]


def test_the_networks_own_accuracy_has_an_interval(contributions):
    labels = contributions.labels | {"test": np.repeat(["x", "y"], 50)}
    own = {(3, "test", HEAD, ""): {"accuracy": np.repeat([1, 0], [80, 20]).astype(np.float32)}}
    head = [point(HEAD, None, "", 0.8, seed=seed, step=3, split="test", metric="accuracy") for seed in (0, 1)]
    layers = pd.concat([rows_of(contributions), typed(pd.DataFrame(head)).assign(better="higher")], ignore_index=True)
    blocks = {seed: block | own for seed, block in contributions.blocks.items()}
    _, means, _ = estimated(Contributions(labels, blocks), layers)
    low, high = means[means["metric"] == "accuracy"].iloc[0][CI]
    assert low == pytest.approx(0.8 - 1.96 * np.sqrt(0.24 / 50) / 2, abs=0.02)  # the second class alone varies
    assert high == pytest.approx(0.8 + 1.96 * np.sqrt(0.24 / 50) / 2, abs=0.02)


def test_a_layer_without_a_value_is_never_in_the_best_set(contributions):
    broken = Contributions(contributions.labels, {seed: dict(blocks) for seed, blocks in contributions.blocks.items()})
    for blocks in broken.blocks.values():
        blocks[3, "unseen", "b", "mean"] = {"nn1_accuracy": np.full(N, np.nan, np.float32)}
    _, means, curves = estimated(broken)
    assert curves["in_best_set"].tolist() == [False, False, True]
    assert curves["selection_frequency"].tolist() == [0, 0, 1]
    assert means.set_index("layer")["ci_images_low"].isna().to_dict() == {
        "a": False,
        "b": True,
        "c": False,
        "pixels": False,
    }
