"""The verdict in words: recommendations, tables of the main score, the findings, and the figures.

The answer comes first, everything else in fewer words than summary.md has.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from tabulate import tabulate

from stages.aggregate.formatting import MISSING, at_last_step, decimals, number, place, shorten, wrapped
from stages.aggregate.metric_info import Scope, metric_name
from stages.aggregate.recommendation.records import read_recommendations
from stages.aggregate.report.findings import Finding, read_findings
from stages.aggregate.report.folds import single_folds
from stages.aggregate.report.recommendation import recommendation_sentences
from stages.aggregate.report.scopes import SHORT, explain_scopes, few_folds, lead_bounds, score_interval, widest
from stages.aggregate.report.summary_md import averages
from stages.aggregate.tables.summary import SummaryRow, read_summary

WIDTH = 120
LONGEST_NAME, SHORTEST_NAME = 60, 8
SHOWN_FIGURES = 4

Column = tuple[str, str, str]
"""Heading, alignment, text."""

Columns = Callable[[SummaryRow, int], list[Column]]
"""The columns of one row, the dataset first, names cut to so many characters."""


def verdict(results: Path) -> str:
    """Put the verdict of a finished `data/results` into words.

    Args:
        results: the folder that the aggregate stage wrote.

    Returns:
        Lines of at most 120 characters.

    Raises:
        UserError: there are no results, or they are of another version.
    """
    rows = read_summary(results / "summary.csv")
    findings = read_findings(results / "findings.json")
    main, folds = [row for row in rows if row.main], single_folds(rows)
    recommended = map(recommendation_sentences, read_recommendations(results / "recommendation.json"))
    parts = [_title(main), "\n".join(map(_wrapped, recommended)), _table(main)]
    parts += [_fold_table(folds)] if folds else []
    return "\n\n".join([*parts, *map(_finding, findings), _scope(main), _figures(results)])


def _title(rows: Sequence[SummaryRow]) -> str:
    extreme = "minimum" if rows[0].lower_is_better else "maximum"
    return _wrapped(
        f"Which layer separates unseen classes best? Score: {metric_name(rows[0].metric)} "
        f"at {at_last_step(row.step for row in rows)}; g is the {extreme} over layers."
    )


def _finding(finding: Finding) -> str:
    summaries = [_wrapped(f"{dataset}: {summary}") for dataset, summary in finding.summaries.items()]
    return "\n".join([f"Finding {finding.claim}", *summaries])


def _scope(rows: Sequence[SummaryRow]) -> str:
    bounds = "At least: lower bound of the best earlier layer's lead over the last, of the same scope."
    brackets = f"{explain_scopes(rows[0].metric)} {bounds}" if widest(rows) else "No interval is known."
    optimistic = "The best layer is chosen and scored on the same images, so g is slightly optimistic."
    return _wrapped(" ".join(part for part in (f"{averages(rows)}.", brackets, few_folds(rows), optimistic) if part))


def _figures(results: Path) -> str:
    names = sorted((path.name for path in (results / "figures").glob("*.png")), key=_overviews_first)
    rest = f", and {len(names) - SHOWN_FIGURES} more" if len(names) > SHOWN_FIGURES else ""
    return _wrapped(
        f"Figures: {(results / 'figures').as_posix()}/: {', '.join(names[:SHOWN_FIGURES])}{rest} (SVG beside each "
        "PNG). Numbers behind the findings: summary.md. Tables: summary.csv."
    )


def _overviews_first(name: str) -> tuple[bool, str]:
    return not name.startswith("overview-"), name


def _table(rows: Sequence[SummaryRow]) -> str:
    scope = widest(rows)

    def columns(row: SummaryRow, longest: int) -> list[Column]:
        known = score_interval(row, scope) if scope else ""
        return [
            ("dataset", "left", shorten(row.dataset, longest)),
            ("model", "left", shorten(row.model, longest)),
            ("accuracy", "right", number(row.accuracy)),
            ("g unseen", "right", number(row.unseen, None if known else row.unseen_sd)),
            *([(SHORT[scope], "left", known or MISSING)] if scope else []),
            *_best_and_last(row, longest),
            *([("at least", "right", _at_least(row, scope))] if scope else []),
        ]

    return _laid_out(rows, columns)


def _at_least(row: SummaryRow, scope: Scope) -> str:
    """Lower bound of the lead over the last layer."""
    lead = lead_bounds(row, scope)
    return MISSING if lead is None else decimals(lead.low, sign=True)


def _fold_table(rows: Sequence[SummaryRow]) -> str:
    def columns(row: SummaryRow, longest: int) -> list[Column]:
        return [
            ("dataset", "left", shorten(row.dataset, longest)),
            ("model", "left", shorten(row.model, longest)),
            ("fold", "right", row.fold),
            ("accuracy", "right", number(row.accuracy)),
            ("g unseen", "right", number(row.unseen, row.unseen_sd)),
            *_best_and_last(row, longest),
        ]

    return _laid_out(rows, columns)


def _best_and_last(row: SummaryRow, longest: int) -> list[Column]:
    return [
        ("best layer", "left", f"{place(row.best_depth, row.last_depth)} ({shorten(row.best_layer, longest)})"),
        ("last", "right", number(row.last_value)),
        ("lead", "right", MISSING if row.lead is None else decimals(row.lead, sign=True)),
    ]


def _laid_out(rows: Sequence[SummaryRow], columns: Columns) -> str:
    """Lay rows out as a table, names cut until a line has at most `WIDTH` characters; one dataset needs no column."""
    several = len({row.dataset for row in rows}) > 1
    for longest in range(LONGEST_NAME, SHORTEST_NAME, -1):
        laid = [columns(row, longest)[0 if several else 1 :] for row in rows]
        header, aligned = [heading for heading, _, _ in laid[0]], [side for _, side, _ in laid[0]]
        cells = [[text for _, _, text in row] for row in laid]
        table = tabulate(cells, header, tablefmt="simple", colalign=aligned, disable_numparse=True)
        if max(map(len, table.splitlines())) <= WIDTH:
            break
    return table


def _wrapped(text: str) -> str:
    return wrapped(text, WIDTH)
