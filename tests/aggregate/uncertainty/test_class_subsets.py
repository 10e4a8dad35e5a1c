import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from stages.aggregate.contributions import Contributions
from stages.aggregate.curves import EMBEDDING, average
from stages.aggregate.uncertainty.class_subsets import (
    SUBSET_COLUMNS,
    class_ranges,
    detection_subsets,
    mean_subsets,
    proper_subsets,
    subset_agreement,
)
from stages.shared.metric_table import typed
from stages.shared.params import RunParams
from tests.aggregate.test_curves import point

RUN = RunParams(datasets=["d"], models=["m"], folds=[0], seeds=[0, 1])
VALUES = {"a": (0.5, 0.6), "b": (0.3, 0.4)}
SUBSETS = {  # left out -> layer -> value of each seed
    "": {"a": (0.9, 0.9), "b": (0.0, 0.0)},
    "k": {"a": (0.5, 0.8), "b": (0.2, 0.4)},
    "l": {"a": (0.2, 0.4), "b": (0.6, 0.1)},  # means .30 .35
    "k;l": {"a": (0.6, 0.2), "b": (0.1, 0.3)},
}


def subset_rows(pooling="mean"):
    keys = {"dataset": "d", "model": "m", "step": 5, "split": "unseen", "pooling": pooling, "metric": "nmi"}
    return pd.DataFrame(
        [
            dict(keys, seed=seed, layer=layer, depth="ab".index(layer), left_out=left_out, n_classes=2, value=value)
            for left_out, layers in SUBSETS.items()
            for layer, values in layers.items()
            for seed, value in enumerate(values)
        ]
    )


def agreement(better="higher", subsets=None):
    """`subset_agreement` of the one curve: a value for each unseen point."""
    rows = [
        point(layer, "ab".index(layer), "mean", values[seed], seed=seed, step=5, split=split)
        for split in ("unseen", "test")
        for layer, values in VALUES.items()
        for seed in (0, 1)
    ]
    curves = average(typed(pd.DataFrame(rows)).assign(better=better), RUN).curves
    found = subset_agreement(curves, mean_subsets(proper_subsets(subset_rows() if subsets is None else subsets)))
    assert set(found["split"]) <= {"unseen"}
    return found["subset_agreement"].tolist()


def test_a_cell_ranges_over_its_own_subsets():
    ranges = class_ranges(proper_subsets(subset_rows()), [*EMBEDDING, "seed"]).set_index(["layer", "seed"])
    assert ranges.loc[("a", 1), ["range_classes_low", "range_classes_high"]].tolist() == [0.2, 0.8]


def test_a_curve_ranges_over_the_means_of_its_seeds():
    ranges = class_ranges(mean_subsets(proper_subsets(subset_rows())), list(EMBEDDING)).set_index("layer")
    assert ranges["range_classes_low"].to_dict() == pytest.approx({"a": 0.3, "b": 0.2})
    assert ranges["range_classes_high"].to_dict() == pytest.approx({"a": 0.65, "b": 0.35})


@pytest.mark.parametrize(("better", "shares"), [("higher", [2 / 3] * 2), ("lower", [2 / 3] * 2), ("neither", [])])
def test_the_best_layer_agrees_with_those_of_the_subsets(better, shares):
    """The highest is a, and a in all but l; the lowest is b, and b in all but l."""
    assert agreement(better) == pytest.approx(shares)


def test_a_class_may_be_named_like_a_column():
    subsets = subset_rows().replace({"left_out": {"k": "layer", "l": "step"}})
    assert agreement(subsets=subsets) == pytest.approx([2 / 3] * 2)


def test_without_subsets_or_with_those_of_another_pooling_nothing_is_said():
    for subsets in (subset_rows().head(0), subset_rows("max")):
        assert agreement(subsets=subsets) == []


def test_a_layer_that_ties_with_the_best_agrees():
    subsets = subset_rows()
    tied = subsets.assign(value=np.where(subsets["layer"] == "b", 0.5 + 1e-15, 0.5))
    assert agreement(subsets=tied) == [1.0, 1.0]


def test_detection_is_scored_on_the_same_subsets():
    """Left out: `k`, and the class whose name is `l;\\`; against scikit-learn on the images that are left."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["k", "l;\\", "o"], [10, 5, 12])
    contributions = Contributions({"test": np.repeat(["s", "t"], 20), "unseen": labels}, {
        seed: {(5, split, layer, "mean"): {"ood_knn": rng.normal(shift, 1, size)}
               for split, size, shift in (("test", 40, 0), ("unseen", 27, 1)) for layer in "ab"}
        for seed in (0, 1)
    })  # fmt: skip
    layers = pd.DataFrame(
        [point(x, i, "mean", 0.5, seed=s, step=5, metric="ood_auroc_knn") for i, x in enumerate("ab") for s in (0, 1)]
    )
    subsets = subset_rows().replace({"left_out": {"l": r"l\;\\", "k;l": r"k;l\;\\"}})
    found = detection_subsets(layers, contributions, subsets)
    assert list(found.columns) == list(SUBSET_COLUMNS)
    assert len(found) == 4 * 2 * 2
    for row in found.itertuples():
        block = contributions.blocks[row.seed]
        gone = {"": [], "k": ["k"], r"l\;\\": ["l;\\"], r"k;l\;\\": ["k", "l;\\"]}[row.left_out]
        values = [block[5, "test", row.layer, "mean"]["ood_knn"], block[5, "unseen", row.layer, "mean"]["ood_knn"]]
        values[1] = values[1][~np.isin(labels, gone)]
        truth = np.repeat([0, 1], [len(v) for v in values])
        assert row.value == pytest.approx(roc_auc_score(truth, np.concatenate(values)), abs=1e-6)


def test_without_subsets_detection_has_none():
    layers = pd.DataFrame([point("a", 0, "mean", 0.5, metric="ood_auroc_knn", step=5)])
    none = subset_rows().iloc[:0]
    assert detection_subsets(layers, Contributions({}, {}), none).empty
