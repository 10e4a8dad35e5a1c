"""What the numbers of a study are, in words: over what they are means, and what they can show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from ...core.inference.contrasts import POWER
from ..findings.outcomes import Power
from ..names import MEAN, Parts
from ..tables.summary_row import SummaryRow
from .formatting import joined, of_parts, plural
from .scopes import at_last_step

if TYPE_CHECKING:
    from ..curves import Scores  # with pandas


@dataclass(frozen=True)
class Averages:
    """Over how many folds of unseen classes, and seeds of each, values are means."""

    n_folds: int
    n_seeds: int
    parts: Parts = "folds"

    @property
    def vary(self) -> bool:
        """Whether values have a standard deviation."""
        return self.n_folds > 1 or self.n_seeds > 1

    @property
    def words(self) -> str:
        """Return it for a caption."""
        seeds = f"{self.n_seeds} seeds" if self.n_seeds > 1 else "one seed"
        if self.n_folds == 1:
            return self.vary * "mean over " + seeds
        return f"mean over {self.n_folds} {self.parts}, {seeds} each"

    @property
    def spread(self) -> str:
        """Return what bars or bands of one standard deviation, or numbers behind ±, are."""
        return f"± 1 standard deviation over {self.parts if self.n_folds > 1 else 'seeds'} (ddof = 1)"


def averages(scores: "Scores") -> Averages:
    """Return over what the values of a study are means."""
    return Averages(len(scores.folds), scores.n_seeds, scores.parts)


def scope_of(rows: Sequence[SummaryRow], parts: Parts) -> str:
    """At which step scores were taken, and over what they are means."""
    means = Averages(max(row.n_folds for row in rows), max(row.n_seeds for row in rows), parts)
    spread = means.spread if means.vary else "so no spread is known"
    return f"Scores at {at_last_step(row.step for row in rows if row.fold == MEAN)}: {means.words}, {spread}."


READING = (
    "Intervals assume a layer that was chosen beforehand; docs/uncertainty.md#validation lists the scores whose "
    "level is proven, docs/results.md#how-to-read-it explains the columns."
)
"""What a table of every score needs."""

FEW_FOLDS = (
    "Intervals over classes need three folds with equally many unseen classes, four or more (docs/uncertainty.md)."
)


def few_folds(rows: Iterable[SummaryRow], parts: Parts = "folds") -> str:
    """What intervals over other classes take, if the rows of some network have none; nothing where all have some."""
    means = [row for row in rows if row.fold == MEAN]
    known = {(row.dataset, row.model) for row in means if row.ci_classes_low is not None}
    return "" if all((row.dataset, row.model) in known for row in means) else of_parts(FEW_FOLDS, parts)


def power_sentence(power: Power, wanted: float | None = None) -> str:
    """Say which lead and difference such studies show, and how many folds, seeds or classes a wanted lead takes.

    Args:
        power: of one network.
        wanted: lead over the last layer; None: half the one that is shown.
    """
    wanted = _up(power.lead / 2) if wanted is None else wanted
    told = max(f"{wanted:.2f}", f"{wanted:g}", key=len)
    return (
        f"{power.dataset}, {power.model}: over classes, {100 * POWER:.0f}% of studies like this one show a lead "
        f"of {_up(power.lead):.2f} over the last layer, and that a layer "
        f"{_up(power.difference):.2f} below the best is worse. A lead of {told} needs {_needed(power, wanted)}."
    )


def _up(value: float) -> float:
    """Round up to two decimals, so that what is said to be shown is."""
    return ceil(round(100 * value, 6)) / 100


def _needed(power: Power, wanted: float) -> str:
    """Write what a lead takes, each with the rest of the design as it is."""
    each, least = " in each fold" if power.folds else "", "at least " if power.folds and not power.seeds else ""
    numbers = (
        (power.folds, "fold", "folds", "", ""),
        (power.seeds, "seed", "seeds", each, ""),
        (power.classes, "unseen class", "unseen classes", each, least),
    )
    texts = []
    for leads, one, several, where, before in numbers:
        enough = next((number for number, lead in leads.items() if lead <= wanted), None)
        if enough is not None:
            texts.append(f"{before}{enough} {one if enough == 1 else several}{where}")
        elif leads:
            texts.append(f"more than {max(leads)} {several}{where}")
    return ", or ".join(texts)


def versions_notice(differing: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Say that cells were made with several versions of libraries; empty where they were not.

    Args:
        differing: library -> version -> names of cells.
    """
    found = [
        f"{library} " + joined([f"{version} ({_cells(names)})" for version, names in versions.items()])
        for library, versions in differing.items()
    ]
    made = "Cells were made with several library versions, which may move their scores"
    return f"{made}: {'; '.join(found)}. `dvc repro -f` recomputes all with today's." if found else ""


def _cells(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else plural(len(names), "cell")
