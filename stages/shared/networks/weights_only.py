"""Every `torch.load` of a library reads tensors alone: in other pickles Python runs what the file says."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
FORBID = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


@contextmanager
def weights_only() -> Iterator[None]:
    """Within, torch unpickles nothing but tensors, whatever a library or the environment asks for."""
    before = {name: os.environ.pop(name, None) for name in (FORCE, FORBID)}
    os.environ[FORCE] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
