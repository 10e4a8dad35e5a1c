import numpy as np
import pandas as pd

from stages.aggregate.inference.contributions import Contributions
from stages.aggregate.tables.classes import CLASS_COLUMNS, class_scores
from stages.shared.tables.metric_table import HEAD, typed
from tests.aggregate.test_curves import point


def test_scores_of_each_class_are_means_over_its_images_and_the_seeds():
    labels = {"unseen": np.array(["b", "a", "b"]), "test": np.array(["c", "c"])}
    columns = [{"nn1_accuracy": [1, 0, 0.5], "collapse": [1, 2, 3]}, {"nn1_accuracy": [1, 1, 0], "collapse": [1, 2, 3]}]
    blocks = [
        {
            (4, "unseen", "x", "mean"): {name: np.array(values) for name, values in seed.items()},
            (4, "test", HEAD, ""): {"accuracy": np.array([1.0, 0.5])},
        }
        for seed in columns
    ]
    rows = [
        point("x", 0, "mean", 0.5, seed=seed, step=step, metric=metric)
        for metric in ("nn1_accuracy", "collapse", "nmi")
        for step in (0, 4)
        for seed in (0, 1)
    ]
    rows += [point(HEAD, None, "", 0.75, seed=seed, step=4, split="test", metric="accuracy") for seed in (0, 1)]
    table = class_scores(typed(pd.DataFrame(rows)), Contributions(labels, {}, dict(enumerate(blocks))))
    assert tuple(table.columns) == tuple(CLASS_COLUMNS)
    shown = table[["layer", "metric", "label", "n_images", "value"]].to_numpy().tolist()
    assert shown == [
        ["x", "nn1_accuracy", "a", 1, 0.5],
        ["x", "nn1_accuracy", "b", 2, 0.625],
        [HEAD, "accuracy", "c", 2, 0.75],
    ]
