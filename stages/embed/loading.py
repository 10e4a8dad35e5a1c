"""A cell's checkpoints: which there must be, what they say of themselves, and their weights into a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stages.shared.core.digests import cell_id, rerun_hint
from stages.shared.core.params import Cell, parse
from stages.shared.images.image_store import PackedImages
from stages.shared.networks.checkpoints import CheckpointInfo, open_checkpoints, read_info, read_state
from stages.shared.networks.network import Network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError


@dataclass(frozen=True)
class Checkpoints:
    """What the finetune stage left of a cell.

    Attributes:
        paths: by step, ascending.
        network: the `network` part of the model's entry.
        last: what the last of them says of itself.
    """

    paths: Mapping[int, Path]
    network: NetworkParams
    last: CheckpointInfo


def checked_checkpoints(weights: Path, images: PackedImages, cell: Cell | None = None) -> Checkpoints:
    """Check that a folder holds what the finetune stage wrote, of this dataset.

    Args:
        weights: the folder.
        images: the dataset.
        cell: whose they must be; None: any.

    Raises:
        UserError: naming the file that is missing or damaged, or is of other classes.
    """
    digests = open_checkpoints(weights, cell)
    names = sorted(digests.record.files)
    digests.check(*names)
    infos = {weights / name: read_info(weights / name) for name in names}
    path, last = [*infos.items()][-1]
    network = parse(last.network, NetworkParams, where=f"{path}: network")
    if last.classes != (classes := () if network.frozen else images.seen):
        remedy = rerun_hint("finetune", cell_id(cell) if cell else {})
        raise UserError(f"{path}: the checkpoint's classes must be {classes}, found {last.classes}; {remedy}")
    return Checkpoints({info.step: path for path, info in infos.items()}, network, last)


def load_checkpoint(network: Network, path: Path) -> None:
    """Load a checkpoint's tensors into a network; the head of a frozen network, which has none of its own, stays.

    Raises:
        UserError: names or shapes differ.
    """
    state = read_state(path)
    try:
        network.module.load_state_dict({**network.head_state(), **state})
    except RuntimeError as error:
        raise UserError(
            f"{path}: does not fit the network that params.yaml describes ({error}); if the network's library changed "
            f"its version, {rerun_hint('finetune')}"
        ) from None
