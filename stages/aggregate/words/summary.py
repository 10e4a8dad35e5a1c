"""What the numbers of the summary are, in words."""

from collections.abc import Sequence

from stages.aggregate.curves import MEAN
from stages.aggregate.scope import BOTH, PROVEN
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import at_last_step, joined
from stages.aggregate.words.scopes import SHORT, few_folds
from stages.aggregate.words.scores import SCORE_WORDS


def explain(rows: Sequence[SummaryRow]) -> list[str]:
    """Explain the numbers of a summary, in Markdown, a text for each kind of number."""
    unproven = {
        scope: [words.name for name, words in SCORE_WORDS.items() if scope not in PROVEN.get(name, ())]
        for scope in BOTH
    }
    unproven["images"] = [name for name in unproven["images"] if name not in unproven["classes"]]
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
        f"These intervals have no proven level of {joined(unproven['classes'])}, and over other images of "
        f"{joined(unproven['images'])}; of the others it is 95 %.",
        "*Last layer*, *pixels* (raw pixels as an embedding) and *chance* are unseen scores.",
        "*Lead* is by how much the truly best earlier layer beats the last: in brackets at least and at most "
        "(one-sided bounds, each by itself), before them an estimate, in the wider scope.",
    ]


def scope_of(rows: Sequence[SummaryRow]) -> str:
    """At which step scores were taken, and over what they are means."""
    return f"Scores at {at_last_step(row.step for row in rows if row.fold == MEAN)}. {averages(rows)}."


def averages(rows: Sequence[SummaryRow]) -> str:
    """Over what a summary's values are means, and what the deviations beside them are."""
    n_folds, n_seeds = max(row.n_folds for row in rows), max(row.n_seeds for row in rows)
    seeds = f"{n_seeds} seeds each" if n_seeds > 1 else "one seed each"
    if n_folds > 1:
        return f"Means over {n_folds} folds of unseen classes, {seeds}, ± standard deviation over folds (ddof = 1)"
    if n_seeds > 1:
        return f"Means over {n_seeds} seeds ± standard deviation (ddof = 1), of one fold of unseen classes"
    return "Values of one seed and one fold of unseen classes, so no spread is known"


def closing_note(without_images: Sequence[str], without_refits: Sequence[str], without_best: Sequence[str]) -> str:
    """For the closing line: what has no intervals and which curves have no best layer; may be nothing.

    Args:
        without_images: networks of which a cell kept no contributions of images.
        without_refits: networks without scores fitted again.
        without_best: curves without any finite value on unseen classes.
    """
    parts = {
        "no images.parquet, so no intervals of accuracy": without_images,
        "nothing fitted again, so no intervals": without_refits,
        "no finite value": without_best,
    }
    return "".join(f" ({what}: {_few(names)})" for what, names in parts.items() if names)


def _few(names: Sequence[str], shown: int = 3) -> str:
    """Name a few, and count the others."""
    return ", ".join([*names[:shown], *([f"{len(names) - shown} more"] if len(names) > shown else [])])
