"""What a store holds, part by part: images that pass one after another, after the same change to their pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from stages.embed.corruptions import ROOT_SEED, corrupt
from stages.embed.params import EmbedParams, Kind, Severity
from stages.shared.image_store import PackedImages, Pixels, Rows
from stages.shared.seeding import child_seed
from stages.shared.split_names import SEEN, TRAIN, corrupted_split


@dataclass(frozen=True)
class Part:
    """Some images of a dataset, and what becomes of them.

    Attributes:
        rows: their rows in the dataset, ascending.
        split: their split in the store; None: each image's own.
        corruption: what is done to their pixels; None: nothing.
    """

    rows: Rows
    split: str | None = None
    corruption: tuple[Kind, Severity] | None = None


def last_step_parts(images: PackedImages, params: EmbedParams) -> list[Part]:
    """List what is embedded at the last checkpoint alone: some training images, then corrupted test images."""
    corruptions = params.corruptions
    kinds = [(kind, severity) for kind in corruptions.kinds for severity in corruptions.severities]
    test = sample_rows(images, SEEN, corruptions.per_class)
    train = [Part(sample_rows(images, TRAIN, params.train_per_class), TRAIN)] if params.train_per_class else []
    return train + [Part(test, corrupted_split(kind, severity), (kind, severity)) for kind, severity in kinds]


def sample_rows(images: PackedImages, split: str, per_class: int) -> Rows:
    """Draw at most `per_class` images of each class of one split: their rows, ascending.

    An image's place in the draw depends on its id alone: the same are drawn for every model and seed, and a larger
    `per_class` keeps those that a smaller one draws.
    """
    rows = images.rows(split)
    samples = images.manifest.iloc[rows]
    places = samples["sample_id"].map(lambda name: child_seed(ROOT_SEED, "embed", "sample", name))
    ranks = places.groupby(samples["label"]).rank(method="first")
    return rows[ranks.to_numpy() <= per_class]


def part_samples(images: PackedImages, parts: Sequence[Part]) -> pd.DataFrame:
    """List the samples of a store in row order: sample_id, split, label; ids and labels are the images' own."""
    columns = ["sample_id", "split", "label"]
    frames = [images.manifest.iloc[part.rows][columns] for part in parts]
    named = [f if p.split is None else f.assign(split=p.split) for f, p in zip(frames, parts, strict=True)]
    return pd.concat(named, ignore_index=True)


def part_pixels(images: PackedImages, part: Part, rows: Rows, pixels: Pixels) -> Pixels:
    """Do to one batch of a part what its part asks for: (B, S, S, 3) uint8 -> the same."""
    if part.corruption is None:
        return pixels
    names = images.manifest["sample_id"].iloc[rows].tolist()
    return corrupt(pixels, names, *part.corruption, fill=images.fill)
