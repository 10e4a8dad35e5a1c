"""Exact copies of images, which falsify a score where they have two classes or lie in two splits."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ..shared.images.image_store import SPLITS
from ..shared.runtime.errors import UserError

Policy = Literal["error", "drop", "keep"]
KEEP_ORDER = {"test": 0, "unseen": 1, "train": 2}
"""Of copies in several splits the one in the scored split stays: then training has not met it."""


@dataclass(frozen=True)
class DuplicateCounts:
    """Groups of identical images.

    Attributes:
        between_classes: groups whose copies have different labels.
        between_splits: groups of one label whose copies lie in different splits.
        within_split: groups of one label and split, by split.
        dropped: images left out.
    """

    between_classes: int
    between_splits: int
    within_split: dict[str, int]
    dropped: int


def resolve_duplicates(images: pd.DataFrame, policy: Policy) -> tuple[pd.DataFrame, DuplicateCounts]:
    """Find exact copies and apply a policy.

    Args:
        images: the chosen images, a row each: columns sample_id, label, source, split (`unseen` if the image is never
            in train or test) and pixels_sha256, equal for exact copies, however they were saved.
        policy: `DatasetParams.on_duplicate`.

    Returns:
        The images that stay, in their order, and the counts.

    Raises:
        UserError: with policy `error`, naming two copies that lie in different splits or classes.
    """
    copies = images[images.duplicated("pixels_sha256", keep=False)]
    groups = copies.groupby("pixels_sha256", sort=False)
    several_classes, several_splits = (groups[name].transform("nunique").gt(1) for name in ("label", "split"))
    classes, splits = copies[several_classes], copies[~several_classes & several_splits]
    within = copies[~several_classes & ~several_splits].drop_duplicates("pixels_sha256")["split"]
    between = (classes["pixels_sha256"].nunique(), splits["pixels_sha256"].nunique())
    if policy == "error" and any(between):
        _complain(classes if len(classes) else splits, "label" if len(classes) else "split", *between)
    dropped = images.index[:0]
    if policy == "drop":
        ordered = copies.assign(order=copies["split"].map(KEEP_ORDER)).sort_values(["order", "sample_id"])
        dropped = classes.index.union(ordered.index[ordered.duplicated("pixels_sha256")])
    counts = {split: int((within == split).sum()) for split in SPLITS}
    return images.drop(dropped), DuplicateCounts(*between, counts, len(dropped))


def _complain(copies: pd.DataFrame, differing: str, classes: int, splits: int) -> None:
    first = copies.iloc[0]
    same = copies[copies["pixels_sha256"] == first["pixels_sha256"]]
    other = same[same[differing] != first[differing]].iloc[0]
    raise UserError(
        f"an image must have one class and one split; found the same image in two "
        f"{'classes' if classes else 'splits'}: {first['source']} ({first['split']}, {first['label']}) and "
        f"{other['source']} ({other['split']}, {other['label']}). "
        f"Groups of copies between classes: {classes}, between splits: {splits}. Remove them, or set "
        "`on_duplicate: drop` (copies with two classes all go, of others one stays) or `keep` (they are only counted)"
    )
