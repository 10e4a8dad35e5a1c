"""Checkpoints into networks."""

from pathlib import Path

import torch
from accelerate import Accelerator

from stages.shared.checkpoints import CheckpointInfo, list_checkpoints, read_info, read_state
from stages.shared.console import UserError
from stages.shared.image_store import PackedImages
from stages.shared.networks.build import Network
from stages.shared.networks.params import NetworkParams


def checked_info(weights: Path, images: PackedImages, network_params: NetworkParams) -> CheckpointInfo:
    """Read what the checkpoints say of themselves.

    Raises:
        UserError: they are of another network or of other classes than asked for now.
    """
    info = read_info(list_checkpoints(weights)[-1])
    for what, found, expected in (
        ("network", info.network, network_params.model_dump()),
        ("classes", info.classes, images.seen),
    ):
        if found != expected:
            raise UserError(
                f"{weights}: the checkpoints' {what} must be {expected}, found {found}; "
                "run the finetune stage again (`dvc repro`)"
            )
    return info


def prepare_module(network: Network, accelerator: Accelerator) -> None:
    """Put a network into evaluation mode, on the device, in the memory format that suits it."""
    memory_format = torch.channels_last if network.convolutional else torch.preserve_format
    network.module.eval().to(accelerator.device).to(memory_format=memory_format)  # type: ignore[call-overload]


def load_checkpoint(network: Network, path: Path) -> None:
    """Load a checkpoint's tensors into a network.

    Raises:
        UserError: names or shapes differ.
    """
    try:
        network.module.load_state_dict(read_state(path))
    except RuntimeError as error:
        raise UserError(
            f"{path}: does not fit the network that params.yaml describes ({error}); if the network's library changed "
            "its version, run the finetune stage again (`dvc repro --force`)"
        ) from None
