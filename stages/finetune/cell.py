"""One cell of the grid: build its network, fine-tune it unless it is frozen, write its checkpoints."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from stages.shared.stage_run.stage_run import StageRun
from stages.finetune.history import History
from stages.finetune.loop import FineTuning
from stages.finetune.params import FinetuneParams
from stages.finetune.resume_points import ResumePoints, weights_hash
from stages.shared.checkpoints.checkpoints import CheckpointInfo, write_checkpoint
from stages.shared.images.image_store import PackedImages
from stages.shared.networks.devices import choose_device, computing
from stages.shared.networks.network import Network, build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.stage_run.kept_work import claim_work


@dataclass(frozen=True)
class Resume:
    """A run of a cell whose work is kept.

    Attributes:
        run: the stage's.
        cell: its name.
        say: prints one line.
    """

    run: StageRun
    cell: str
    say: Callable[[str], None]

    def points(self, network: Network, accelerator: Accelerator, weights: Path) -> ResumePoints:
        """Take over an earlier run's work if it is of the same cell, code, parameters, inputs, machine and weights."""
        facts = {"cell": self.cell, "machine": computing(accelerator), "weights": weights_hash(network.module)}
        return ResumePoints(claim_work(self.run, facts, self.say), weights, self.say)


def run_cell(
    images: PackedImages,
    network_params: NetworkParams,
    params: FinetuneParams,
    *,
    length: int,
    seed: int,
    weights: Path,
    resume: Resume | None = None,
) -> History:
    """Fine-tune one network and write its checkpoints; write a frozen one as it is, without a head.

    Args:
        images: the dataset.
        network_params: the network.
        params: the `finetune` section.
        length: of the learning-rate schedule, in optimizer steps.
        seed: root seed of the cell.
        weights: folder of the checkpoints; created.
        resume: the run whose work is kept, and taken up where an earlier one was stopped; None: it is not kept.

    Returns:
        The rows of the training table.

    Raises:
        UserError: weights are not available, or training diverged.
    """
    classes = max(1, len(images.seen))  # also of a frozen network: random weights depend on the head's size
    network = build_network(network_params, classes, seed=seed)
    if network_params.frozen:
        return write_frozen(network, network_params, params, weights)

    def save(step: int) -> None:
        if step in params.kept(frozen=False):
            info = CheckpointInfo(step, images.seen, network_params.model_dump(), params.augment.model_dump())
            write_checkpoint(weights, network.module.state_dict(), info)

    training = FineTuning(network, images.in_memory(), params, length, seed, choose_device())
    points = resume.points(network, training.accelerator, weights) if resume else None
    return training.run(save, points)


def write_frozen(network: Network, network_params: NetworkParams, params: FinetuneParams, weights: Path) -> History:
    """Write a network's body at step 0; its training table has one row, of which only the step is defined."""
    info = CheckpointInfo(0, (), network_params.model_dump(), params.augment.model_dump())
    write_checkpoint(weights, network.body_state(), info)
    history = History()
    history.add_row(0)
    return history
