"""Which images are embedded: the splits that a dataset has, and a sample of its training images."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..shared.embeddings.split_names import TRAIN, UNSEEN
from ..shared.images.image_store import PackedImages, Rows
from ..shared.runtime.errors import UserError, did_you_mean
from ..shared.workflow.params import ALL
from ..shared.workflow.seeding import child_seed
from .params import EmbedParams


def available(images: PackedImages, params: EmbedParams, *, fold: str, frozen: bool) -> tuple[EmbedParams, list[str]]:
    """Compare the splits to embed with those that have images.

    A fine-tuned network has all of them, without `unseen` in fold `all`; a frozen one is also measured on a dataset
    that lacks some.

    Returns:
        The parameters without what fold `all`, or a dataset for a frozen network, lacks, and what was left out, one
        phrase each.

    Raises:
        UserError: a split has no images; of a frozen network, or of fold `all`: no split has any.
    """
    present = images.splits
    wanted: list[tuple[str, str]] = [("splits", split) for split in params.splits]
    in_sets = "seen_as" in images.manifest  # whose images are training images of one another
    wanted += [("train_per_class", TRAIN)] if params.train_per_class and not in_sets else []
    lacking = [(name, split) for name, split in wanted if split not in present]
    splits = [split for split in params.splits if split in present]
    refused = [(name, split) for name, split in lacking if (fold, split) != (ALL, UNSEEN)]
    if (refused and not frozen) or not splits:
        name, split = [*refused, *lacking][0]
        raise UserError(
            f"embed.{name} asks for {split!r}, of which fold {fold} of this dataset has no images: "
            f"{did_you_mean(split, present)}"
        )
    sample = params.train_per_class if TRAIN in present else 0
    reduced = params.model_copy(update={"splits": splits, "train_per_class": sample})
    return reduced, [f"embed.{name}, since fold {fold} has no {split} images" for name, split in lacking]


def sample_rows(images: PackedImages, split: str, per_class: int) -> Rows:
    """Draw at most `per_class` images of each class of one split: their rows, ascending.

    An image's place in the draw depends only on its id: the same are drawn for every model and seed, and a larger
    `per_class` keeps those that a smaller one draws.
    """
    rows = images.rows(split)
    return rows[_among_first(images.manifest.iloc[rows], per_class)]


def limit_training(images: PackedImages, per_class: int) -> PackedImages:
    """Take at most `per_class` images of each class, as `sample_rows` draws them, as training images of other sets."""
    if "seen_as" not in images.manifest:
        return images
    seen_as = images.manifest["seen_as"].copy()
    training = seen_as.index[seen_as == TRAIN]
    seen_as[training[~_among_first(images.manifest.loc[training], per_class)]] = ""
    return replace(images, manifest=images.manifest.assign(seen_as=seen_as))


def _among_first(samples: pd.DataFrame, per_class: int) -> NDArray[np.bool_]:
    places = samples["sample_id"].map(lambda name: child_seed(0, "embed", "sample", name))
    ranks = places.groupby(samples["label"]).rank(method="first")
    return ranks.to_numpy() <= per_class
