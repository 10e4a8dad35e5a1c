"""Where this code lies, and the settings that came with it.

In a project or a clone the code is `stages` beside params.yaml. Installed it is the package `whichlayer`, which holds
params.yaml and all else of a project in its folder `project`.
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
"""Holds the sub-packages."""

INSTALLED = __name__.startswith("whichlayer.")
"""Whether this is the installed package."""

OWN = PACKAGE / "project" if INSTALLED else PACKAGE.parent
"""The project that came with this code."""

PARAMS = OWN / "params.yaml"

RAW = OWN / "data" / "raw"
