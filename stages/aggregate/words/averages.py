"""Over what the values of a study are means, at which step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.aggregate.curves import MEAN, Parts, Scores
from stages.aggregate.tables.summary import SummaryRow


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
            return self.vary * "mean of " + seeds
        return f"mean of {self.n_folds} {self.parts}, {seeds} each"

    @property
    def spread(self) -> str:
        """Return what bars or bands of one standard deviation, or numbers behind ±, are."""
        return f"± 1 standard deviation over {self.parts if self.n_folds > 1 else 'seeds'} (ddof = 1)"


def averages(scores: Scores) -> Averages:
    """Return over what the values of a study are means."""
    return Averages(len(scores.folds), scores.n_seeds, scores.parts)


def scope_of(rows: Sequence[SummaryRow], parts: Parts) -> str:
    """At which step scores were taken, and over what they are means."""
    means = Averages(max(row.n_folds for row in rows), max(row.n_seeds for row in rows), parts)
    spread = means.spread if means.vary else "so no spread is known"
    return f"Scores at {at_last_step(row.step for row in rows if row.fold == MEAN)}: {means.words}, {spread}."


def at_last_step(steps: Iterable[int]) -> str:
    """At which step scores were taken: `step 100`, or where networks differ `the last step (0 or 100)`."""
    known = sorted(set(steps))
    return f"step {known[0]}" if len(known) == 1 else f"the last step ({' or '.join(map(str, known))})"


READING = (
    "Intervals are those of a layer that was named beforehand; docs/uncertainty.md#validation lists the scores whose "
    "level is proven, docs/results.md#how-to-read-it says what the columns are."
)
"""What a table of every score needs."""
