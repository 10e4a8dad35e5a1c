"""One cell of the grid: build its network, fine-tune it, write its checkpoints."""

from pathlib import Path

from stages.finetune.history import History
from stages.finetune.loop import FineTuning
from stages.finetune.params import FinetuneParams
from stages.shared.checkpoints import CheckpointInfo, write_checkpoint
from stages.shared.devices import choose_device
from stages.shared.image_store import PackedImages
from stages.shared.networks.build import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.transforms import Transform


def run_cell(
    images: PackedImages,
    network_params: NetworkParams,
    params: FinetuneParams,
    *,
    length: int,
    seed: int,
    weights: Path,
) -> History:
    """Fine-tune one network and write its checkpoints.

    Args:
        images: the dataset.
        network_params: the network.
        params: the `finetune` section.
        length: of the learning-rate schedule, in optimizer steps.
        seed: root seed of the cell.
        weights: folder of the checkpoints; created.

    Returns:
        The rows of the training table.

    Raises:
        UserError: weights cannot be had, or training diverged.
    """
    accelerator = choose_device()
    network = build_network(network_params, len(images.seen), seed=seed)
    transform = Transform(network_params.image_size, network.mean, network.std, network.convolutional)

    def save(step: int) -> None:
        if params.keep == "all" or step == params.steps[-1]:
            info = CheckpointInfo(step, images.seen, network_params.model_dump(), params.augment.model_dump())
            write_checkpoint(weights, network.module.state_dict(), info)

    training = FineTuning(network, images.in_memory(), params, transform, length, seed, accelerator)
    return training.run(save)
