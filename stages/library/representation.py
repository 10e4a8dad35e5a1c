"""A representation that takes images as well as layers, if their network is known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..core.representations.representation import Representation as OfLayers
from ..core.scores.arrays import Float32


class Representation(OfLayers):
    """Turn layers, or images of the network that they are of, into vectors of length 1, compared by cosines.

    Args:
        layers: names of the arrays that are joined, from input to output.
        recipe: `plain`, `centred`, `whitened`, `within` or `whitened_within`.
        dimensions: columns that are left; None: all.
        origin: of the layers; None: unknown.

    Attributes:
        reference_classes_: names of the classes that it was fitted to, sorted.
        n_features_out_: number of features.
    """

    def transform(self, X: Any) -> Float32:
        """Turn the layers of some images, or images, into vectors of length 1.

        Args:
            X: name -> (N, D); or N images as `whichlayer.embed` takes them, if it made the layers by a network's name.

        Returns:
            (N, n_features_out_).

        Raises:
            UserError: an array or image is not as it must be, or images are given and the network is unknown.
        """
        check_is_fitted(self)
        if self.origin is not None and not isinstance(X, Mapping):
            from . import embed

            of = self.origin
            X = embed(of.network, X, [*self.layers], pooling=of.pooling, image_size=of.image_size)  # type: ignore[arg-type]
        return np.asarray(super().transform(X))
