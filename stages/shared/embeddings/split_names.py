"""Names of splits: prepare makes the plain ones, embed the corrupted copies, measure the matched selections."""

import re

TRAIN = "train"
"""Training images of the seen classes; embedded only at the last checkpoint."""

SEEN = "test"
"""Other images of the seen classes."""

UNSEEN = "unseen"
"""Images of classes that were not fine-tuned on; pre-training may have seen such."""

SEEN_MATCHED, UNSEEN_MATCHED = "seen_matched", "unseen_matched"
"""Selections of both of as many classes, and as many images of each class."""

_CORRUPTED = re.compile(r"(?P<kind>.+)_(?P<severity>\d+)")


def corrupted_split(kind: str, severity: int) -> str:
    """Return the name of the split of test images that were corrupted in one way."""
    return f"{kind}_{severity}"


def parse_corrupted_split(split: str) -> tuple[str, int] | None:
    """Read kind and severity off a split's name; None of a split that holds no corrupted images."""
    found = _CORRUPTED.fullmatch(split)
    return (found["kind"], int(found["severity"])) if found else None
