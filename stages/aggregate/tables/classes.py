"""classes.csv: what the images of each class contribute to a score, on average."""

from collections.abc import Iterable

import pandas as pd

from stages.aggregate.columns import stack
from stages.aggregate.inference.network_data import NetworkData
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

CLASS_COLUMNS = {
    "dataset": TEXT,
    "model": TEXT,
    "fold": TEXT,
    "split": TEXT,
    "layer": TEXT,
    "depth": INTEGER,
    "pooling": TEXT,
    "metric": TEXT,
    "label": TEXT,
    "n_images": INTEGER,
    "value": FLOAT,
}
"""Columns of classes.csv.

Attributes:
    label: the class.
    n_images: how many it has in the split.
    value: mean over its images, and over seeds, of what they contribute to the score at its last step.
"""


def classes_table(networks: Iterable[NetworkData]) -> pd.DataFrame:
    """Stack the classes' scores of all networks."""
    return stack((table for network in networks if network.images for table in network.images.classes), CLASS_COLUMNS)
