"""What was packed and what was left out: `report.json`, and the lines a person should read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from stages.prepare.candidates import Candidate, Split
from stages.prepare.duplicates import DuplicateCounts
from stages.prepare.splits import SMALL, class_counts, small_classes
from stages.shared.image_store import SPLITS

FORMAT = "whichlayer.prepare-report/1"


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
        images: number of images by split.
        classes: number of images by split and class.
        skipped: files that could not be decoded.
        duplicates: groups of exact copies.
        small_classes: classes of scored splits with fewer than `SMALL` images.
        ignored: files that belong to no class.
    """

    source: str
    images: dict[str, int]
    classes: dict[str, dict[str, int]]
    skipped: tuple[Skipped, ...]
    duplicates: DuplicateCounts
    small_classes: dict[str, dict[str, int]]
    ignored: tuple[str, ...]

    @classmethod
    def of(
        cls,
        source: str,
        splits: Mapping[Split, Sequence[Candidate]],
        skipped: Sequence[Skipped],
        duplicates: DuplicateCounts,
        ignored: Sequence[str],
    ) -> Self:
        """Count what was packed."""
        classes = {str(split): class_counts(splits[split]) for split in splits}
        images = {split: sum(counts.values()) for split, counts in classes.items()}
        return cls(source, images, classes, tuple(skipped), duplicates, small_classes(splits), tuple(ignored))

    def summary(self) -> str:
        """Say in half a line what was written."""
        counts = ", ".join(f"{self.images[split]} {split}" for split in SPLITS)
        seen, unseen = len(self.classes["test"]), len(self.classes["unseen"])
        return f"{sum(self.images.values())} images ({counts}) of {seen} seen and {unseen} unseen classes"

    def notes(self) -> list[str]:
        """Say what was left out or found odd, one line each; nothing if all is well."""
        notes = []
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
        return notes


def write_report(path: Path, report: Report) -> None:
    """Write the report as JSON, byte-identical for equal content."""
    content = {"format": FORMAT, **asdict(report)}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _some(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (f", and {len(names) - limit} more (report.json)" if len(names) > limit else "")


def _describe(counts: DuplicateCounts) -> str:
    within = ", ".join(f"{n} within {split}" for split, n in counts.within_split.items() if n)
    parts = [
        f"{counts.between_classes} between classes" if counts.between_classes else "",
        f"{counts.between_splits} between splits" if counts.between_splits else "",
        within,
    ]
    fate = f"{counts.dropped} image(s) dropped" if counts.dropped else "all kept"
    return f"{counts.groups} group(s) of exact copies ({', '.join(p for p in parts if p)}), {fate}"
