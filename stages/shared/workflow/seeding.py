"""Child seeds from a root seed and names: no stage draws from a bare global seed."""

import hashlib
import json


def child_seed(root: int, *names: str | int) -> int:
    """Derive the seed of one named purpose from a root seed.

    The same arguments give the same seed on every machine and Python version; different names give
    unrelated streams, so that adding a consumer of random numbers never shifts another.

    Args:
        root: the user's seed, an integer >= 0.
        names: what the seed is for, for example `("shuffle", epoch)`.

    Returns:
        An integer in [0, 2**32), the range that scikit-learn, NumPy and PyTorch all accept.
    """
    digest = hashlib.sha256(json.dumps([root, *names]).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def cell_seed(seed: int, fold: str) -> int:
    """Derive the root seed of what one cell draws in training: cells of different folds draw independently.

    Args:
        seed: of `run.seeds`.
        fold: the cell's; fold 0 draws from the seed itself, as before there were folds.
    """
    return seed if fold == "0" else child_seed(seed, "fold", fold)
