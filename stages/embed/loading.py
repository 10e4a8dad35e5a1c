"""A cell's checkpoints: which there must be, what they say of themselves, and their weights into a network."""

from collections.abc import Sequence
from pathlib import Path

from stages.shared.core.digests import DIGESTS, cell_id, rerun_hint
from stages.shared.core.params import Cell
from stages.shared.images.image_store import PackedImages
from stages.shared.networks.checkpoints import CheckpointInfo, checkpoint_path, open_checkpoints, read_info, read_state
from stages.shared.networks.network import Network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError


def checked_checkpoints(
    weights: Path,
    steps: Sequence[int],
    images: PackedImages,
    network_params: NetworkParams,
    *,
    cell: Cell | None = None,
) -> tuple[dict[int, Path], CheckpointInfo]:
    """Check that a folder holds the checkpoints asked for and nothing else, all of this network and dataset.

    Args:
        weights: the folder.
        steps: the checkpoints' steps, ascending.
        images: the dataset.
        network_params: the `network` part of the model's entry.
        cell: whose they must be; None: any.

    Returns:
        Paths by step, and what the last says of itself.

    Raises:
        UserError: naming the file that is missing or damaged, was not asked for, or says otherwise.
    """
    remedy = rerun_hint("finetune", cell_id(cell) if cell else {})
    paths = {step: checkpoint_path(weights, step) for step in steps}
    files = set(weights.iterdir()) - {weights / DIGESTS} if weights.is_dir() else set()
    for path in paths.values():
        if path not in files:
            raise UserError(f"{path}: must exist, since finetune.steps asks for it; {remedy}")
    for path in sorted(files - set(paths.values())):
        raise UserError(
            f"{path}: must not be there: finetune.steps and finetune.keep ask only for the steps "
            f"{', '.join(map(str, steps))}; delete it, or {remedy}"
        )
    open_checkpoints(weights, cell).check(*(path.name for path in paths.values()))
    infos = {step: read_info(path) for step, path in paths.items()}
    network, classes = network_params.model_dump(), () if network_params.frozen else images.seen
    for step, info in infos.items():
        for what, expected in {"step": step, "network": network, "classes": classes}.items():
            if (value := getattr(info, what)) != expected:
                raise UserError(f"{paths[step]}: the checkpoint's {what} must be {expected}, found {value}; {remedy}")
    return paths, infos[steps[-1]]


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
