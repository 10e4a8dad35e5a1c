"""Stop the building of a network that could not be held or would never be finished, as soon as it grows too large."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from torch import Tensor, nn
from torch.nn.modules import module as registration

from stages.shared.runtime.errors import UserError

MOST_TENSORS = 20_000
"""Parameters and buffers, each a tensor: the largest networks of the libraries have some thousands."""


@contextmanager
def limited_size(bytes_limit: int | None = None, tensors_limit: int = MOST_TENSORS) -> Iterator[None]:
    """Within, a module that is given more parameters and buffers than the limits is an error, before they are filled.

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
                f"{tensors_limit:,} tensors, found {found}; take a smaller network, or smaller numbers in its config"
            )

    hooks = [
        registration.register_module_parameter_registration_hook(add),
        registration.register_module_buffer_registration_hook(add),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def exceeds_machine(error: Exception) -> bool:
    """Whether torch found no memory for one tensor that is larger than what this machine has."""
    wanted = re.search(r"tried to allocate (\d+) bytes", str(error))
    return wanted is not None and int(wanted[1]) > psutil.virtual_memory().total
