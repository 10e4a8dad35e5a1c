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
