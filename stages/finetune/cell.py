"""One cell of the grid: build its network, fine-tune it unless it is frozen, write its checkpoints."""

from pathlib import Path

from ..shared.images.image_store import PackedImages
from ..shared.networks.device import choose_device
from ..shared.networks.network import build_network
from ..shared.networks.params import NetworkParams
from ..shared.networks.weights import CheckpointInfo, write_checkpoint
from ..shared.runtime.console import Stopwatch
from ..shared.workflow.stage_run import StageRun
from ..shared.workflow.versions import library_versions
from .history import History
from .loop import FineTuning, ResumePoints
from .params import FinetuneParams


def run_cell(
    images: PackedImages,
    network_params: NetworkParams,
    params: FinetuneParams,
    *,
    length: int,
    seed: int,
    weights: Path,
    run: StageRun,
    watch: Stopwatch,
) -> History:
    """Fine-tune one network and write its checkpoints; write a frozen one unchanged, without a head.

    Args:
        images: the dataset.
        network_params: the network.
        params: the `finetune` section.
        length: of the learning-rate schedule, in optimizer steps.
        seed: root seed of the cell.
        weights: folder of the checkpoints; created.
        run, watch: the stage's; its work is kept, and taken over from a run that was stopped.

    Returns:
        The rows of the training table.

    Raises:
        UserError: weights are not available, or training diverged.
    """
    classes = max(1, len(images.seen))  # also of a frozen network: random weights depend on the head's size
    network = build_network(network_params, classes, seed=seed)
    versions = library_versions("torch", network_params.library, builds=False)
    plain = network_params.model_dump(), params.augment.model_dump(), versions
    if network_params.frozen:
        write_checkpoint(weights, network.body_state(), CheckpointInfo(0, (), *plain))
        history = History()
        history.add_row(0)
        return history

    def save(step: int) -> None:
        if step in params.kept(frozen=False):
            write_checkpoint(weights, network.module.state_dict(), CheckpointInfo(step, images.seen, *plain))

    training = FineTuning(network, images.in_memory(), params, length, seed, choose_device())
    return training.run(save, ResumePoints.claim(run, watch, network, training.compute, weights))
