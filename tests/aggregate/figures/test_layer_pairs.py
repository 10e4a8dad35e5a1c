import numpy as np
import pandas as pd
import pytest

from stages.aggregate.figures.frame import details_of, message_of
from stages.aggregate.figures.layer_pairs import layer_pairs_figure, matrix
from stages.aggregate.figures.style import Averages
from tests.aggregate.figures.drawing import check_layout, drawn


def layer_pairs(seeds=(0, 1), splits=("test", "unseen")):
    names = ["pixels", "stem", "blocks.0"]
    rows = [
        {"dataset": "handwriting", "model": "small", "seed": seed, "step": 100, "split": split, "layer_a": names[a]}
        | {"depth_a": a - 1, "pooling_a": "mean" if a else "none", "layer_b": names[b], "depth_b": b - 1}
        | {"pooling_b": "mean" if b else "none", "cka": 1.0 if a == b else 0.1 * (a + b) + 0.02 * seed}
        for seed in seeds
        for split in splits
        for a in range(3)
        for b in range(a, 3)
    ]
    return pd.DataFrame(rows)


def test_the_matrix_of_layer_pairs_is_symmetric_and_the_mean_over_seeds():
    layers, values = matrix(layer_pairs(splits=["unseen"]).sample(frac=1, random_state=0))
    assert layers == ["pixels", "stem", "blocks.0"]
    assert values == pytest.approx(np.array([[1, 0.11, 0.21], [0.11, 1, 0.31], [0.21, 0.31, 1]]))


def test_layer_pairs_have_a_matrix_per_split_with_names_and_numbers():
    figure = drawn(layer_pairs_figure, layer_pairs(), Averages(3, 2))
    heads = [ax.texts[-1].get_text() for ax in figure.axes[:2]]
    assert heads == ["images of seen classes", "images of unseen classes"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "raw pixels  px",
        "stem  1",
        "blocks.0  2",
    ]
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["px", "1", "2"]
    assert [text.get_text() for text in figure.axes[1].texts][:3] == ["1.00", "0.11", "0.21"]
    assert "mean of 3 folds, 2 seeds each" in details_of(figure)
    assert message_of(figure) == "On unseen classes the representation changes most from layer 1 to 2 of 2 (CKA 0.31)"
    check_layout(figure)
