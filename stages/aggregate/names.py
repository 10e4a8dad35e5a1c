"""What networks, and the folds that values are means over, are called."""

from typing import Literal

MEAN = "mean"
"""The `fold` of means over all folds."""

Name = tuple[str, str]
"""A network on a dataset: dataset and model."""

Parts = Literal["folds", "sets"]
"""What the choices of unseen classes are: folds, or sets in which a network that was embedded once is scored."""
