"""Every `torch.load` of a library reads tensors alone: in other pickles Python runs what the file says."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
FORBID = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"

WEAKENS = re.compile(r"weights_only|trust_remote_code|safe_globals|allowlist|use_safetensors|trust", re.IGNORECASE)
"""What libraries advise where they refuse to run code."""


def without_advice(error: Exception) -> str:
    """A library's words but the sentences that advise to run what a file or a repository says."""
    sentences = re.split(r"(?<=[.!?])\s+|\n+", str(error).strip())
    kept = [sentence for sentence in sentences if not WEAKENS.search(sentence)]
    return " ".join(kept) if kept else "it would run code that is neither this project's nor the library's"


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
