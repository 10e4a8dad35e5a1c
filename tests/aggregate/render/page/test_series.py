import pandas as pd
import pytest

from stages.aggregate.render.page.data import all_networks, all_series, main_curves, page_data
from tests.aggregate.render.page.made import HOSTILE, LAYERS, METRICS, MODELS


@pytest.fixture(scope="module")
def shown(study):
    """The page's curves, one point a row."""
    keys = ("dataset", "model", "fold", "metric", "split", "step")
    return pd.DataFrame(
        {name: row[name] for name in keys}
        | {
            "depth": depth,
            "shown": value,
            "band": row["band"],
            "low": row["low"] and row["low"][depth],
            "high": row["high"] and row["high"][depth],
            "best": row["best"] == depth,
            "tied": None if row["tied"] is None else depth in row["tied"],
            "chance_shown": row["chance"],
            "pixels": row["pixels"],
        }
        for row in all_series(study.results.scores)
        for depth, value in enumerate(row["value"])
    )


def test_names_are_the_grids(study):
    blob = page_data(study)
    assert all_networks(study.results.scores) == [("handwriting", model) for model in MODELS]
    assert blob["folds"] == ["mean", "0", "1", "2"]
    assert list(blob["metrics"]) == ["nmi", "ami", "knn_purity", "nn1_accuracy"]
    assert blob["steps"] == [0, 50, 100]
    assert set(blob["classes"]["label"]) == {HOSTILE, *(f"class {i}" for i in range(1, 5))}


def test_every_point_of_every_main_curve_is_there_once_and_rounded(study, shown):
    keys = ["dataset", "model", "fold", "metric", "split", "step", "depth"]
    both = main_curves(study.results.scores).merge(shown, on=keys, validate="1:1", suffixes=("", "_shown"))
    assert len(both) == len(shown) == 2 * 4 * len(METRICS) * 2 * 3 * len(LAYERS)
    assert (both["value"] - both["shown"]).abs().max() <= 5e-4
    assert (both["shown"].round(3) == both["shown"]).all()
    assert (both["chance"] - both["chance_shown"]).abs().max() <= 5e-4


def test_bands_and_ties_are_those_of_the_table_at_the_last_step(study, shown):
    last = shown[(shown["step"] == 100) & (shown["split"] == "unseen")]
    keys = ["model", "fold", "metric", "split", "depth"]
    both = study.results.tables["depth.csv"].merge(last, on=keys, suffixes=("_table", "_page"))
    means = both[both["fold"] == "mean"]
    assert len(means) == 2 * len(METRICS) * len(LAYERS)
    assert set(means["band"]) == {"classes"}
    assert (means["low"].astype(float) - means["ci_classes_low"]).abs().max() <= 5e-4
    assert (means["high"].astype(float) - means["ci_classes_high"]).abs().max() <= 5e-4
    assert means["tied"].astype(bool).tolist() == means["tied_classes"].astype(bool).tolist()
    single = both[both["fold"] != "mean"]
    assert set(single["band"]) == {"images"}
    assert (single["low"].astype(float) - single["ci_images_low"]).abs().max() <= 5e-4


def test_the_best_layer_is_chosen_by_the_exact_values(study, shown):
    keys = ["dataset", "model", "fold", "metric", "split", "step"]
    exact = main_curves(study.results.scores).sort_values("depth").groupby(keys)
    chosen = shown[shown["best"]].set_index(keys)["depth"]
    assert len(chosen) == len(exact)
    for key, curve in exact:
        assert chosen[key] == curve["depth"].iloc[curve["value"].to_numpy().argmax()]


def test_where_no_interval_is_known_the_band_is_one_deviation_over_folds(study, shown):
    first = shown[(shown["step"] == 0) & (shown["fold"] == "mean")]
    keys = ["model", "fold", "metric", "split", "step", "depth"]
    both = study.results.scores.curves.merge(first, on=keys, suffixes=("_table", "_page"))
    assert set(both["band"]) == {"sd"}
    assert (both["high"].astype(float) - both["value"] - both["sd"]).abs().max() <= 5e-4
    assert set(shown[(shown["step"] == 0) & (shown["fold"] == "1")]["band"]) == {""}


def test_raw_pixels_are_those_of_the_score_and_split(study, shown):
    keys = ["model", "fold", "metric", "split", "step"]
    layers = study.results.layers[study.results.layers["depth"] == -1]
    means = pd.concat([layers, layers.assign(fold="mean")]).groupby(keys, as_index=False)["value"].mean()
    both = means.merge(shown.drop_duplicates(keys), on=keys)
    assert len(both) == 2 * 4 * len(METRICS) * 2 * 3
    assert (both["value"] - both["pixels"]).abs().max() <= 5e-4
