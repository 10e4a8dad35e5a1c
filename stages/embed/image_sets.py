"""What a store holds: sets of images, each after the same change to its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.embed.corruptions import ROOT_SEED, corrupt
from stages.embed.params import EmbedParams, Kind, Severity
from stages.shared.core.params import ALL
from stages.shared.core.seeding import child_seed
from stages.shared.embeddings.embedding_store import sample_columns
from stages.shared.embeddings.split_names import SEEN, TRAIN, UNSEEN, corrupted_split
from stages.shared.images.image_store import PackedImages, Pixels, Rows, batch_rows
from stages.shared.runtime.errors import UserError, did_you_mean


@dataclass(frozen=True)
class ImageSet:
    """Some images of a dataset, and what becomes of them.

    Attributes:
        rows: their rows in the dataset, split after split, each ascending.
        split: their split in the store; None: each image's own.
        corruption: what is done to their pixels; None: nothing.
    """

    rows: Rows
    split: str | None = None
    corruption: tuple[Kind, Severity] | None = None


@dataclass(frozen=True)
class Batch:
    """Images that pass through the network together.

    Attributes:
        image_set: the set that they are of.
        rows: (B,) their rows in the dataset.
        rows_on_disk: for how many of them, from the first, an earlier run has written the embeddings.
    """

    image_set: ImageSet
    rows: Rows
    rows_on_disk: int


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
    wanted += [("corruptions", SEEN)] if frozen and params.corruptions.kinds else []
    lacking = [(name, split) for name, split in wanted if split not in present]
    splits = [split for split in params.splits if split in present]
    refused = [(name, split) for name, split in lacking if (fold, split) != (ALL, UNSEEN)]
    if (refused and not frozen) or not splits:
        name, split = [*refused, *lacking][0]
        raise UserError(
            f"embed.{name} asks for {split!r}, of which fold {fold} of this dataset has no images: "
            f"{did_you_mean(split, present)}"
        )
    corruptions = params.corruptions if SEEN in present else params.corruptions.model_copy(update={"kinds": []})
    sample = params.train_per_class if TRAIN in present else 0
    reduced = params.model_copy(update={"splits": splits, "train_per_class": sample, "corruptions": corruptions})
    return reduced, [f"embed.{name}, since fold {fold} has no {split} images" for name, split in lacking]


def last_step_sets(images: PackedImages, params: EmbedParams) -> list[ImageSet]:
    """List what is embedded only at the last checkpoint: some training images, then corrupted test images."""
    sets = [ImageSet(sample_rows(images, TRAIN, params.train_per_class), TRAIN)] if params.train_per_class else []
    corruptions = params.corruptions
    for kind in corruptions.kinds:
        test = sample_rows(images, SEEN, corruptions.per_class)
        sets += [ImageSet(test, corrupted_split(kind, s), (kind, s)) for s in corruptions.severities]
    return sets


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
    places = samples["sample_id"].map(lambda name: child_seed(ROOT_SEED, "embed", "sample", name))
    ranks = places.groupby(samples["label"]).rank(method="first")
    return ranks.to_numpy() <= per_class


def remaining_batches(sets: Sequence[ImageSet], size: int, rows_on_disk: int) -> list[Batch]:
    """List the batches that are left to embed; they are cut alike whatever is on disk.

    Args:
        sets: what a store holds.
        size: images per batch.
        rows_on_disk: how many rows of the store, from the first, are on disk.
    """
    batches = []
    for image_set in sets:
        for rows in batch_rows(image_set.rows, size):
            done = min(rows_on_disk, len(rows))
            rows_on_disk -= done
            if done < len(rows):
                batches.append(Batch(image_set, rows, done))
    return batches


def samples_of(images: PackedImages, sets: Sequence[ImageSet]) -> pd.DataFrame:
    """List the samples of a store in row order, in its columns; all but splits are the images' own."""
    columns = sample_columns(images.manifest)
    frames = [images.manifest.iloc[image_set.rows][columns] for image_set in sets]
    named = [f if s.split is None else f.assign(split=s.split) for f, s in zip(frames, sets, strict=True)]
    return pd.concat(named, ignore_index=True)


def change_pixels(images: PackedImages, image_set: ImageSet, rows: Rows, pixels: Pixels) -> Pixels:
    """Corrupt images as their set asks for: (B, S, S, 3) uint8 -> the same shape and type."""
    if image_set.corruption is None:
        return pixels
    names = images.manifest["sample_id"].iloc[rows].tolist()
    return corrupt(pixels, names, *image_set.corruption, fill=images.fill)
