"""The verdict: what a finished workflow says of each dataset, in at most twelve lines of a terminal of 80 columns.

What to do comes first, then a table by use, in which what choosing gains always stands. Where lines are too long or too
many, further numbers go; they are in summary.md and report.html. A name is never cut, so that it can be typed. Further
networks come beside these lines, each with its own, and so does the network before fine-tuning.
"""

from collections.abc import Sequence
from itertools import groupby

from tabulate import tabulate
from wcwidth import wcswidth

from stages.aggregate.facts import Facts
from stages.aggregate.findings.outcomes import Claim, DatasetFindings, Status
from stages.aggregate.recommend.candidates import GEOMETRY
from stages.aggregate.recommend.schema import Recommendation, best_network
from stages.aggregate.render.documents import regret_tables
from stages.aggregate.words import recommendation as words
from stages.aggregate.words import verdict_lines as lines
from stages.aggregate.words.findings import TITLES, status_words
from stages.aggregate.words.formatting import MISSING, harmless, wrapped
from stages.aggregate.words.labels import more_labels

MAX_LINES, WIDTH = 12, 80

COLUMNS = ("use", "network", "layer", "score", "gain over last", "over before")
DISPENSABLE_LINES = ("unbounded", "accuracy", "depth", "tuned", "design", "labels", "ties", "brackets")
"""Lines that go, in this order, where there are too many."""


def verdict(facts: Facts, *, use: str | None = None, embeds: bool = True) -> str:
    """Put the verdict into words.

    Args:
        facts: of the study.
        use: only the layers for this one; None: that of the study (`aggregate.use`).
        embeds: whether there are networks that can embed new images: then the command that does so is named.
    """
    found, claims = facts.of_use(use), (use or facts.use) is None
    cell, blocks = facts.cell if len({each.dataset for each in found}) > 1 else None, []
    for findings in facts.findings:
        networks = [each for each in found if each.dataset == findings.dataset]
        own = _of_dataset(networks, findings, embeds=embeds, claims=claims, cell=cell) if networks else ""
        blocks.append(own or lines.without_score(findings.dataset))
    notice = [wrapped(facts.notice, WIDTH)] if facts.notice else []
    return "\n".join([*notice, "\n\n".join(blocks)])


def _of_dataset(
    networks: Sequence[Recommendation], findings: DatasetFindings, *, embeds: bool, claims: bool, cell: str | None
) -> str:
    """Put what is known of one dataset into `MAX_LINES` lines, further networks and very long names apart.

    Args:
        networks: its recommendations.
        findings: its findings.
        embeds: whether its networks can embed new images.
        claims: whether the findings are told, which are of the main score, at the recommended checkpoint; what is
            undecided is left to summary.md.
        cell: fold and seed by which the command names a cell; None: of a single dataset it need not.
    """
    uses = dict.fromkeys(each.use for each in networks)
    best = [best_network([each for each in networks if each.use == use]) for use in uses]
    chosen = [each for each in best if each is not None]
    claimed = {
        str(claim): f"{TITLES[claim]}: {status_words([findings], claim, at=['recommended'])}"
        for claim in (Claim.DEPTH, Claim.ACCURACY)
        if claims and not {each.status for each in findings.outcomes(claim)} <= {Status.UNKNOWN, Status.OUT_OF_SCOPE}
    }
    head, table = wrapped(lines.headline(networks), WIDTH), use_table(chosen)
    texts = {
        "brackets": f"{words.explain_brackets(chosen)} {words.scored_as(networks)}".strip(),
        "ties": lines.brief_tied(chosen),
        "labels": more_labels(chosen),
        **claimed,
        "tuned": lines.brief_fine_tuning(chosen),
        "design": lines.design(networks, chosen),
        "doubtful": "" if lines.doubt_first(chosen) else lines.brief_doubts(chosen, known=True),
        "unbounded": lines.brief_doubts(chosen, known=False),
    }
    told = {name: wrapped(text, WIDTH) for name, text in texts.items() if text}
    first = next((each for each in chosen if each.use != GEOMETRY), None)
    if embeds and first:
        told["next"] = lines.next_command(first, cell)
    for name in DISPENSABLE_LINES:
        if len("\n".join([head, table, *told.values()]).splitlines()) > MAX_LINES:
            told.pop(name, None)
    others = [lines.brief_untrained(chosen), *lines.other_networks(networks, chosen)]
    return "\n".join(filter(None, [head, table, *(wrapped(text, WIDTH) for text in others), *told.values()]))


def use_table(chosen: Sequence[Recommendation]) -> str:
    """Lay out the layer of each use, its score, and what choosing it gains.

    Where a line does not fit, these go in this order: a word of the last heading, the score's interval, the network,
    the score's name.
    """
    if not chosen:
        return ""
    several = len({each.model for each in chosen}) > 1
    rows = [words.use_cells(each) | {"network": harmless(each.model)} for each in chosen]
    known = [heading for heading in COLUMNS if any(row[heading] != MISSING for row in rows)]
    for gone in range(5):
        kept = [heading for heading in known if heading != "network" or (several and gone < 3)]
        brief = {"use": gone > 3, "score": gone > 1}
        cells = [row | {name: row[name].partition(" ")[0] for name in brief if brief[name]} for row in rows]
        headings = [heading.removeprefix("over ") if gone else heading for heading in kept]
        aligned = ["right" if heading == "over before" else "left" for heading in kept]
        body = [[row[heading] for heading in kept] for row in cells]
        text = tabulate([headings, *body], tablefmt="plain", colalign=aligned, disable_numparse=True)
        if max(map(wcswidth, text.splitlines())) <= WIDTH:
            break
    return "\n".join(line.rstrip() for line in text.splitlines())


def describe(recommendations: Sequence[Recommendation]) -> str:
    """Describe every network in lines of at most 80 characters: a table of uses, sentences, and what others lose."""
    blocks = []
    for _, group in groupby(recommendations, lambda each: (each.dataset, each.model)):
        found = list(group)
        useful = [each for each in found if each.recommended is not None]
        marks = f"{words.explain_brackets(useful)} {words.scored_as(found)} {more_labels(useful)}".strip()
        texts = [f"{found[0].dataset}, {found[0].model}", *map(words.sentences, found), marks]
        head, *said = [wrapped(text, WIDTH) for text in texts]
        regrets = [table.text("plain") for table in regret_tables(useful)]
        blocks.append("\n".join(filter(None, [head, use_table(useful), *said, *regrets])))
    notes = dict.fromkeys(note for each in recommendations for note in words.notes(each))
    return "\n\n".join(filter(None, [*blocks, "\n".join(wrapped(note, WIDTH) for note in notes)]))
