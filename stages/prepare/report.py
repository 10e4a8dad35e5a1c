"""What a prepared dataset holds and what was left out of it: `report.json`, and the notes that are printed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..shared.images.image_store import SPLITS
from ..shared.runtime.errors import listed
from ..shared.workflow.params import ALL
from .bits import describe_bits
from .candidates import Listing, class_counts, describe_counts
from .duplicates import DuplicateCounts
from .splits import FoldPlan

FORMAT = "whichlayer.prepare-report/3"

SMALL = 10
"""Images per class of a scored split below which scores are coarse, and cross-validation may be impossible."""

MAX_NOTED = 5
"""Names in a note; all of them are in the report."""


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
        notes += _describe(self.duplicates)
        named: dict[str, Sequence[str]] = {
            "file(s) cannot be decoded and were skipped": [each.source for each in self.skipped],
            "file(s) lie in no class folder and were ignored": self.ignored,
            "hidden folder(s) were left out": self.hidden,
        }
        for split, classes in self.small_classes.items():
            coarse = f"{split} class(es) have fewer than {SMALL} images, their scores are coarse"
            named[coarse] = [f"{label} ({count})" for label, count in classes.items()]
        notes += [f"{len(names)} {what}: {listed(names, MAX_NOTED)}" for what, names in named.items() if names]
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
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", errors="replace")


def _describe(counts: DuplicateCounts) -> list[str]:
    numbers = {"between classes": counts.between_classes, "between splits": counts.between_splits}
    numbers |= {f"within {split}": count for split, count in counts.within_split.items()}
    kinds = [f"{count} {kind}" for kind, count in numbers.items() if count]
    fate = f"{counts.dropped} image(s) dropped" if counts.dropped else "all kept"
    return [f"{sum(numbers.values())} group(s) of exact copies ({', '.join(kinds)}), {fate}"] if kinds else []
