"""What `whichlayer recommend` prints: for each use of every network which layer to take, and what other ways lose."""

from collections.abc import Sequence
from itertools import groupby

from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.render.summary import regrets_table
from stages.aggregate.render.verdict import WIDTH, use_table
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.formatting import wrapped


def describe(recommendations: Sequence[Recommendation]) -> str:
    """Describe every network in lines of at most 80 characters: a table of uses, sentences, and what others lose."""
    blocks = []
    for _, group in groupby(recommendations, lambda each: (each.dataset, each.model)):
        found = list(group)
        useful = [each for each in found if each.recommended is not None]
        texts = [f"{found[0].dataset}, {found[0].model}", *map(words.sentences, found), words.explain_brackets(useful)]
        head, *lines = [wrapped(text, WIDTH) for text in texts]
        regrets = regrets_table(useful, ("criterion", "baseline"))  # the others are in regret.csv
        blocks.append(
            "\n".join(filter(None, [head, use_table(useful), *lines, regrets.text("plain") if regrets else ""]))
        )
    notes = dict.fromkeys(note for each in recommendations for note in words.notes(each))
    return "\n\n".join(filter(None, [*blocks, "\n".join(wrapped(note, WIDTH) for note in notes)]))
