"""Images that belong together (one writer, patient or video), which no split may tear apart."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import regex

from stages.prepare.candidates import Candidate
from stages.shared.runtime.errors import UserError
from stages.shared.settings.seeding import child_seed

SECONDS = 2.0
"""For one search: some expressions take years for forty letters."""


def group_by_name(candidates: Sequence[Candidate], pattern: str) -> list[Candidate]:
    """Read every image's group off its id.

    Args:
        candidates: without groups.
        pattern: a regular expression with one group, searched in the id (the path below the dataset's root).

    Raises:
        UserError: the pattern is none, or an id does not match it.
    """
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise UserError(f"group: must be a regular expression, found {pattern!r} ({error})") from None
    if compiled.groups != 1:
        raise UserError(f"group: must have one pair of parentheses, found {compiled.groups} in {pattern!r}")
    return [replace(c, group=_match(compiled, c.sample_id)) for c in candidates]


def _match(pattern: "regex.Pattern[str]", name: str) -> str:
    try:
        found = pattern.search(name, timeout=SECONDS)
    except TimeoutError:
        raise UserError(
            f"group: {pattern.pattern!r} must be searched within {SECONDS:g} s, and was not in {name!r}; repeat no "
            "repetition in it"
        ) from None
    if found is None or not found[1]:
        raise UserError(f"group: {pattern.pattern!r} must find a group in every image's path, found none in {name!r}")
    return str(found[1])


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

    parts = max(2, round(1 / fraction))
    labels, groups = [c.label for c in candidates], [c.group or c.sample_id for c in candidates]
    if len(set(groups)) < parts:
        raise UserError(f"group: must have at least {parts} groups for this `test_fraction`, found {len(set(groups))}")
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=child_seed(seed, "test groups"))
    with warnings.catch_warnings():  # of classes in fewer groups than parts; `check_sizes` says which lack images
        warnings.simplefilter("ignore", UserWarning)
        try:
            _, test = next(splitter.split(labels, labels, groups))
        except ValueError:
            raise UserError(
                f"test_fraction: needs a class of at least {parts} images; raise it, or add images"
            ) from None
    return {candidates[i].sample_id for i in test}
