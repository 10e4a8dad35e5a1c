"""The verdict: what a finished workflow says, in at most twelve lines of a terminal of 80 columns.

Each part has wordings from long to short; the longest that leave every other part its shortest are taken, in the order
of `ORDER`. What does not fit is in summary.md and report.html. Numbers are of the recommended checkpoint; the findings,
which are about the last one, say so where it is another.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path

from tabulate import tabulate
from wcwidth import wcswidth

from stages.aggregate.facts import Facts
from stages.aggregate.findings.status import Claim
from stages.aggregate.recommend.schema import Recommendation, ranked
from stages.aggregate.scope import Scope
from stages.aggregate.words.findings import BRIEF_TITLES, status_words
from stages.aggregate.words.formatting import (
    MISSING,
    at_last_step,
    decimals,
    harmless,
    interval,
    joined,
    number,
    place,
    plural,
    span,
    wrapped,
)
from stages.aggregate.words.recommendation import choice_wordings, use_wordings
from stages.aggregate.words.scopes import SCOPES, SHORT, brief_scope
from stages.aggregate.words.scores import metric_name
from stages.aggregate.words.summary import at_last_step_alone, at_recommended_step

LINES, WIDTH = 12, 80

MIN_TABLE_LINES = 3
"""Header and two rows, of which the last may count those that are left out."""


class Part(IntEnum):
    """The parts as they are printed."""

    SCOPE = 0
    TABLE = 1
    CHOICE = 2
    USES = 3
    ACCURACY = 4
    DEPTH = 5
    FINE_TUNING = 6
    REST = 7


ORDER = (Part.CHOICE, Part.SCOPE, Part.ACCURACY, Part.DEPTH, Part.FINE_TUNING, Part.USES, Part.REST)
"""The parts as they get the lines that are left over; then the table gets them."""

CLAIMS = {Part.ACCURACY: Claim.ACCURACY, Part.DEPTH: Claim.DEPTH, Part.FINE_TUNING: Claim.FINE_TUNING}

DOCUMENTS = ("summary.md", "report.html")

BRIEFLY = "score"
DISPENSABLE = ("acc.", "last", "lead (at least)", "lead", BRIEFLY)
"""Columns that go, in this order, where names leave no room for them: a name is never cut, so that it can be typed."""


def verdict(facts: Facts, *, rest: Sequence[str] = ("",)) -> str:
    """Put the verdict into words.

    Args:
        facts: of the study.
        rest: wordings of what is to be said last, from long to short, by default nothing.

    Returns:
        At most `LINES` lines of at most `WIDTH` columns, unless names or the folder's path are very long: none is cut.
    """
    networks = facts.recommendations
    parts = {
        Part.SCOPE: _scope(networks),
        Part.CHOICE: choice_wordings(networks),
        Part.USES: use_wordings(networks, ranked(networks)[0]),
        Part.REST: rest,
    }
    for part, claim in CLAIMS.items():
        statuses = status_words(facts.findings, claim)
        parts[part] = [f"{title}: {status}" for status in statuses for title in BRIEF_TITLES[claim]]
    if not at_last_step_alone(networks):
        at = at_last_step(each.last_step for each in networks)
        parts[Part.ACCURACY] = [f"At {at}: {text}" for text in parts[Part.ACCURACY]]
    room = LINES - min(MIN_TABLE_LINES, 1 + len(networks))
    chosen = fitted({part: [_wrapped(text) for text in texts] for part, texts in parts.items()}, room)
    chosen[Part.TABLE] = table(networks, lines=LINES - sum(map(_height, chosen.values())), width=WIDTH)
    return "\n".join(chosen[part] for part in sorted(chosen) if chosen[part])


def rest_wordings(results: Path) -> list[str]:
    """Where the rest is, and that the best layer's score is slightly optimistic, in wordings from long to short."""
    there = [name for name in DOCUMENTS if (results / name).is_file()]
    documents = f"More: {joined(there)} in " if there else "More: "
    where = documents + harmless(f"{results.as_posix()}/")
    return [
        f"Best scores are slightly optimistic: chosen and scored on the same images. {where}",
        f"Best scores are slightly optimistic. {where}",
        where,
    ]


def fitted(parts: Mapping[Part, list[str]], lines: int) -> dict[Part, str]:
    """Choose a wording of every part: the longest that leaves the others their shortest, in the order of `ORDER`.

    Args:
        parts: wordings of each, from long to short, an empty text for none.
        lines: how many they may have together.
    """
    chosen = {part: min(texts, key=_height) for part, texts in parts.items()}
    if sum(map(_height, chosen.values())) > lines:
        return chosen | {Part.USES: ""}
    for part in ORDER:
        spare = lines - sum(map(_height, chosen.values())) + _height(chosen[part])
        chosen[part] = next((text for text in parts[part] if _height(text) <= spare), chosen[part])
    return chosen


def table(networks: Sequence[Recommendation], *, lines: int, width: int) -> str:
    """Lay out the main score: a row per network of one dataset, or per dataset its best network.

    Args:
        networks: all of them.
        lines: how many the table may have, at least `MIN_TABLE_LINES`.
        width: columns of the terminal.
    """
    datasets = list(dict.fromkeys(each.dataset for each in networks))
    rows, several = ranked(networks), len(datasets) > 1
    if several:
        rows = [next(row for row in rows if row.dataset == dataset) for dataset in datasets]
    room = max(1, lines - 1 if len(rows) < lines else lines - 2)
    shown, others = rows[:room], rows[room:]
    laid = _laid_out(shown, _widest(networks), width, several=several)
    if not others or lines <= room + 1:
        return laid
    return f"{laid}\n{plural(len(others), 'more dataset' if several else 'more network')}: {span(_values(others))}"


def _laid_out(rows: Sequence[Recommendation], scope: Scope | None, width: int, *, several: bool) -> str:
    """Lay rows out; where a line does not fit, the score goes without its name, and then columns go."""
    score = harmless(metric_name(rows[0].metric))
    brief = score if wcswidth(score) <= wcswidth(BRIEFLY) else BRIEFLY
    for name, left_out in [(score, 0), *((brief, count) for count in range(len(DISPENSABLE) + 1))]:
        dropped = {name if heading == BRIEFLY else heading for heading in DISPENSABLE[:left_out]}
        cells = [_cells(row, name, scope, several=several) for row in rows]
        headings = [heading for heading in cells[0] if heading not in dropped]
        brackets = f" [{SHORT[scope]}]" if scope else ""
        header = [f"{heading}{brackets if heading == name else ''}" for heading in headings]
        aligned = ["right" if heading in ("acc.", "last") else "left" for heading in headings]
        body = [[row[heading] for heading in headings] for row in cells]
        text = tabulate([header, *body], tablefmt="plain", colalign=aligned, disable_numparse=True)
        if max(map(wcswidth, text.splitlines())) <= width:
            break
    return "\n".join(line.rstrip() for line in text.splitlines())


def _cells(row: Recommendation, score: str, scope: Scope | None, *, several: bool) -> dict[str, str]:
    """Heading -> text of a row, the score's column headed by this name."""
    best, bounds = row.best, row.best.scopes.get(scope) if scope else None
    lead = MISSING if best.lead is None else decimals(best.lead, sign=True)
    at_least = bounds.lead_at_least if bounds else None
    ends = (None, None) if bounds is None else (bounds.low, bounds.high)
    return {
        **({"dataset": harmless(row.dataset)} if several else {}),
        "network": harmless(row.model),
        **({} if several else {"acc.": number(best.accuracy)}),
        "best": place(best.depth, row.last_depth),
        score: f"{number(best.value)} {interval(*ends)}".rstrip(),
        **({} if several else {"last": number(best.last_value)}),
        "lead (at least)" if scope else "lead": lead
        if at_least is None
        else f"{lead} ({decimals(at_least, sign=True)})",
    }


def _widest(networks: Sequence[Recommendation]) -> Scope | None:
    """The wider scope in which some network's score has an interval."""
    known = {scope for each in networks for scope, bounds in each.best.scopes.items() if bounds.low is not None}
    return next((scope for scope in SCOPES if scope in known), None)


def _scope(networks: Sequence[Recommendation]) -> list[str]:
    """What the numbers are of: the data, the score, and what brackets mean."""
    first = networks[0]
    score = harmless(metric_name(first.metric)) + (", lower is better" if first.better == "lower" else "")
    levels = {"chance": [each.chance for each in networks], "raw pixels": [each.pixels for each in networks]}
    known = [f"{name} {span(values)}" for name, values in levels.items() if any(each is not None for each in values)]
    meanings = brief_scope(first.metric, min(each.n_folds for each in networks), _widest(networks))
    score = f"{score}{': ' if known else ''}{', '.join(known)}."
    return [f"{_data(networks)}.\n{score} {meaning}" for meaning in meanings]


def _data(networks: Sequence[Recommendation]) -> str:
    datasets = list(dict.fromkeys(each.dataset for each in networks))
    n_folds, n_seeds = max(each.n_folds for each in networks), max(each.n_seeds for each in networks)
    classes, images = {each.n_classes for each in networks}, {each.n_images for each in networks}
    several = len(datasets) > 1
    n_networks = plural(len({each.model for each in networks}), "network")
    named = f"{len(datasets)} datasets, {n_networks}" if several else harmless(datasets[0])
    known = not several and len(classes) == len(images) == 1
    folds = f"{plural(n_folds, 'fold')} of {f'{min(classes)} ' if known else ''}unseen classes"
    counted = [folds, *([f"{min(images):,} images"] if known else []), plural(n_seeds, "seed")]
    return f"{named}: {', '.join(counted)}, {at_recommended_step(networks)}"


def _values(networks: Sequence[Recommendation]) -> list[float]:
    return [each.best.value for each in networks]


def _wrapped(text: str) -> str:
    return "\n".join(wrapped(line, WIDTH) for line in text.splitlines())


def _height(text: str) -> int:
    return len(text.splitlines())
