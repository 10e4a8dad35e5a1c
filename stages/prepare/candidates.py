"""What a source gives: the images that a dataset could use, none of them read yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from stages.shared.runtime.errors import UserError
from stages.shared.runtime.plain_text import CONTROL

Split = Literal["train", "test", "unseen"]
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
        content: reads it; called at most once, in the order in which the source lists its candidates.
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
        candidates: in the order in which their contents are read fastest.
        ignored: files that belong to no class, relative to the raw folder.
        hidden: folders that are hidden, whose files are left out.
    """

    candidates: list[Candidate]
    ignored: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


def check_names(candidates: Sequence[Candidate]) -> None:
    """Check that no name has a control character: a carriage return would shift the rows of every table that holds it.

    Raises:
        UserError: naming the class or the file.
    """
    for candidate in candidates:
        for kind, name in (("class", candidate.label), ("file", candidate.source)):
            if CONTROL.search(name):
                raise UserError(
                    f"the name of a {kind} must not have control characters, found {name!r} "
                    f"({candidate.source!r}); rename it"
                )


def unique_ids(candidates: Sequence[Candidate]) -> None:
    """Check that no two candidates have the same id.

    Raises:
        UserError: naming two that do.
    """
    sources: dict[str, str] = {}
    for candidate in candidates:
        if candidate.sample_id in sources:
            raise UserError(
                f"every image must have an id of its own; {candidate.sample_id!r} stands for both "
                f"{sources[candidate.sample_id]} and {candidate.source}"
            )
        sources[candidate.sample_id] = candidate.source


def class_counts(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Count images by class, classes sorted."""
    counts: dict[str, int] = {}
    for candidate in sorted(candidates, key=lambda c: c.label):
        counts[candidate.label] = counts.get(candidate.label, 0) + 1
    return counts
