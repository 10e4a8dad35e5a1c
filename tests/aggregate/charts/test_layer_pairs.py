import numpy as np
import pandas as pd
import pytest

from stages.aggregate.charts.network_figures import layer_pairs_figure, matrix
from tests.aggregate.charts.drawing import Drawing


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


def test_layer_pairs_have_a_matrix_per_split_with_names_and_numbers_the_input_first():
    matrices = {split: matrix(rows) for split, rows in layer_pairs().groupby("split")}
    drawing = Drawing(layer_pairs_figure(matrices, ("a message", "details")))
    assert {"(a) images of seen classes", "(b) images of unseen classes", "linear CKA"} <= set(drawing.texts)
    assert [drawing.texts.count(name) for name in ("raw pixels", "1 stem", "2 blocks.0")] == [4] * 3
    expected = [0, 1, 2] * 3
    cells = [mark for mark in drawing.marks if mark.kind == "rect mark"][:9]
    assert [cell.values["a"] for cell in cells] == expected
    assert [cell.values["value"] for cell in cells] == pytest.approx([1, 0.11, 0.21, 0.11, 1, 0.31, 0.21, 0.31, 1])
    assert [text for text in drawing.texts if text in ("1.00", "0.11", "0.21", "0.31")][:3] == ["1.00", "0.11", "0.21"]
    y = [text for text in drawing.texts if text in ("raw pixels", "1 stem", "2 blocks.0")]
    assert y.index("raw pixels") < y.index("2 blocks.0")
