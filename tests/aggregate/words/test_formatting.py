import pytest

from stages.aggregate.words.formatting import layers, number, runs, short_names, shorten


def test_numbers_carry_their_standard_deviation_where_there_is_one():
    assert number(0.12345, 0.01) == "0.123 ± 0.010"
    assert number(0.12345) == "0.123"
    assert number(float("nan"), 0.1) == number(None) == "–"


@pytest.mark.parametrize(
    ("depths", "words"),
    [
        ([2], "layer 3"),
        ([2, 4], "layers 3 and 5"),
        ([2, 3], "layers 3 and 4"),
        ([0, 2, 3, 4, 7], "layers 1, 3-5 and 8"),
        ([0, 1, 2], "layers 1-3"),
    ],
)
def test_layers_are_named_by_their_runs(depths, words):
    assert layers(depths) == words
    assert runs(depths) == words.split(" ", 1)[1].replace(" and", ",")


def test_short_names_drop_the_shared_prefix_and_the_pooling():
    assert short_names(["vit.embeddings", "vit.encoder.layer.0@mean"]) == ["embeddings", "encoder.layer.0"]
    assert short_names(["stem", "stages.0"]) == ["stem", "stages.0"]
    assert short_names(["blocks.0", "blocks.1"]) == ["0", "1"]


def test_short_names_never_drop_a_whole_name():
    assert short_names(["encoder"]) == ["encoder"]
    assert short_names(["a.b", "a.b.c"]) == ["b", "b.c"]


def test_shorten_cuts_the_middle_to_the_limit():
    assert shorten("efficientnet_lite0", 18) == "efficientnet_lite0"
    assert shorten("abcdefghij", 6) == "abc…ij"
