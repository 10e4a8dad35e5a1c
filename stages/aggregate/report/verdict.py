"""The verdict: what a finished workflow says, in at most twelve lines of a terminal of 80 columns.

Each part has wordings from long to short; the longest that leave every other part its shortest are taken, in the order
of `ORDER`. What does not fit is in summary.md and report.html.
"""

from collections.abc import Sequence
from pathlib import Path

from stages.aggregate.formatting import at_last_step, harmless, joined, number, wrapped
from stages.aggregate.metric_info import metric_name
from stages.aggregate.recommend.schema import Recommendation, read_recommendations
from stages.aggregate.report.findings import Finding, read_findings
from stages.aggregate.report.scopes import brief_scope, widest
from stages.aggregate.report.verdict_choice import choice
from stages.aggregate.report.verdict_findings import finding_line
from stages.aggregate.report.verdict_table import LEAST_LINES, table
from stages.aggregate.report.verdict_uses import uses
from stages.aggregate.tables.summary import SummaryRow, read_summary

LINES, WIDTH = 12, 80

SCOPE, TABLE, CHOICE, USES, ACCURACY, DEPTH, FINE_TUNING, REST = range(8)
"""The parts as they are printed."""

ORDER = (CHOICE, SCOPE, ACCURACY, DEPTH, FINE_TUNING, USES, REST)
"""The parts as they get the lines that are left over; then the table gets them."""

DOCUMENTS = ("summary.md", "report.html")


def verdict(results: Path) -> str:
    """Put the verdict of a finished `data/results` into words.

    Args:
        results: the folder that the aggregate stage wrote.

    Returns:
        At most `LINES` lines of at most `WIDTH` columns, unless names or the folder's path are very long: none is cut.

    Raises:
        UserError: there are no results, or they are of another version.
    """
    return verdict_of(
        read_summary(results / "summary.csv"),
        read_findings(results / "findings.json"),
        read_recommendations(results / "recommendation.json"),
        rest=_rest(results),
    )


def verdict_of(
    rows: Sequence[SummaryRow],
    findings: Sequence[Finding],
    found: Sequence[Recommendation],
    *,
    rest: Sequence[str] = ("",),
) -> str:
    """Put the verdict into words.

    Args:
        rows: of the summary.
        findings: the claims, judged.
        found: the recommendations.
        rest: wordings of what is to be said last, from long to short, by default nothing.

    Returns:
        At most `LINES` lines of at most `WIDTH` columns.
    """
    main = [row for row in rows if row.main]
    parts = {
        SCOPE: _scope(main, found),
        CHOICE: choice(found),
        USES: uses(rows, found),
        REST: rest,
        **dict(zip((ACCURACY, DEPTH, FINE_TUNING), map(finding_line, findings), strict=True)),
    }
    room = LINES - min(LEAST_LINES, 1 + len(main))
    chosen = fitted({part: [_wrapped(text) for text in texts] for part, texts in parts.items()}, room)
    taken = sum(map(_height, chosen.values()))
    chosen[TABLE] = table(main, found, lines=LINES - taken, width=WIDTH)
    return "\n".join(chosen[part] for part in sorted(chosen) if chosen[part])


def fitted(parts: dict[int, list[str]], lines: int) -> dict[int, str]:
    """Choose a wording of every part: the longest that leaves the others their shortest, in the order of `ORDER`.

    Args:
        parts: wordings of each, from long to short, an empty text for none.
        lines: how many they may have together.
    """
    chosen = {part: min(texts, key=_height) for part, texts in parts.items()}
    if sum(map(_height, chosen.values())) > lines:
        return chosen | {USES: ""}
    for part in ORDER:
        spare = lines - sum(map(_height, chosen.values())) + _height(chosen[part])
        chosen[part] = next((text for text in parts[part] if _height(text) <= spare), chosen[part])
    return chosen


def _wrapped(text: str) -> str:
    return "\n".join(wrapped(line, WIDTH) for line in text.splitlines())


def _height(text: str) -> int:
    return len(text.splitlines())


def _scope(rows: Sequence[SummaryRow], found: Sequence[Recommendation]) -> list[str]:
    """Say what the numbers are of: the data, the score, and what brackets mean."""
    first, scope = rows[0], widest(rows)
    score = harmless(metric_name(first.metric)) + (", lower is better" if first.lower_is_better else "")
    levels = {"chance": [row.chance for row in rows], "raw pixels": [row.baseline for row in rows]}
    known = [f"{name} {_span(values)}" for name, values in levels.items() if any(each is not None for each in values)]
    score = f"{score}{': ' if known else ''}{', '.join(known)}."
    meanings = brief_scope(rows, scope)
    return [f"{_data(rows, found)}.\n{score} {meaning}" for meaning in meanings]


def _data(rows: Sequence[SummaryRow], found: Sequence[Recommendation]) -> str:
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    networks = len({row.model for row in rows})
    n_folds, n_seeds = max(row.n_folds for row in rows), max(row.n_seeds for row in rows)
    classes, images = {each.n_classes for each in found}, {each.n_images for each in found}
    several = len(datasets) > 1
    named = f"{len(datasets)} datasets, {_plural(networks, 'network')}" if several else harmless(datasets[0])
    known = not several and len(classes) == len(images) == 1 and None not in classes | images
    of = f"{_plural(n_folds, 'fold')} of {f'{min(classes)} ' if known else ''}unseen classes"  # type: ignore[type-var]
    counted = [of, *([f"{min(images):,} images"] if known else []), _plural(n_seeds, "seed")]  # type: ignore[type-var]
    return f"{named}: {', '.join(counted)}, {at_last_step(row.step for row in rows)}"


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _span(values: Sequence[float | None]) -> str:
    """Write the smallest and the largest value, once where they look alike."""
    known = [value for value in values if value is not None]
    return " to ".join(dict.fromkeys([number(min(known)), number(max(known))]))


def _rest(results: Path) -> list[str]:
    """Say where the rest is, and that the best layer's score is slightly optimistic."""
    there = [name for name in DOCUMENTS if (results / name).is_file()]
    documents = f"More: {joined(there)} in " if there else "More: "
    where = documents + harmless(f"{results.as_posix()}/")
    return [
        f"Best scores are slightly optimistic: chosen and scored on the same images. {where}",
        f"Best scores are slightly optimistic. {where}",
        where,
    ]
