"""A cell's checkpoints: which there are, what they say of themselves, and their weights into a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ..shared.images.image_store import PackedImages
from ..shared.networks.network import Network
from ..shared.networks.params import NetworkParams
from ..shared.networks.weights import CheckpointInfo, checkpoint_path, open_checkpoints, read_info, read_state
from ..shared.runtime.errors import UserError
from ..shared.workflow.digests import cell_id, rerun_hint
from ..shared.workflow.params import Cell


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
        UserError: naming the file that is missing or damaged, or of another step, network or classes.
    """
    digests, remedy = open_checkpoints(weights, cell), rerun_hint("finetune", cell_id(cell) if cell else {})
    digests.check(*digests.record.files)
    infos = sorted((read_info(weights / name) for name in digests.record.files), key=lambda info: info.step)
    paths = {info.step: checkpoint_path(weights, info.step) for info in infos}
    if not infos or {path.name for path in paths.values()} != set(digests.record.files):
        raise UserError(f"{weights}: must have a checkpoint of each step that names say, found {[*paths]}; {remedy}")
    last = infos[-1]
    try:
        network = NetworkParams.model_validate(last.network)
    except ValidationError as error:
        found = f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
        raise UserError(f"{weights}: must be of a network of this version, found {found}; {remedy}") from None
    classes = () if network.frozen else images.seen
    for info in infos:
        for what, expected in {"network": last.network, "classes": classes}.items():
            if (value := getattr(info, what)) != expected:
                path = paths[info.step]
                raise UserError(f"{path}: the checkpoint's {what} must be {expected}, found {value}; {remedy}")
    return Checkpoints(paths, network, last)


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
            f"{path}: does not fit the network that it says it is of ({error}); if the network's library changed "
            f"its version, {rerun_hint('finetune')}"
        ) from None
