"""Files of embeddings: Gaussian classes at two layers, and what the commands print of them."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.measure.synthetic import blobs

WIDTHS = {"stem": 4, "blocks.0": 9}


def arrays(sizes=(9, 11, 8), *, seed: int = 0, prefix: str = "unseen", number: bool = False) -> dict[str, Any]:
    """An array per layer, and `labels`: texts, or whole numbers."""
    made: dict[str, Any] = {}
    for name, width in WIDTHS.items():
        made[name], y = blobs(sizes, width, seed=seed)
    made["labels"] = y if number else np.array([f"{prefix}{c}" for c in y])
    return made


def with_seen(sizes=(7, 8, 9), **changes: Any) -> dict[str, Any]:
    """The same with images of seen classes beside them."""
    seen = arrays(sizes, seed=1, prefix="seen")
    return arrays(**changes) | {f"seen/{name}": values for name, values in seen.items()}


def write_npz(path: Path, content: dict[str, Any]) -> Path:
    np.savez(path, **content)
    return path
