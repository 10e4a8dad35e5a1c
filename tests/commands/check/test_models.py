"""The grid's models before a run: files of weights that are there, layers that the networks have."""

import hashlib
from pathlib import Path

import pytest

from stages.commands.check.command import check_networks
from stages.shared.runtime.errors import UserError
from tests.commands.edited import config

LAYERS = "models.efficientnet_lite0.taps.layers"


def test_a_file_of_weights_that_is_missing_or_another_is_named_before_training(tmp_path: Path):
    path = tmp_path / "mine.pth"
    weights = {"source": "file", "path": str(path), "sha256": hashlib.sha256(b"mine").hexdigest()[:16]}
    params = config({"models.efficientnet_lite0.network.weights": weights})
    where = r"models\.efficientnet_lite0\.network: weights\."
    with pytest.raises(UserError, match=rf"{where}path: .* found at .*mine\.pth: No such file"):
        check_networks(params)
    path.write_bytes(b"mine")
    check_networks(params)
    path.write_bytes(b"changed")
    with pytest.raises(UserError, match=rf"{where}sha256: .*mine\.pth must have a SHA-256 .* its content has changed"):
        check_networks(params)
    without = config({"models.efficientnet_lite0.network.weights": {"source": "file", "path": str(path)}})
    with pytest.raises(UserError, match=rf'{where}sha256 is missing: .*: sha256: "[0-9a-f]{{16}}"$'):
        check_networks(without)


def test_a_layer_that_is_not_in_its_network_is_named_before_training():
    with pytest.raises(UserError, match=r"models\.efficientnet_lite0: .*'block\.3' is not a module .*'blocks\.3'"):
        check_networks(config({LAYERS: ["blocks.6", "block.3"]}))
    check_networks(config({LAYERS: ["blocks.6", "blocks.3"]}))
