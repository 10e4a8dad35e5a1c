"""Networks of four libraries, built from a params entry. Importing this imports torch, but no network library."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from traceback import walk_tb
from types import ModuleType
from typing import cast

import torch

from stages.shared.networks.network import Network
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.size_limit import exceeds_machine, limited_size
from stages.shared.networks.weights_only import without_advice
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.resources import explain
from stages.shared.settings.seeding import child_seed


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
            image size or `config`, or it is too large for this machine.
    """
    library = import_module(  # one library alone: each takes seconds to import
        f"stages.shared.networks.{params.library}"
    )
    with torch.random.fork_rng(devices=[]), explain_failure(params), limited_size():
        torch.default_generator.manual_seed(child_seed(seed, "weights"))
        network = cast(Network, library.build(params, classes, load_weights=load_weights))
        network.module.eval()
        _check_output(network, params, classes)
    return network


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
    """Turn what a library raises for an architecture that cannot be into a UserError with the library's own words.

    Want of memory, which torch raises as a RuntimeError, stays as it is, unless no such machine could hold the network.
    So does a defect of this project, such as that it does not fit a library's version: its traceback is needed.
    """
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if _is_defect(error) or (explain(error) and not exceeds_machine(error)):
            error.add_note(f"network {params.name!r} of {params.library} on images of {params.image_size} px")
            raise
        overrides = f" with config {params.config}" if params.config else ""
        raise UserError(
            f"network {params.name!r} of {params.library} cannot be built and run on images of {params.image_size} px"
            f"{overrides}: {type(error).__name__}: {without_advice(error)}; change image_size or config"
        ) from error


def _is_defect(error: Exception) -> bool:
    """Return whether an error is not about the architecture, though libraries raise the same types for that.

    It is not where a module lacks a name, or where this project's code raised it, be it within Python's own modules.
    """
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return True
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)]
    packages = [name.partition(".")[0] for name in modules]
    return [package for package in packages if package not in sys.stdlib_module_names][-1] == "stages"


def _check_output(network: Network, params: NetworkParams, classes: int) -> None:
    """Pass one black image through, so that an impossible image size fails here and not in the middle of a stage."""
    with torch.inference_mode():
        shape = tuple(network.logits(torch.zeros(1, 3, params.image_size, params.image_size)).shape)
    if shape != (1, classes):
        raise UserError(
            f"network {params.name!r} of {params.library} must give (1, {classes}) logits for one image, found {shape}"
        )
