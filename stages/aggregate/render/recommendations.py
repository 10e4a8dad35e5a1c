"""What `whichlayer recommend` prints: for each use of every network which layer to take, and what other ways lose."""

from collections.abc import Sequence
from itertools import groupby

from tabulate import tabulate

from stages.aggregate.recommend.criteria import criterion_of
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.render.verdict import WIDTH, use_table
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.formatting import MISSING, wrapped


def describe(recommendations: Sequence[Recommendation]) -> str:
    """Describe every network in lines of at most 80 characters: a table of uses, sentences, and what others lose."""
    blocks = []
    for _, group in groupby(recommendations, lambda each: (each.dataset, each.model)):
        found = list(group)
        useful = [each for each in found if each.recommended is not None]
        texts = [f"{found[0].dataset}, {found[0].model}", *map(words.sentences, found), words.explain_intervals(useful)]
        head, *lines = [wrapped(text, WIDTH) for text in texts]
        blocks.append("\n".join(filter(None, [head, use_table(useful), *lines, *_regrets(useful)])))
    notes = dict.fromkeys(note for each in recommendations for note in words.notes(each))
    return "\n\n".join(filter(None, [*blocks, "\n".join(wrapped(note, WIDTH) for note in notes)]))


def _regrets(found: Sequence[Recommendation]) -> list[str]:
    """What the criterion and the baselines lost to the best, a column for each use; the others are in regret.csv."""
    regrets = {each.use: {record.criterion: record for record in each.regret} for each in found}
    names = dict.fromkeys(name for own in regrets.values() for name in own)
    rows = [
        {"lost to the best": words.criterion_words(name)}
        | {
            use: words.lost(own[name].at_least, own[name].at_most) if name in own else MISSING
            for use, own in regrets.items()
        }
        for name in names
        if criterion_of(name).kind in ("criterion", "baseline")
    ]
    return [tabulate(rows, "keys", tablefmt="plain", disable_numparse=True)] if rows else []
