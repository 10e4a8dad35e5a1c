"""The grid's models before a run: files of weights that are there, layers that the networks have."""

from pathlib import Path

import pytest

from stages.commands.check.models import check_layers, check_weights
from stages.shared.console import UserError
from tests.commands.edited import config

LAYERS = "models.efficientnet_lite0.taps.layers"


def test_a_missing_file_of_weights_is_named_before_training(tmp_path: Path):
    weights = {"source": "file", "path": str(tmp_path / "mine.pth")}
    params = config({"models.efficientnet_lite0.network.weights": weights})
    with pytest.raises(
        UserError, match=r"models\.efficientnet_lite0\.network\.weights\.path: .* found none at .*mine\.pth"
    ):
        check_weights(params)
    (tmp_path / "mine.pth").touch()
    check_weights(params)


def test_a_layer_that_is_not_in_its_network_is_named_before_training():
    with pytest.raises(UserError, match=r"models\.efficientnet_lite0: .*'block\.3' is no module .* mean .*'blocks\.3'"):
        check_layers(config({LAYERS: ["blocks.6", "block.3"]}))
    check_layers(config({LAYERS: ["blocks.6", "blocks.3"]}))
