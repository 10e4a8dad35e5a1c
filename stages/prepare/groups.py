"""Which images belong together: those of one group (one writer, patient or video) are never in different splits."""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from ..shared.runtime.errors import UserError
from ..shared.workflow.seeding import child_seed
from .candidates import Candidate


def group_by_name(candidates: Sequence[Candidate], pattern: str) -> list[Candidate]:
    """Read every image's group off its id.

    Args:
        candidates: without groups.
        pattern: a regular expression with one group, searched in the id (the path below the dataset's root).

    Raises:
        UserError: the pattern is none, or an id does not match it.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"group: must be a regular expression, found {pattern!r} ({error})") from None
    if compiled.groups != 1:
        raise UserError(f"group: must have one pair of parentheses, found {compiled.groups} in {pattern!r}")
    grouped = []
    for candidate in candidates:
        match = compiled.search(candidate.sample_id)
        if match is None or not match[1]:
            raise UserError(
                f"group: {pattern!r} must find a group in every image's path, found none in {candidate.sample_id!r}"
            )
        grouped.append(replace(candidate, group=match[1]))
    return grouped


def check_groups(candidates: Sequence[Candidate]) -> None:
    """Check that images of one group do not come in train and in test.

    Raises:
        UserError: naming the group and two of its images.
    """
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        if not candidate.group or candidate.split not in ("train", "test"):
            continue
        other = first.setdefault(candidate.group, candidate)
        if other.split != candidate.split:
            raise UserError(
                f"group: images of one group must be in one split, found group {candidate.group!r} in {other.split} "
                f"({other.source}) and in {candidate.split} ({candidate.source}); move them, or leave out `group`"
            )


GROUP_PARTS = 20
"""Most parts, as even as groups allow, of which several become test images."""


def draw_groups(candidates: Sequence[Candidate], fraction: float | None, seed: int) -> set[str] | None:
    """Draw the groups whose images become test images, about a share of every class.

    Args:
        candidates: all images.
        fraction: the share; None where the data come with their splits.
        seed: the dataset's root seed.

    Returns:
        Ids of the test images; None where images are not grouped, or not drawn.
    """
    if fraction is None or not any(c.group for c in candidates):
        return None
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import, and few datasets have groups

    least = max(2, round(1 / fraction))
    labels, groups = [c.label for c in candidates], [c.group or c.sample_id for c in candidates]
    if (found := len(set(groups))) < least:
        raise UserError(f"group: must have at least {least} groups for this `test_fraction`, found {found}")
    most = max(least, min(GROUP_PARTS, *Counter(label for label, _ in set(zip(labels, groups, strict=True))).values()))
    shares = [(parts, taken) for parts in range(2, most + 1) for taken in range(1, parts)]
    parts, taken = min(shares, key=lambda share: abs(share[1] / share[0] - fraction))
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=child_seed(seed, "test groups"))
    with warnings.catch_warnings():  # of classes in fewer groups than parts; `check_sizes` says which lack images
        warnings.simplefilter("ignore", UserWarning)
        try:
            tests = [test for _, test in islice(splitter.split(labels, labels, groups), taken)]
        except ValueError:
            raise UserError(
                f"test_fraction: needs a class of at least {parts} images; raise it, or add images"
            ) from None
    return {candidates[i].sample_id for test in tests for i in test}
