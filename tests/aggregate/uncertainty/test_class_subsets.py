import pandas as pd
import pytest

from stages.aggregate.uncertainty.class_subsets import SUBSET_COLUMNS, add_ranges, with_lead

CELL = {"dataset": "d", "model": "m", "seed": 0, "step": 9, "split": "unseen", "pooling": "mean", "metric": "nmi"}


def subset_rows(values):
    """One row for each fold, left-out classes and layer."""
    return pd.DataFrame(
        [
            CELL
            | {"fold": fold, "left_out": left, "n_classes": 4, "layer": f"l{depth}", "depth": depth, "value": value}
            for (fold, left), layers in values.items()
            for depth, value in enumerate(layers)
        ]
    )


def curve_points(fold, values):
    shared = {"dataset": "d", "model": "m", "fold": fold, "main": True, "pooling": "mean", "metric": "nmi"}
    shared |= {"split": "unseen", "step": 9, "better": "higher", "embedding": "mean"}
    return pd.DataFrame([shared | {"depth": i, "layer": f"l{i}", "value": v} for i, v in enumerate(values)])


VALUES = {("0", ""): [0.5, 0.4], ("0", "a"): [0.6, 0.3], ("0", "b"): [0.2, 0.5], ("1", "c"): [0.9, 0.1]}


def test_a_subset_is_compared_with_the_last_layer_on_the_same_subset():
    table = with_lead(subset_rows(VALUES)).set_index(["fold", "left_out", "layer"])
    assert list(table.reset_index().columns.sort_values()) == sorted(SUBSET_COLUMNS)
    assert table.loc[("0", "b", "l0"), "minus_last"] == pytest.approx(-0.3)
    assert table.loc[("0", "a", "l0"), "minus_last"] == pytest.approx(0.3)
    assert table.loc[("1", "c", "l1"), "minus_last"] == 0


def test_ranges_leave_the_whole_out_and_pool_folds_for_their_mean():
    subsets = with_lead(subset_rows(VALUES))
    found = add_ranges(pd.concat([curve_points("0", [0.5, 0.4]), curve_points("mean", [0.7, 0.25])]), subsets)
    found = found.set_index(["fold", "layer"])
    assert found.loc[("0", "l0"), ["range_classes_low", "range_classes_high"]].tolist() == [0.2, 0.6]
    assert found.loc[("mean", "l0"), ["range_classes_low", "range_classes_high"]].tolist() == [0.2, 0.9]
    assert found.loc[("0", "l1"), "subset_agreement"] == pytest.approx(1 / 2)
    assert found.loc[("mean", "l1"), "subset_agreement"] == pytest.approx(2 / 3)


def test_no_subsets_no_ranges():
    empty = with_lead(subset_rows(VALUES).head(0))
    assert add_ranges(curve_points("0", [0.5, 0.4]), empty).empty
