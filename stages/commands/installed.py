"""whichlayer: which layer of a network separates classes that it was not trained on best?

    import whichlayer as wl

    result = wl.score({"layer3": X3, "layer4": X4}, labels)   # arrays (N, D) and (N,)
    print(result)

This module is installed as `whichlayer/__init__.py`. The code is that of the checkout that the working directory lies
in, if it lies in one; else the copy beside this file.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whichlayer.launcher import code_folder  # this file is installed beside it

if TYPE_CHECKING:
    from whichlayer.project.stages.library import Chart, Recommendation, Result, UserError, embed, score

__all__ = ["Chart", "Recommendation", "Result", "UserError", "embed", "score"]  # imported when they are asked for


def __getattr__(name: str) -> Any:
    """Import the library when a name of it is asked for first."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "stages" not in sys.modules:
        sys.path.insert(0, str(code_folder(Path.cwd())))
    try:
        library = import_module("stages.library")
    except ModuleNotFoundError as error:
        if error.name not in ("stages", "stages.library"):
            raise
        found = getattr(sys.modules.get("stages"), "__path__", None)
        raise ImportError(f"whichlayer needs its own package `stages`, found another one at {found}") from None
    return getattr(library, name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
