"""Checkpoints: `weights/step_<six digits>.safetensors`, each carrying what is needed to build and feed its network.

Beside them lie their digests (`stages.shared.core.digests`), written after the last.

A file's one metadata key, `whichlayer`, is a JSON object with sorted keys (safetensors with several keys is not byte-
stable): format, step, classes, network (the params entry), augment (degrees and padding of the training transform).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from stages.shared.core.digests import DIGESTS, Digests, cell_id, read_digests, write_digests
from stages.shared.core.params import Cell

FORMAT = "whichlayer.checkpoint/1"
FOLDER_FORMAT = "whichlayer.checkpoints/1"
KEY = "whichlayer"


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself.

    Attributes:
        step: number of optimizer steps taken.
        classes: the head's classes, in the order of its outputs.
        network: the `network` part of the model's params entry, as plain values.
        augment: the training transform's parameters, as plain values.
    """

    step: int
    classes: tuple[str, ...]
    network: dict[str, Any]
    augment: dict[str, Any]


def write_checkpoint(folder: Path, state: Mapping[str, torch.Tensor], info: CheckpointInfo) -> Path:
    """Write one checkpoint; byte-identical for equal arguments. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = checkpoint_path(folder, info.step)
    tensors = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in state.items()}
    metadata = json.dumps({"format": FORMAT, **asdict(info)}, sort_keys=True)
    save_file(tensors, path, metadata={KEY: metadata})
    return path


def finish_checkpoints(folder: Path, cell: Cell) -> None:
    """Write the digests of a cell's checkpoints, after the last of them."""
    write_digests(folder / DIGESTS, folder.glob("*.safetensors"), format=FOLDER_FORMAT, of=cell_id(cell))


def open_checkpoints(folder: Path, cell: Cell | None) -> Digests:
    """Read the digests of a cell's checkpoints, to check files before they are read; None: of any cell.

    Raises:
        UserError: they are unfinished, or of another version or cell.
    """
    of = cell_id(cell) if cell else {}
    return read_digests(folder / DIGESTS, format=FOLDER_FORMAT, of=of, stage="finetune")


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the path of one checkpoint."""
    return folder / f"step_{step:06d}.safetensors"


def read_info(path: Path) -> CheckpointInfo:
    """Read what a checkpoint, of which the digest was checked, says of itself, without its tensors."""
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()[KEY])
    return CheckpointInfo(content["step"], tuple(content["classes"]), content["network"], content["augment"])


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint's tensors, on the CPU."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
