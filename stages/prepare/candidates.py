"""What a source gives: the images that a dataset could use, none of them read yet, and which of them belong together.

Images of one group (one writer, patient or video) are never in different splits. In a folder or an archive, the
folders that a file lies in say its class and split.
"""

import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, cast, get_args

import regex
from PIL import Image

from stages.prepare.limits import RawFiles, check_class_names
from stages.shared.core.seeding import child_seed
from stages.shared.runtime.errors import CONTROL, UserError, listed, short_repr

Split = Literal["train", "test", "unseen"]
SPLITS: tuple[Split, ...] = get_args(Split)
Content = bytes | Image.Image
"""An encoded image file, or an image that was generated or unpacked."""

SEARCH_SECONDS = 10.0
"""Of a processor, for the groups of all images: some expressions take years for forty letters."""

MAX_PATTERN = 100_000
"""Of a pattern's letters, those counted again that a repetition of a group writes out: it takes memory for each."""

REPETITION = re.compile(r"([)}]?)\s*\{[\d,\s]*?(\d+)[,\s]*\}")
"""`){3}` or `a{1,3}`: whether a group is repeated, and how many times at most."""


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


def group_by_name(candidates: Sequence[Candidate], pattern: str) -> list[Candidate]:
    """Read every image's group off its id.

    Args:
        candidates: without groups.
        pattern: a regular expression with one group, searched in the id (the path below the dataset's root).

    Raises:
        UserError: the pattern is none, or an id does not match it.
    """
    if _written_out(pattern) > MAX_PATTERN:
        raise UserError(
            f"group: must be shorter than {MAX_PATTERN} letters with its repetitions {{n}} written out, found "
            f"{short_repr(pattern)}; take + or * for large numbers"
        )
    try:
        compiled = regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        raise UserError(f"group: must be a regular expression, found {short_repr(pattern)} ({error})") from None
    if compiled.groups != 1:
        raise UserError(f"group: must have one pair of parentheses, found {compiled.groups} in {pattern!r}")
    until = time.process_time() + SEARCH_SECONDS
    return [replace(c, group=_match(compiled, c.sample_id, until)) for c in candidates]


def _written_out(pattern: str) -> int:
    """Return an upper bound of a pattern's length where repetitions are written out, as `regex` does."""
    length, times, verbose = len(pattern), 1, re.search(r"\(\?[\w-]*x", pattern)  # which allows comments before {n}
    for of_group, count in REPETITION.findall(pattern):
        length, times = (length, times * max(1, int(count))) if of_group or verbose else (length + int(count), times)
    return length * times


def _match(pattern: "regex.Pattern[str]", name: str, until: float) -> str:
    try:
        match = pattern.search(name, timeout=max(until - time.process_time(), 1e-3))
    except TimeoutError:
        raise UserError(
            f"group: {pattern.pattern!r} must be searched in all images within {SEARCH_SECONDS:g} s, and was not up to "
            f"{name!r}; repeat no repetition in it"
        ) from None
    if match is None or not match[1]:
        raise UserError(f"group: {pattern.pattern!r} must find a group in every image's path, found none in {name!r}")
    return str(match[1])


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


def list_classes(files: RawFiles, *, others: Literal["error", "ignore"] = "error") -> Listing:
    """List the images of `<class>/*` or `{train,test,unseen}/<class>/*`, directly or below one folder.

    Args:
        files: the raw folder or archive.
        others: what to do with folders that stand beside the split folders.

    Raises:
        UserError: no class folder has images, or there is a folder where none may be.
    """
    entries = _unwrap({path: path.split("/") for path in files.paths})
    depth = 2
    if any(parts[0] in SPLITS and len(parts) > 2 for parts in entries.values()):
        depth = 3
        extra = sorted({parts[0] for parts in entries.values() if len(parts) > 1} - set(SPLITS))
        if extra and others == "error":
            raise UserError(
                f"{files.where}: beside train, test and unseen there must be no other folder, found "
                f"{', '.join(extra)}; move its images into train or test, or remove it"
            )
        entries = {path: parts for path, parts in entries.items() if parts[0] not in extra or len(parts) == 1}
    if nested := next((path for path, parts in entries.items() if len(parts) > depth), None):
        raise UserError(
            f"{files.where}: {nested!r} lies too deep: images must lie directly in their class's folder, "
            f"as {_LAYOUTS}; move them up, or list them in a CSV and use `source: table`"
        )
    candidates = [
        Candidate("/".join(parts), parts[-2], cast(Split, parts[0]) if depth == 3 else None, path, files.content(path))
        for path, parts in entries.items()
        if len(parts) == depth
    ]
    if not candidates:
        raise UserError(
            f"{files.where}: found no class folder with images; it must hold {_LAYOUTS}, or {TABLE_INSTEAD}"
        )
    return Listing(candidates, tuple(path for path, parts in entries.items() if len(parts) < depth), files.hidden)


_LAYOUTS = "<class>/* or {train,test}/<class>/*"
TABLE_INSTEAD = (
    "list images and classes in a CSV inside it, with the columns path and label (`source: table`; `whichlayer new "
    "FOLDER --table labels.csv`)"
)


def _unwrap(entries: dict[str, list[str]]) -> dict[str, list[str]]:
    """Leave out of files' parts the folders that hold everything else, as archives and repositories have them."""
    while True:
        tops = {parts[0] for parts in entries.values() if len(parts) > 1}
        deep = any(len(parts) > 2 for parts in entries.values())
        if len(tops) != 1 or not deep or tops <= set(SPLITS):
            return entries
        entries = {path: parts[1:] or parts for path, parts in entries.items()}
