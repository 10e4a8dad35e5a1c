"""Fine-tune all weights of a network on the seen classes, as Dyballa et al. 2024 do with the transformers Trainer.

Cross-entropy; AdamW; learning rate falling linearly to 0 without warm-up; gradient norm clipped; every epoch a new
order, its last and smaller batch kept.

All that a run is at one moment is kept at every checkpoint and, between checkpoints, as often as is cheap: read back,
its continuation gives the same bits.
"""

import copy
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW, Optimizer

from ..shared.images.image_store import PackedImages, Pixels, Rows, batch_rows
from ..shared.networks.device import Compute
from ..shared.networks.network import Network
from ..shared.networks.transforms import draw_angles
from ..shared.runtime.console import Stopwatch
from ..shared.runtime.errors import UserError
from ..shared.runtime.progress import progress
from ..shared.workflow.kept_work import KeptWork, claim_work
from ..shared.workflow.seeding import child_seed
from ..shared.workflow.stage_run import StageRun
from .history import History, diverged
from .params import FinetuneParams

EVERY_SECONDS = 30.0
"""Least time between two resume points that are not at checkpoints."""

SHARE_OF_TIME = 0.02
"""Most of the training time that these may take."""


@dataclass(frozen=True)
class TrainingState:
    """What changes from step to step. The order of images does not: it follows from the step's number.

    Attributes:
        module: its parameters and buffers.
        optimizer: its moments.
        scaler: the loss scale, in fp16.
        angles: the generator of rotations; dropout draws from torch's own.
        device: where the network is.
        history: the rows so far, and the losses since the last.
    """

    module: nn.Module
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    angles: torch.Generator
    device: torch.device
    history: History

    def write(self, path: Path) -> None:
        """Write it to a file that `torch.load(weights_only=True)` reads. Memory formats of tensors are kept."""
        content = {
            "module": {name: tensor.detach() for name, tensor in tensors_of(self.module).items()},
            "optimizer": self.optimizer.state_dict(),
            "generators": {**global_generators(self.device), "angles": self.angles.get_state()},
            "scaler": self.scaler.state_dict(),
            "history": self.history.state(),
        }
        with path.open("wb") as file:  # whose errors say what the system says
            torch.save(content, file)

    def read(self, path: Path) -> bool:
        """Become what was written.

        Returns:
            False if that has other parameters or buffers, as of a network that adds some in training; nothing changes.
        """
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if _shapes(content["module"]) != _shapes(tensors_of(self.module)):
            return False
        with torch.no_grad():
            for name, tensor in tensors_of(self.module).items():
                tensor.copy_(content["module"][name])
        self.optimizer.load_state_dict(content["optimizer"])
        set_global_generators(content["generators"], self.device)
        self.angles.set_state(content["generators"]["angles"])
        self.scaler.load_state_dict(content["scaler"])
        self.history.restore(content["history"], self.device)
        return True


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """List a module's parameters and buffers, those too that are in no checkpoint; each once."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def weights_hash(module: nn.Module) -> str:
    """Hash a module's parameters and buffers."""
    hasher = hashlib.sha256()
    for name, tensor in tensors_of(module).items():
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def global_generators(device: torch.device) -> dict[str, Tensor]:
    """Get the states of torch's own generators, by type of device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_global_generators(states: dict[str, Tensor], device: torch.device) -> None:
    """Set the states that `global_generators` got."""
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[device.type], device)


@dataclass
class ResumePoints:
    """Keeps a training run in its work folder and brings it back.

    Attributes:
        work: the folder.
        weights: where checkpoints are written, in it.
        say: prints one line.
    """

    work: KeptWork
    weights: Path
    say: Callable[[str], None]
    _cost: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    @classmethod
    def claim(cls, run: StageRun, watch: Stopwatch, network: Network, compute: Compute, weights: Path) -> Self:
        """Take over an earlier run's work if it is of the same cell, code, parameters, inputs, machine and weights."""
        facts = {"cell": watch.cell, "machine": compute.facts, "weights": weights_hash(network.module)}
        return cls(claim_work(run, facts, watch.say), weights, watch.say)

    def restore(self, state: TrainingState) -> int:
        """Bring a run to where an earlier one was kept.

        Args:
            state: the run, before its first step.

        Returns:
            The number of steps taken; 0: nothing was kept.
        """
        if self.work.progress is None:
            return 0
        step = int(self.work.progress["step"])
        if not state.read(self._path(step)):
            self.say("starts anew: this network adds tensors to itself in training, which cannot be brought back")
            return 0
        self.say(f"goes on after {self.work.progress['done']}, where an earlier run was stopped")
        return step

    def after_step(self, step: int, state: TrainingState, *, last: int, checkpoint: bool) -> None:
        """Keep the run if this is a checkpoint, or if keeping it is due.

        Args:
            step: optimizer steps taken.
            state: the run.
            last: the step at which it ends, for messages.
            checkpoint: whether a checkpoint of this step was just written.
        """
        began = time.monotonic()
        if not checkpoint and began - self._last < max(EVERY_SECONDS, self._cost / SHARE_OF_TIME):
            return
        self.work.folder.mkdir(parents=True, exist_ok=True)
        state.write(self._path(step))
        progress = {"step": step, "done": f"optimizer step {step} of {last}"}
        self.work.keep(progress, [self._path(step), *sorted(self.weights.glob("*.safetensors"))])
        self._last = time.monotonic()
        self._cost = self._last - began

    def _path(self, step: int) -> Path:
        return self.work.folder / f"training_{step:06d}.pt"


ROW_EVERY = 10
"""Optimizer steps between two rows of the history."""


@dataclass(frozen=True)
class FineTuning:
    """One network's fine-tuning on one dataset; `run` carries it out.

    Attributes:
        network: trained in place.
        images: the dataset; train rows are trained on, test rows are tested on.
        params: the `finetune` section.
        length: of the learning-rate schedule, in optimizer steps.
        seed: root seed of the order of images, their rotation, and dropout.
        compute: device and precision.
    """

    network: Network
    images: PackedImages
    params: FinetuneParams
    length: int
    seed: int
    compute: Compute

    def run(self, save: Callable[[int], None], points: ResumePoints | None = None) -> History:
        """Train up to the last of `params.steps`.

        Args:
            save: called with the step whenever one of `params.steps` is reached.
            points: where the run goes on from, and is kept; None: it starts at step 0 and is not kept.

        Returns:
            The rows of the training table: one per checkpoint and every `ROW_EVERY` steps.

        Raises:
            UserError: loss or logits became NaN or infinite, or the network cannot train on a last batch of one image.
        """
        self._check_last_batch()
        module, params, last = self.network.module, self.params, self.params.steps[-1]
        module.requires_grad_(True)
        self.network.move(self.compute.device)
        optimizer, scaler, history = make_optimizer(module, params), self.compute.scaler(), History()
        state = TrainingState(module, optimizer, scaler, torch.Generator(), self.compute.device, history)
        taken = points.restore(state) if points else 0
        if taken == 0:
            if 0 in params.steps:
                self._checkpoint(0, history, save)
            torch.manual_seed(child_seed(self.seed, "finetune", "dropout"))
            state.angles.manual_seed(child_seed(self.seed, "finetune", "rotation"))
        batches = islice(training_batches(self.images.rows("train"), params.batch_size, self.seed, last), taken, None)
        read = progress(self.images.batches(batches), total=last, what="finetune", unit="step", done_before=taken)
        for step, (rows, pixels) in enumerate(read, start=taken + 1):
            for group in optimizer.param_groups:
                group["lr"] = self._learning_rate(step - 1)
            module.train()
            loss = self._loss(rows, pixels, draw_angles(len(rows), params.augment.degrees, state.angles))
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimizer)
            clip_grad_norm_(module.parameters(), params.clip_norm)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            history.add_loss(loss)
            if step in params.steps:
                self._checkpoint(step, history, save)
            elif step % ROW_EVERY == 0:
                history.check_losses(step)
                history.add_row(step, learning_rate=self._learning_rate(step))
            if points and step < last:
                points.after_step(step, state, last=last, checkpoint=step in params.steps)
        history.skipped = last - updates(optimizer)
        return history

    def _loss(self, rows: Rows, pixels: Pixels, angles: Tensor) -> Tensor:
        """Pass one training batch through the network: (B,), (B, S, S, 3) uint8, (B,) degrees -> cross-entropy."""
        padding, fill = self.params.augment.padding, self.images.fill
        inputs = self.network.transform.training(self._on_device(pixels), angles, padding=padding, fill=fill)
        with self.compute.autocast():
            logits = self.network.logits(inputs)
        return functional.cross_entropy(logits.float(), self._on_device(self.images.targets(rows)))

    def _learning_rate(self, step: int) -> float:
        return self.params.learning_rate * (1 - step / self.length)

    def _checkpoint(self, step: int, history: History, save: Callable[[int], None]) -> None:
        history.check_losses(step)
        history.add_row(step, learning_rate=self._learning_rate(step), accuracy=self.accuracy())
        save(step)

    def accuracy(self) -> float:
        """Test the network in evaluation mode: the share of test images whose largest logit is their class's.

        Raises:
            UserError: a logit is NaN or infinite.
        """
        self.network.module.eval()
        rows = batch_rows(self.images.rows("test"), self.params.batch_size)
        correct = total = 0
        with torch.no_grad():  # not inference_mode: training may use what a module caches
            for batch, pixels in self.images.batches(rows):
                inputs = self.network.transform.evaluation(self._on_device(pixels))
                with self.compute.autocast():
                    logits = self.network.logits(inputs)
                if not bool(logits.isfinite().all()):
                    raise diverged("the network's logits of test images are NaN or infinite")
                correct += int((logits.argmax(1) == self._on_device(self.images.targets(batch))).sum())
                total += len(batch)
        return correct / total

    def _on_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.compute.device, non_blocking=True)

    def _check_last_batch(self) -> None:
        """Try the last batch of an epoch if it holds one image, on which batch normalization may fail.

        It is tried before the first step, since an epoch may take an hour, on a copy, whose running means it changes.
        """
        rows, size = self.images.rows("train"), self.network.transform.size
        batches = batch_rows(rows, self.params.batch_size)
        if len(batches[-1]) > 1 or self.params.steps[-1] < len(batches):
            return
        trial = replace(self.network, module=copy.deepcopy(self.network.module).train())
        try:
            with torch.no_grad():
                trial.logits(torch.zeros(1, 3, size, size))
        except ValueError as error:  # raised by batch normalization over one value per channel
            raise UserError(
                f"the last batch of every epoch holds one image ({len(rows)} train images in batches of "
                f"{self.params.batch_size}), on which this network cannot train ({error}); change finetune.batch_size"
            ) from None


def training_batches(rows: Rows, batch_size: int, seed: int, steps: int) -> Iterator[Rows]:
    """Yield the rows of `steps` batches: epoch after epoch, each in an order of its own, its last batch kept."""
    epochs = (np.random.default_rng(child_seed(seed, "finetune", "shuffle", e)).permutation(rows) for e in count())
    return islice((batch for order in epochs for batch in batch_rows(order, batch_size)), steps)


def make_optimizer(module: nn.Module, params: FinetuneParams) -> Optimizer:
    """AdamW over all weights; weight decay spares biases and normalization (tensors of one dimension).

    Fused, its step gives the same bytes on processors of any kind, which its loop over tensors, by MKL, does not.
    """
    weights = list(module.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=params.learning_rate, betas=(0.9, 0.999), eps=1e-8, fused=True)


def updates(optimizer: Optimizer) -> int:
    """Count the updates of an optimizer, which leaves out steps whose fp16 gradients overflowed."""
    return max((int(state["step"]) for state in optimizer.state.values()), default=0)
