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
    return [path for pattern in patterns for path in _expand(module, prefix + pattern)]


def _expand(module: nn.Module, pattern: str) -> list[str]:
    path, _, kind = pattern.partition(":")
    if not path.endswith(".*"):
        return [path]
    parent = path.removesuffix(".*")
    children = module.get_submodule(parent).named_children()
    return [f"{parent}.{name}" for name, child in children if kind in ("", type(child).__name__)]
