"""Numbers of bytes for people."""

GIB = 2**30


def size(count: float) -> str:
    """Write a number of bytes."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"
