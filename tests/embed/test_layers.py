import pytest

from stages.embed.embedder import baseline_layers, pooled_layers
from stages.embed.params import EmbedParams
from stages.embed.taps.tap import Tap
from stages.shared.embeddings.embeddings import Layer
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import parse
from tests.pydantic_says import a

TAPS = [
    Tap("stem", 0, "nchw", False, 0, 8, 100, 1000),
    Tap("blocks.0", 1, "tokens", True, 1, 16, 300, 3000),
    Tap("head", 2, "vector", False, 0, 32, 700, 7000),
]
VALUES = {
    "splits": ["test", "unseen"], "pooling": ["auto"], "augment": False, "baseline_size": 8, "dtype": "float32",
    "batch_size": 128, "train_per_class": 0,
}  # fmt: skip


def test_the_first_pooling_keeps_the_modules_name_and_a_further_one_is_named_after_it():
    layers = [p.layer for p in pooled_layers(TAPS, ["auto", "mean", "max"])]
    assert layers == [
        Layer("stem", "stem", 0, "mean", 8, 100, 1000),
        Layer("stem@max", "stem", 0, "max", 8, 100, 1000),
        Layer("blocks.0", "blocks.0", 1, "class_token", 16, 300, 3000),
        Layer("blocks.0@mean", "blocks.0", 1, "mean", 16, 300, 3000),
        Layer("blocks.0@max", "blocks.0", 1, "max", 16, 300, 3000),
        Layer("head", "head", 2, "none", 32, 700, 7000),
    ]


def test_poolings_that_mean_the_same_are_kept_once():
    names = [p.layer.name for p in pooled_layers(TAPS, ["paper", "auto", "token0"])]
    assert names == ["stem", "stem@token0", "blocks.0", "head"]


def test_the_baseline_is_a_layer_before_the_first():
    assert baseline_layers(8) == [Layer("pixels", "", -1, "none", 192, 0, 0)]
    assert baseline_layers(0) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"splits": ["test", "test"]}, "embed.splits: must not repeat an entry"),
        ({"pooling": ["max", "max"]}, "embed.pooling: must not repeat an entry"),
        ({"augment": "no"}, f"embed.augment: {a('bool')}; found 'no'"),
        ({"batchsize": 3}, "embed.batchsize is not a parameter: did you mean 'batch_size' or 'baseline_size'?"),
    ],
)
def test_a_wrong_value_says_why(changes: dict[str, object], expected: str):
    with pytest.raises(UserError) as error:
        parse({**VALUES, **changes}, EmbedParams, where="embed")
    assert expected in str(error.value)
