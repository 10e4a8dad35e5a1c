"""Over what the values of a study are means, at which step, and what the columns of a summary are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.aggregate.curves import MEAN, Parts, Scores
from stages.aggregate.scope import BOTH, PROVEN, is_proven
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import joined
from stages.aggregate.words.intervals import SHORT, few_folds
from stages.aggregate.words.scores import NAMES


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


def explain(rows: Sequence[SummaryRow], parts: Parts) -> list[str]:
    """Explain the numbers of a summary, in Markdown, a text for each kind of number."""
    proven = {scope: joined([NAMES[metric] for metric in PROVEN if is_proven(metric, scope)]) for scope in BOTH}
    few = few_folds(rows, parts)
    return [
        "*Accuracy* is that of a fine-tuned network on test images of the seen classes.",
        "*Seen* and *unseen* are the best of any layer, on test images of the seen classes and on images of the unseen "
        "classes, which were held out here (the weights that networks came with may have known them). They have "
        "different numbers of classes: compare layers, not the two splits.",
        f"*Best layer* is the one that is best on unseen (of the mean over seeds and {parts}), counted from 1 at the "
        "input. It is chosen and scored on the same images, so that *unseen* is too good; the table of uses corrects "
        "that.",
        f"*{SHORT['classes'].capitalize()}* and *{SHORT['images']}* are intervals of *unseen*, as of a layer that was "
        "named beforehand: of other classes of this domain, as many left out at a time and the network trained again; "
        f"and of these classes with these trained networks.{' ' + few if few else ''}",
        f"Their level of 95 % is proven over other classes of {proven['classes']}, over other images of "
        f"{proven['images']}.",
        "*Last layer*, *pixels* (raw pixels as an embedding) and *chance* are unseen scores.",
    ]
