"""whichlayer: which layer of a network separates classes that it was not trained on best?

    import whichlayer as wl

    result = wl.score({"layer3": X3, "layer4": X4}, labels)   # arrays (N, D) and (N,)
    print(result)

This module is installed as `whichlayer/__init__.py`, with the packages of `stages` beside it.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whichlayer.library import Chart, Recommendation, Result, UserError, choose_representation, embed, score
    from whichlayer.library.representing import Representation, RepresentationChoice

    __version__: str

__all__ = [  # imported when they are asked for
    "Chart",
    "Recommendation",
    "Representation",
    "RepresentationChoice",
    "Result",
    "UserError",
    "choose_representation",
    "embed",
    "score",
]
OF_REPRESENTATIONS = ("Representation", "RepresentationChoice")


def __getattr__(name: str) -> Any:
    """Import the library when a name of it is asked for first."""
    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    own = ".library.representing" if name in OF_REPRESENTATIONS else ".library"
    return getattr(import_module(own, __name__), name)


class _Package(ModuleType):
    """A package whose part `embed`, which imports bind to its name as any part's, does not hide the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in __all__ or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
