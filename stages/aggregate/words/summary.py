"""What the numbers of the summary are, in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stages.aggregate.curves import MEAN
from stages.aggregate.results import Results
from stages.aggregate.scope import BOTH, PROVEN
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import joined
from stages.aggregate.words.scores import NAMES, SHORT, few_folds


def explain(rows: Sequence[SummaryRow]) -> list[str]:
    """Explain the numbers of a summary, in Markdown, a text for each kind of number."""
    levels = [(name, PROVEN.get(metric, ())) for metric, name in NAMES.items()]
    proven = {scope: joined([name for name, scopes in levels if scope in scopes]) for scope in BOTH}
    few = few_folds(rows)
    return [
        "*Accuracy* is that of a fine-tuned network on test images of the seen classes.",
        "*Seen* and *unseen* are the best of any layer, on test images of the seen classes and on images of the unseen "
        "classes. They have different numbers of classes: compare layers, not the two splits.",
        "*Best layer* is the one that is best on unseen (of the mean over seeds and folds), counted from 1 at the "
        "input. It is chosen and scored on the same images, so that *unseen* is too high; the table of uses corrects "
        "that.",
        f"*{SHORT['classes'].capitalize()}* and *{SHORT['images']}* are intervals of *unseen*, as of a layer that was "
        "named beforehand: of other classes of this domain, as many left out at a time and the network trained again; "
        f"and of these classes with these trained networks.{' ' + few if few else ''}",
        f"Their level of 95 % is proven over other classes of {proven['classes']}, over other images of "
        f"{proven['images']}.",
        "*Last layer*, *pixels* (raw pixels as an embedding) and *chance* are unseen scores.",
        "*Lead* estimates by how much the truly best earlier layer beats the last, in the wider scope; in brackets at "
        "least and at most (one-sided bounds, each by itself).",
    ]


def scope_of(rows: Sequence[SummaryRow]) -> str:
    """At which step scores were taken, and over what they are means."""
    averages = Averages(max(row.n_folds for row in rows), max(row.n_seeds for row in rows))
    spread = averages.spread if averages.vary else "so no spread is known"
    return f"Scores at {at_last_step(row.step for row in rows if row.fold == MEAN)}: {averages.words}, {spread}."


def at_last_step(steps: Iterable[int]) -> str:
    """At which step scores were taken: `step 100`, or where networks differ `the last step (0 or 100)`."""
    known = sorted(set(steps))
    return f"step {known[0]}" if len(known) == 1 else f"the last step ({' or '.join(map(str, known))})"


@dataclass(frozen=True)
class Averages:
    """Over how many folds of unseen classes, and seeds of each, values are means."""

    n_folds: int
    n_seeds: int

    @property
    def vary(self) -> bool:
        """Whether values have a standard deviation."""
        return self.n_folds > 1 or self.n_seeds > 1

    @property
    def words(self) -> str:
        """Return it for a caption."""
        seeds = f"{self.n_seeds} seeds" if self.n_seeds > 1 else "one seed"
        return f"mean of {self.n_folds} folds, {seeds} each" if self.n_folds > 1 else self.vary * "mean of " + seeds

    @property
    def spread(self) -> str:
        """Return what bars or bands of one standard deviation, or numbers behind ±, are."""
        return f"± 1 standard deviation over {'folds' if self.n_folds > 1 else 'seeds'} (ddof = 1)"


def closing_note(results: Results) -> str:
    """For the closing line: what has no intervals and which curves have no best layer; may be nothing."""
    networks = {"/".join(name): network for name, network in results.networks.items()}
    without = {
        "no images.parquet, so no intervals of accuracy": [name for name, data in networks.items() if not data.images],
        "nothing fitted again, so no intervals": [name for name, data in networks.items() if data.refits.empty],
        "no finite value": results.scores.without_best,
    }
    return "".join(f" ({what}: {_few(names)})" for what, names in without.items() if names)


def _few(names: Sequence[str], shown: int = 3) -> str:
    """Name a few, and count the others."""
    return ", ".join([*names[:shown], *([f"{len(names) - shown} more"] if len(names) > shown else [])])
