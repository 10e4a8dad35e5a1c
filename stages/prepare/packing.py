"""From a source's candidates to the packed dataset: choose, decode, find exact copies, write, report.

Each image is decoded once, in the order in which its source reads fastest, into a scratch file beside the output;
from there the images that stay are written in the manifest's order. Memory holds a block of files and a shard.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.prepare.bits import FULL, Depth, count_bits, describe_bits, fewest_bits
from stages.prepare.candidates import (
    Candidate,
    Listing,
    Split,
    check_candidates,
    class_counts,
    describe_counts,
    group_by_name,
)
from stages.prepare.decode import decode_many, pixel_limit
from stages.prepare.limits import DEFAULT_LIMITS, LimitsParams, Resources
from stages.prepare.params import DatasetParams
from stages.prepare.raw_files import check_regular
from stages.prepare.sources import SOURCES
from stages.prepare.splits import FoldPlan, plan_folds, without_dropped
from stages.shared.core.params import ALL
from stages.shared.images.image_store import MANIFEST_COLUMNS, SPLITS, write_fold, write_images
from stages.shared.runtime.console import progress
from stages.shared.runtime.errors import MAX_NAMES, UserError, prefix_errors

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

    @property
    def groups(self) -> int:
        """Number of groups of all kinds."""
        return self.between_classes + self.between_splits + sum(self.within_split.values())


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


FORMAT = "whichlayer.prepare-report/3"

SMALL = 10
"""Images per class of a scored split below which scores are coarse, and cross-validation may be impossible."""


@dataclass(frozen=True)
class Skipped:
    """A file that could not be decoded: its path relative to the raw folder, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What a dataset holds and what was left out.

    Attributes:
        source: the kind of source.
        images: number of images by fold and split.
        classes: number of images by fold, split and class.
        not_made: why a fold that nobody asked for was not made, by fold.
        left_out: images of the classes that have fewer than `min_images`.
        skipped: files that could not be decoded.
        duplicates: groups of exact copies.
        small_classes: classes of scored splits with fewer than `SMALL` images, in any fold.
        shared_groups: by fold, how many groups have images of seen classes in training and of unseen classes.
        ignored: files that belong to no class.
        hidden: hidden folders, whose files are left out.
        scaled: images of more than 8 bits a sample, by how many; in the file only if there are any.
    """

    source: str
    images: dict[str, dict[str, int]]
    classes: dict[str, dict[str, dict[str, int]]]
    not_made: dict[str, str]
    left_out: dict[str, int]
    skipped: tuple[Skipped, ...]
    duplicates: DuplicateCounts
    small_classes: dict[str, dict[str, int]]
    shared_groups: dict[str, int]
    ignored: tuple[str, ...]
    hidden: tuple[str, ...]
    scaled: dict[int, int]

    def summary(self) -> str:
        """Return in half a line what was written."""
        counts = ", ".join(f"{self.images['0'][split]} {split}" for split in SPLITS)
        seen, unseen = len(self.classes["0"]["test"]), len(self.classes["0"]["unseen"])
        numbered = [fold for fold in self.images if fold != ALL]
        folds = f"{len(numbered)} folds" if len(numbered) > 1 else "1 fold"
        return f"{folds}, the first of {seen} seen and {unseen} unseen classes ({counts} images)"

    def notes(self) -> list[str]:
        """Return what was left out or is unusual, one line each; nothing if all is well."""
        notes = [f"fold {fold} is not made: {why}" for fold, why in self.not_made.items()]
        if self.scaled:
            notes.append(describe_bits(self.scaled))
        if self.left_out:
            notes.append(f"{len(self.left_out)} class(es) left out, with few images: {describe_counts(self.left_out)}")
        for fold, count in self.shared_groups.items():
            notes.append(f"fold {fold}: {count} group(s) have images in training and among the unseen classes")
        if self.skipped:
            names = _some([s.source for s in self.skipped])
            notes.append(f"{len(self.skipped)} file(s) cannot be decoded and were skipped: {names}")
        if self.duplicates.groups:
            notes.append(_describe(self.duplicates))
        for split, classes in self.small_classes.items():
            names = _some([f"{label} ({count})" for label, count in classes.items()])
            notes.append(
                f"{len(classes)} {split} class(es) have fewer than {SMALL} images, their scores are coarse: {names}"
            )
        if self.ignored:
            notes.append(f"{len(self.ignored)} file(s) lie in no class folder and were ignored: {_some(self.ignored)}")
        if self.hidden:
            notes.append(f"{len(self.hidden)} hidden folder(s) were left out: {_some(self.hidden)}")
        return notes


def make_report(
    source: str,
    plan: FoldPlan,
    skipped: Sequence[Skipped],
    duplicates: DuplicateCounts,
    listing: Listing,
    scaled: Mapping[int, int],
) -> Report:
    """Count what was packed."""
    planned, passed_over = (plan.not_made, plan.left_out), (listing.ignored, listing.hidden)
    report = Report(source, {}, {}, *planned, tuple(skipped), duplicates, {}, {}, *passed_over, dict(scaled))
    for fold, splits in plan.splits.items():
        report.images[fold] = {split: len(candidates) for split, candidates in splits.items()}
        report.classes[fold] = {split: class_counts(candidates) for split, candidates in splits.items()}
        for split in ("test", "unseen"):
            if few := {label: count for label, count in report.classes[fold][split].items() if count < SMALL}:
                report.small_classes.setdefault(split, {}).update(few)
        trained, unseen = ({c.group for c in splits[split] if c.group} for split in ("train", "unseen"))
        if both := trained & unseen:
            report.shared_groups[fold] = len(both)
    return report


def write_report(path: Path, report: Report) -> None:
    """Write the report as JSON, byte-identical for equal content."""
    content = {"format": FORMAT, **asdict(report)}
    if not report.scaled:
        del content["scaled"]
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _some(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (f", and {len(names) - limit} more (report.json)" if len(names) > limit else "")


def _describe(counts: DuplicateCounts) -> str:
    numbers = {"between classes": counts.between_classes, "between splits": counts.between_splits}
    numbers |= {f"within {split}": count for split, count in counts.within_split.items()}
    kinds = ", ".join(f"{count} {kind}" for kind, count in numbers.items() if count)
    fate = f"{counts.dropped} image(s) dropped" if counts.dropped else "all kept"
    return f"{counts.groups} group(s) of exact copies ({kinds}), {fate}"


def prepare_dataset(
    raw: Path, out: Path, params: DatasetParams, seed: int, dataset: str, limits: LimitsParams = DEFAULT_LIMITS
) -> Report:
    """Prepare one dataset.

    Args:
        raw: the raw folder (or archive, or a symlink to either); never written to.
        out: the folder to create: `images.zarr`, `manifest.csv`, `folds/`, `report.json`.
        params: the dataset's entry.
        seed: its root seed.
        dataset: its id, for messages.
        limits: of what the raw data may ask for.

    Raises:
        UserError: the raw data are missing, damaged or beyond a limit, or the splits cannot be made from them.
    """
    with Resources(limits) as resources, pixel_limit(limits.pixels), prefix_errors(f"datasets.{dataset}"):
        check_regular(raw)
        listing = list_images(raw, params, seed, resources)
        plan = plan_folds(listing.candidates, params, seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = resources.enter_context(tempfile.TemporaryFile(dir=out.parent))  # noqa: SIM115
        images, skipped, scaled = _decode_all(_in_reading_order(listing.candidates, plan), scratch, params, dataset)
        images, duplicates = resolve_duplicates(images, params.on_duplicate)
        images = images.sort_values(["label", "sample_id"])
        plan = without_dropped(plan, set(images["sample_id"]), params)
        pixels = _read_back(scratch, images.index, params.image_size)
        manifest = images[list(MANIFEST_COLUMNS)]
        write_images(out, pixels, manifest, dataset=dataset, size=params.image_size, fill=params.fill)
        for fold, splits in plan.splits.items():
            split_of = {c.sample_id: split for split, candidates in splits.items() for c in candidates}
            in_fold = images.assign(split=images["sample_id"].map(split_of))
            if plan.sets:
                set_of = {label: str(number) for number, labels in enumerate(plan.sets) for label in labels}
                seen_as = in_fold["sample_id"].map(plan.seen_as).fillna("")
                in_fold = in_fold.assign(set=in_fold["label"].map(set_of).fillna(""), seen_as=seen_as)
            write_fold(out, fold, in_fold.dropna(subset="split"))
    report = make_report(params.source, plan, skipped, duplicates, listing, scaled)
    write_report(out / "report.json", report)
    return report


def list_images(raw: Path, params: DatasetParams, seed: int, resources: Resources) -> Listing:
    """List what a dataset's source offers, with the groups that its entry asks for.

    Raises:
        UserError: the raw data are missing or damaged, two images have one id, a name has control characters, or an
            image has no group.
    """
    listing = SOURCES[params.source](raw, params, seed, resources)
    check_candidates(listing.candidates)
    if params.group is None or any(c.group for c in listing.candidates):
        return listing
    return replace(listing, candidates=group_by_name(listing.candidates, params.group))


def _in_reading_order(candidates: Sequence[Candidate], plan: FoldPlan) -> list[tuple[Candidate, Split]]:
    """Return the images to pack, in the order in which their source reads fastest, with their splits where seen."""
    split_of: dict[str, Split] = {c.sample_id: "unseen" for c in plan.packed}
    for splits in plan.splits.values():
        split_of |= {c.sample_id: split for split in ("train", "test") for c in splits[split]}
    return [(c, split_of[c.sample_id]) for c in candidates if c.sample_id in split_of]


def _decode_all(
    candidates: list[tuple[Candidate, Split]], scratch: IO[bytes], params: DatasetParams, dataset: str
) -> tuple[pd.DataFrame, list[Skipped], dict[int, int]]:
    """Return a row for each image that could be decoded, in the order of their pixels in the scratch file.

    Beside them, the images that could not, and how many had more than 8 bits, by how many.
    """
    rows: list[tuple[str, ...]] = []
    skipped: list[Skipped] = []
    depths: list[Depth] = []
    contents = [candidate.content for candidate, _ in candidates]
    decoded = decode_many(contents, **params.decode)
    stream = progress(decoded, total=len(candidates), what=f"prepare {dataset}", unit="images")
    for (candidate, split), (sha256, image) in zip(candidates, stream, strict=True):
        if isinstance(image, str):
            skipped.append(Skipped(candidate.source, image))
            continue
        packed = image.pixels.tobytes()
        depths += [image.depth] if image.depth else []
        scratch.write(packed)
        described = (candidate.sample_id, candidate.label, candidate.group, candidate.source, sha256)
        rows.append((*described, split, hashlib.sha256(packed).hexdigest()))
    if skipped and params.on_bad_image == "error":
        lines = [f"\n  {each.source} cannot be decoded: {each.reason}" for each in skipped[:MAX_NAMES]]
        more = f"\n  and {len(skipped) - MAX_NAMES} more" if len(skipped) > MAX_NAMES else ""
        raise UserError(
            f"every file must be an image that can be decoded, found {len(skipped)} that cannot; replace or remove "
            f"them, or set `on_bad_image: skip` to leave such files out:{''.join(lines)}{more}"
        )
    if params.bits is None and (bits := fewest_bits(depths)):
        raise UserError(
            f"bits: must say how many bits the values of files of 16 bits a sample use where all fit in fewer, found "
            f"{max(depth.largest or 0 for depth in depths)} as the largest; set `bits: {bits}`, or `bits: {FULL}` if "
            f"the images are to be as dark as that ({2**FULL - 1} is white)"
        )
    return pd.DataFrame(rows, columns=[*MANIFEST_COLUMNS, "split", "pixels_sha256"]), skipped, count_bits(depths)


def _read_back(scratch: IO[bytes], positions: Iterable[int], size: int) -> Iterator[NDArray[np.uint8]]:
    length = size * size * 3
    for position in positions:
        scratch.seek(position * length)
        yield np.frombuffer(scratch.read(length), dtype=np.uint8).reshape(size, size, 3)
