"""Short names for many modules: `blocks.*` and `features.*:MaxPool2d`."""

from collections.abc import Iterable

from torch import nn


def expand(module: nn.Module, patterns: Iterable[str], prefix: str = "") -> list[str]:
    """List the module paths that patterns stand for.

    Args:
        module: the network.
        patterns: a path, `path.*` (its children), or `path.*:Name` (its children of that class).
        prefix: put before every path, for example `visual.`.
    """
    paths = []
    for pattern in patterns:
        parent, star, kind = (prefix + pattern).partition(".*")
        children = module.get_submodule(parent).named_children() if star else []
        paths += [f"{parent}.{name}" for name, child in children if kind in ("", f":{type(child).__name__}")]
        paths += [] if star else [parent]
    return paths
