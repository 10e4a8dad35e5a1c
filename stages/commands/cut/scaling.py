"""How the vectors of a layer are scaled, or those of several joined: of new images as of those that were measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from stages.measure.embedded_split import unit_rows
from stages.measure.scores.probe import column_moments
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.embeddings.split_names import SEEN
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import Scaling

SCALINGS: tuple[Scaling, ...] = get_args(Scaling)

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Scaler:
    """How vectors are scaled.

    Attributes:
        scaling: `none`: as they are, `l2`: to length 1 (zeros stay), in each of several layers; `standard`: every
            feature less its mean, over its standard deviation.
        mean, deviation: (D,) of `standard`, else None.
    """

    scaling: Scaling = "none"
    mean: Float32 | None = None
    deviation: Float32 | None = None

    def join(self, parts: Sequence[Float32]) -> Float32:
        """Scale the vectors of every layer, (B, D) each, and put them side by side."""
        if self.scaling == "l2":
            return np.concatenate([unit_rows(part) for part in parts], axis=1)
        (values,) = parts
        return values if self.mean is None or self.deviation is None else (values - self.mean) / self.deviation


UNSCALED = Scaler()


def fit_scaler(store: Embeddings, layers: Sequence[Layer], step: int, scaling: Scaling) -> Scaler:
    """Fit a scaling: `standard` to the seen classes' test images, or to the unseen ones where there are no others.

    Raises:
        UserError: several layers are to be scaled in another way than to length 1.
    """
    if len(layers) > 1 and scaling != "l2":
        raise UserError(f"--scale: of several layers each is scaled to length 1 (l2), found {scaling}; leave it out")
    if scaling != "standard":
        return Scaler(scaling)
    split = SEEN if SEEN in store.splits else store.splits[0]
    mean, deviation = column_moments(store.features(layers[0], step, split))
    return Scaler(scaling, mean.astype(np.float32), deviation.astype(np.float32))
