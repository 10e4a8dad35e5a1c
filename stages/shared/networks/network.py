"""A network of one of four libraries, built from a params entry: its own module tree, how and where to feed it.

Importing this imports torch, but no network library.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from traceback import walk_tb
from types import ModuleType
from typing import cast

import psutil
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn.modules import module as registration

from ..runtime.errors import UserError, explain_system_error
from ..workflow.seeding import child_seed
from .hub import without_advice
from .params import Deviation, Mean, NetworkParams
from .transforms import Transform
from .weights import LibraryModel, in_head, load_entry_weights

NORMALIZATION = {
    "mean": (TypeAdapter(tuple[Mean, Mean, Mean]), "three numbers within 10,000 of 0"),
    "std": (TypeAdapter(tuple[Deviation, Deviation, Deviation]), "three numbers of 0.0001 to 10,000"),
}
"""What an entry may give, and so a library or a hub's repository."""

HEAD_STD = 0.02
"""Standard deviation of a fresh head's weights: what transformers draws the paper's networks' classifiers from."""

MAX_TENSORS = 20_000
"""Parameters and buffers, each a tensor: the largest networks of the libraries have some thousands."""


@dataclass(frozen=True)
class Network:
    """A classifier of one of the four libraries.

    Attributes:
        module: the library's own module; the paths of its taps and of its checkpoints are those of this tree.
        head: prefixes of the names of the classification head's parameters.
        transform: from packed images to its input.
    """

    module: nn.Module
    head: tuple[str, ...]
    transform: Transform

    def move(self, device: torch.device) -> None:
        """Move the module to a device, in place, into the memory format that suits it."""
        memory_format = torch.channels_last if self.transform.channels_last else torch.preserve_format
        convert: Callable[..., nn.Module] = self.module.to(device).to  # whose keyword torch 2.13 does not declare
        convert(memory_format=memory_format)

    def head_state(self) -> dict[str, Tensor]:
        """Return the classification head's tensors, by name."""
        return {name: tensor for name, tensor in self.module.state_dict().items() if in_head(name, self.head)}

    def body_state(self) -> dict[str, Tensor]:
        """Return all tensors but the classification head's, by name."""
        return {name: tensor for name, tensor in self.module.state_dict().items() if not in_head(name, self.head)}

    def logits(self, images: Tensor) -> Tensor:
        """Classify a batch.

        Args:
            images: (B, 3, H, W) float, as `transform` gives them.

        Returns:
            (B, K) float, one column per class.
        """
        output = self.module(images)
        return cast(Tensor, output if isinstance(output, Tensor) else output.logits)


def _refresh_head(module: nn.Module, head: Sequence[str]) -> None:
    """Draw a fresh classification head for a library other than transformers: weights from N(0, 0.02), biases 0.

    The libraries' own rules differ, and some of them (EfficientNet's in timm: uniform within 1 / sqrt(classes)) start
    with logits so large that a short fine-tuning does not recover from them.
    """
    for path, child in module.named_modules():
        if in_head(path, head) and isinstance(child, nn.Linear | nn.Conv2d):
            nn.init.normal_(child.weight, std=HEAD_STD)
            if child.bias is not None:
                nn.init.zeros_(child.bias)


def _checked(name: str, values: Sequence[float] | None, params: NetworkParams) -> tuple[float, float, float]:
    """Return a mean or std, which may come from a hub's repository, if it is what an entry may give."""
    kind, must = NORMALIZATION[name]
    try:
        return kind.validate_python(values)
    except ValidationError:
        raise UserError(
            f"network.{name}: what {params.library} gives for {params.name} must be {must}, found {str(values)[:80]}; "
            f"write {name}: [R, G, B] into the entry"
        ) from None


def _convolutional(module: nn.Module) -> bool:
    """Return whether a network convolves throughout: several spatial convolutions, no attention but in its pooling."""
    spatial = sum(isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1 for m in module.modules())
    names = {type(m).__name__ for m in module.modules()}
    attention = any("Attention" in name and "Pool" not in name and "Squeeze" not in name for name in names)
    return spatial >= 4 and not attention


def _check_seen(params: NetworkParams, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    """Check, after a module has run, that it does not cut the image to a whole number of patches."""
    if isinstance(module, nn.Conv2d) and module.in_channels == 3 and module.kernel_size == module.stride:
        size, patch = inputs[0].shape[-1], module.stride[-1]
        fitting = output.shape[-1] * patch
        if fitting < size:
            raise UserError(
                f"network.image_size: {params.name} takes patches of {patch} px, so that it must be a multiple of "
                f"{patch}, found {params.image_size}: the last {size - fitting} of {size} pixels of each side are not "
                f"seen; use {fitting} or {fitting + patch}"
            )


def build_network(params: NetworkParams, classes: int, *, seed: int, load_weights: bool = True) -> Network:
    """Build a network with a fresh head, in evaluation mode; the same for the same arguments.

    Args:
        params: the `network` part of a model's entry.
        classes: number of outputs K, >= 1.
        seed: root seed of the random weights (the head's, and all of them with `weights: {source: none}`). The global
            random state is left as it was.
        load_weights: False leaves the random weights and downloads none: a checkpoint is loaded into it afterwards.

    Raises:
        UserError: the name is unknown, the weights are not available or do not fit, the architecture does not take this
            image size (or cuts it) or `config`, it is too large for this machine, or its mean or std is not what an
            entry may give.
    """
    # only the one library: each takes seconds to import
    library = import_module(f".{params.library}", __package__)
    with torch.random.fork_rng(devices=[]), explain_failure(params), limited_size():
        torch.default_generator.manual_seed(child_seed(seed, "weights"))
        model: LibraryModel = library.build(params, classes)
        if params.library != "transformers":  # which does the same
            _refresh_head(model.module, model.head)
        if load_weights:
            load_entry_weights(model, params)
        mean, std = (_checked(name, getattr(params, name) or getattr(model, name), params) for name in NORMALIZATION)
        transform = Transform(params.image_size, mean, std, channels_last=_convolutional(model.module))
        network = Network(model.module.eval(), model.head, transform)
        # an impossible image size fails here and not in the middle of a stage
        with registration.register_module_forward_hook(partial(_check_seen, params)), torch.inference_mode():
            shape = tuple(network.logits(torch.zeros(1, 3, params.image_size, params.image_size)).shape)
    if shape != (1, classes):
        raise UserError(
            f"network {params.name!r} of {params.library} must give (1, {classes}) logits for one image, found {shape}"
        )
    return network


def at_trained_size(params: NetworkParams) -> NetworkParams:
    """Give a network the input size that its weights were trained at.

    Random weights, those of a file, and those of transformers, whose entries name it, keep the entry's.

    Raises:
        UserError: the name is unknown.
    """
    if params.weights.source in ("none", "file") or params.library == "transformers":
        return params
    library = import_module(f".{params.library}", __package__)
    return params.model_copy(update={"image_size": library.trained_size(params)})


def build_skeleton(params: NetworkParams, classes: int) -> Network:
    """Build a network without memory for its weights (PyTorch's meta device): to count parameters and find layers.

    The few architectures that compute with tensors while they are built (torchvision's RegNets) get real weights.
    """
    try:
        with torch.device("meta"):
            return build_network(params, classes, seed=0, load_weights=False)
    except UserError as error:
        if not isinstance(error.__cause__, NotImplementedError):
            raise
    return build_network(params, classes, seed=0, load_weights=False)


@contextmanager
def explain_failure(params: NetworkParams) -> Iterator[None]:
    """Turn what a library raises for an impossible architecture into a UserError with the library's own words.

    Raised unchanged are a lack of memory, which torch raises as a RuntimeError, unless this machine cannot hold the
    network, and a defect of this project, such as that it does not fit a library's version: its traceback is needed.
    """
    try:
        yield
    except UserError:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if _is_defect(error) or (explain_system_error(error) and not exceeds_machine(error)):
            error.add_note(f"network {params.name!r} of {params.library} on images of {params.image_size} px")
            raise
        overrides = f" with config {params.config}" if params.config else ""
        raise UserError(
            f"network {params.name!r} of {params.library} cannot be built and run on images of {params.image_size} px"
            f"{overrides}: {type(error).__name__}: {without_advice(error)}; change image_size or config"
        ) from error


def _is_defect(error: Exception) -> bool:
    """Return whether an error is not about the architecture, though libraries raise the same types for that.

    It is not where a module lacks a name, or where this project's code raised it, also within Python's own modules.
    """
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return True
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)]
    packages = [name.partition(".")[0] for name in modules]
    return [package for package in packages if package not in sys.stdlib_module_names][-1] == __name__.partition(".")[0]


@contextmanager
def limited_size(bytes_limit: int | None = None, tensors_limit: int = MAX_TENSORS) -> Iterator[None]:
    """Refuse a module that is given more parameters and buffers than the limits, before they are filled.

    Args:
        bytes_limit: of all modules together; by default what memory the machine has.
        tensors_limit: of all modules together.

    Raises:
        UserError: a limit is exceeded.
    """
    most = psutil.virtual_memory().total if bytes_limit is None else bytes_limit
    taken = count = 0

    def add(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal taken, count
        if tensor is None:
            return
        taken, count = taken + tensor.numel() * tensor.element_size(), count + 1
        if taken > most or count > tensors_limit:
            found = f"{taken / 1e9:,.1f} GB in {count:,}, and it is not finished"
            raise UserError(
                f"network: its weights must fit into the {most / 1e9:,.1f} GB of this machine's memory and be at most "
                f"{tensors_limit:,} tensors, found {found}; use a smaller network, or smaller numbers in its config"
            )

    with (
        registration.register_module_parameter_registration_hook(add),
        registration.register_module_buffer_registration_hook(add),
    ):
        yield


def exceeds_machine(error: Exception) -> bool:
    """Return whether torch found no memory for one tensor that is larger than what this machine has."""
    wanted = re.search(r"tried to allocate (\d+) bytes", str(error))
    return wanted is not None and int(wanted[1]) > psutil.virtual_memory().total
