"""Exact copies among a dataset's images: which of them falsify a score, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stages.prepare.candidates import Candidate, Split
from stages.shared.images.image_store import SPLITS
from stages.shared.runtime.errors import UserError

Policy = Literal["error", "drop", "keep"]
KEEP_ORDER = {"test": 0, "unseen": 1, "train": 2}
"""Of copies in several splits the one in the scored split stays: then training has not met it."""


@dataclass(frozen=True)
class DecodedImage:
    """A chosen image that has been decoded.

    Attributes:
        candidate: where it comes from.
        split: what it is wherever its class is seen, `train` or `test`; `unseen` if it is never used so.
        sha256: of its content as it came (`decode.digest`): the manifest's.
        pixels_sha256: of its packed pixels: equal for exact copies, however they were saved.
        position: its position in the scratch file.
    """

    candidate: Candidate
    split: Split
    sha256: str
    pixels_sha256: str
    position: int


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

    @property
    def groups(self) -> int:
        """Number of groups of all kinds."""
        return self.between_classes + self.between_splits + sum(self.within_split.values())


Group = list[DecodedImage]


def resolve_duplicates(images: Sequence[DecodedImage], policy: Policy) -> tuple[list[DecodedImage], DuplicateCounts]:
    """Find exact copies and apply a policy.

    Args:
        images: the chosen images.
        policy: `DatasetParams.on_duplicate`.

    Returns:
        The images that stay, in their order, and the counts.

    Raises:
        UserError: with policy `error`, naming two copies that lie in different splits or classes.
    """
    groups = _groups(images)
    classes = [g for g in groups if _spans_classes(g)]
    splits = [g for g in groups if not _spans_classes(g) and len({i.split for i in g}) > 1]
    within = [g[0].split for g in groups if len({(i.candidate.label, i.split) for i in g}) == 1]
    if policy == "error" and (classes or splits):
        _complain(classes, splits)
    dropped = {i.candidate.sample_id for g in groups for i in _surplus(g)} if policy == "drop" else set()
    stay = [i for i in images if i.candidate.sample_id not in dropped]
    counts = {split: within.count(split) for split in SPLITS}  # type: ignore[arg-type]
    return stay, DuplicateCounts(len(classes), len(splits), counts, len(dropped))


def _groups(images: Sequence[DecodedImage]) -> list[Group]:
    by_hash: dict[str, Group] = {}
    for image in images:
        by_hash.setdefault(image.pixels_sha256, []).append(image)
    return [group for group in by_hash.values() if len(group) > 1]


def _spans_classes(group: Group) -> bool:
    return len({i.candidate.label for i in group}) > 1


def _surplus(group: Group) -> Group:
    if _spans_classes(group):
        return group
    return sorted(group, key=lambda i: (KEEP_ORDER[i.split], i.candidate.sample_id))[1:]


def _complain(classes: list[Group], splits: list[Group]) -> None:
    first, *others = (classes or splits)[0]
    differs = (lambda i: i.candidate.label != first.candidate.label) if classes else (lambda i: i.split != first.split)
    other = next(filter(differs, others))
    raise UserError(
        f"an image must have one class and one split; found the same image in "
        f"two {'classes' if classes else 'splits'}: "
        f"{first.candidate.source} ({first.split}, {first.candidate.label}) and "
        f"{other.candidate.source} ({other.split}, {other.candidate.label}). "
        f"Groups of copies between classes: {len(classes)}, between splits: {len(splits)}. Remove them, or set "
        "`on_duplicate: drop` (copies with two classes all go, of others one stays) or `keep` (they are only counted)"
    )
