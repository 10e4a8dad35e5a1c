"""What a source gives: the images that a dataset could use, none of them read yet."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import Image

from ..shared.runtime.errors import CONTROL, UserError, listed
from .names import check_class_names

Split = Literal["train", "test", "unseen"]
SPLITS: tuple[Split, ...] = get_args(Split)
Content = bytes | Image.Image
"""An encoded image file, or an image that was generated or unpacked."""


@dataclass(frozen=True)
class Candidate:
    """One image that a dataset could use.

    Attributes:
        sample_id: unique and stable: the path below the dataset's root, with forward slashes.
        label: its class.
        split: the split it comes with, if the data have splits.
        source: where it lies: the path relative to the raw folder, or what it was generated from.
        content: reads it; called at most once.
        group: the writer, patient, video, ... that it shares with other images, which stay together; '' without.
    """

    sample_id: str
    label: str
    split: Split | None
    source: str
    content: Callable[[], Content]
    group: str = ""


Splits = dict[Split, list[Candidate]]
"""The images of each split of one fold."""


@dataclass(frozen=True)
class Listing:
    """A source's answer.

    Attributes:
        candidates: in any order.
        ignored: files that belong to no class, relative to the raw folder.
        hidden: folders that are hidden, whose files are left out.
    """

    candidates: list[Candidate]
    ignored: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


def check_candidates(candidates: Sequence[Candidate]) -> None:
    """Check that no two candidates have the same id, no name a control character, and that names of classes differ.

    A carriage return would shift the rows of every table that holds it.

    Raises:
        UserError: naming two that have one id, the class or the file, or two classes that look alike.
    """
    sources: dict[str, str] = {}
    for candidate in candidates:
        for kind, name in (("class", candidate.label), ("file", candidate.source)):
            if CONTROL.search(name):
                raise UserError(
                    f"the name of a {kind} must not have control characters, found {name!r} "
                    f"({candidate.source!r}); rename it"
                )
        if candidate.sample_id in sources:
            raise UserError(
                f"every image must have an id of its own; {candidate.sample_id!r} stands for both "
                f"{sources[candidate.sample_id]} and {candidate.source}"
            )
        sources[candidate.sample_id] = candidate.source
    check_class_names(class_counts(candidates))


def class_counts(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Count images by class, classes sorted."""
    return dict(sorted(Counter(candidate.label for candidate in candidates).items()))


def describe_counts(counts: Mapping[str, int]) -> str:
    """Name classes with their numbers of images, the smallest first: `'a' (3), 'b' (7)`."""
    smallest = sorted(counts.items(), key=lambda item: item[1])
    return listed([f"{label!r} ({count})" for label, count in smallest])
