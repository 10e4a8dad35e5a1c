from types import SimpleNamespace

import pandas as pd

from stages.aggregate.network_data import CLASS_KEYS, class_scores, last_rows, score_images
from stages.core.scores.catalogue import LAYER_SCORES
from stages.shared.tables.metric_table import HEAD, typed
from tests.aggregate.test_curves import point


def test_scores_of_each_class_are_means_over_its_images_and_the_seeds():
    images = []
    for values in ([1, 0, 0.5], [1, 1, 0]):
        place = {"step": 4, "split": "unseen", "layer": "x", "pooling": "mean", "group": ""}
        images += [place | {"sample_id": str(i), "label": "bab"[i], "nn1_accuracy": v} for i, v in enumerate(values)]
        place |= {"split": "test", "layer": HEAD, "pooling": ""}
        images += [place | {"sample_id": str(i), "label": "c", "accuracy": v} for i, v in enumerate((1.0, 0.5))]
    places = [("x", 0, "mean", "unseen", "nn1_accuracy"), (HEAD, None, "", "test", "accuracy")]
    places += [("x", 0, "mean", "unseen", "knn_purity")]  # whose contributions were not kept
    rows = [
        point(layer, depth, pooling, 0.5, seed=seed, step=4, split=split, metric=metric)
        for layer, depth, pooling, split, metric in places
        for seed in (0, 1)
    ]
    table = pd.concat(class_scores(typed(pd.DataFrame(rows)), pd.DataFrame(images)))
    assert list(table.columns) == [*CLASS_KEYS, "step", "label", "n_images", "value"]
    shown = table[["layer", "metric", "label", "n_images", "value"]].to_numpy().tolist()
    assert shown == [
        ["x", "nn1_accuracy", "a", 1, 0.5],
        ["x", "nn1_accuracy", "b", 2, 0.625],
        [HEAD, "accuracy", "c", 2, 0.75],
    ]


def test_images_are_counted_of_the_classes_that_are_there():
    place = {"step": 0, "layer": "x", "pooling": "mean", "group": "", "nn1_accuracy": 1.0}
    images = pd.DataFrame([place | {"sample_id": str(i), "split": "unseen", "label": "aab"[i]} for i in range(3)])
    images["label"] = images["label"].astype(pd.CategoricalDtype(["a", "b", "seen"]))  # of both splits
    layers = typed(pd.DataFrame([point("x", 0, "mean", 1.0, seed=0, fold="2", metric="nn1_accuracy")]))
    run = SimpleNamespace(seeds=[0])
    assert score_images(lambda *_: images, layers, run, LAYER_SCORES).least == {"2": 1}


def test_the_last_rows_of_a_score_are_those_of_seen_and_unseen_images():
    rows = [point("a", 0, "mean", 0.1, split=split, step=step) for split in ("unseen", "test") for step in (0, 5)]
    rows += [point("a", 0, "mean", 0.2, split=split, step=9) for split in ("unseen_matched", "blur_1")]
    rows += [point("a", 0, "mean", 0.3, metric="ami")]
    found = last_rows(typed(pd.DataFrame(rows)))
    assert found[["metric", "split", "step"]].to_numpy().tolist() == [
        ["nmi", "unseen", 5],
        ["nmi", "test", 5],
        ["ami", "unseen", 0],
    ]
