"""The verdict's table: a row per network of one dataset, or per dataset its best network, as many as there is room."""

from collections.abc import Callable, Sequence

from tabulate import tabulate
from wcwidth import wcswidth

from stages.aggregate.formatting import MISSING, decimals, harmless, number, place
from stages.aggregate.metric_info import Scope, metric_name
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.report.scopes import SHORT, lead_bounds, score_interval, widest
from stages.aggregate.tables.summary import SummaryRow

LEAST_LINES = 3
"""Header and two rows, of which the last may count those that are left out."""

Column = tuple[str, str, str]
"""Heading, alignment, text."""

Columns = Callable[[SummaryRow, str], list[Column]]
"""The columns of a row, of which one is headed by this name of the score."""

BRIEFLY = "score"
DISPENSABLE = ("acc.", "last", "lead (at least)", "lead", BRIEFLY)
"""Columns that go, in this order, where names leave no room for them: a name is never cut, so that it can be typed."""


def table(rows: Sequence[SummaryRow], found: Sequence[Recommendation], *, lines: int, width: int) -> str:
    """Lay out the main score of the best networks.

    Args:
        rows: main rows of summary.csv.
        found: the recommendations; networks without one come last.
        lines: how many the table may have, at least `LEAST_LINES`.
        width: columns of the terminal.
    """
    useful = {(each.dataset, each.model) for each in found if each.recommended is not None}
    ranked = sorted(rows, key=lambda row: ((row.dataset, row.model) not in useful, -_gain(row)))
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    several = len(datasets) > 1
    if several:
        ranked = [next(row for row in ranked if row.dataset == dataset) for dataset in datasets]
    room = max(1, lines - 1 if len(ranked) < lines else lines - 2)
    shown, others = ranked[:room], ranked[room:]
    scope = widest(rows)
    score = harmless(metric_name(rows[0].metric))

    def columns(row: SummaryRow, name: str) -> list[Column]:
        return _columns(row, name, scope, several=several)

    laid = _laid_out(shown, columns, score, width)
    return "\n".join([laid, *([_others(others, several=several)] if others and lines > room + 1 else [])])


def _gain(row: SummaryRow) -> float:
    return -row.unseen if row.lower_is_better else row.unseen


def _others(rows: Sequence[SummaryRow], *, several: bool) -> str:
    """Count the rows that are left out, with the range of their scores."""
    what = "dataset" if several else "network"
    values = [row.unseen for row in rows]
    span = " to ".join(dict.fromkeys([number(min(values)), number(max(values))]))
    return f"{len(rows)} more {what}{'s' if len(rows) > 1 else ''}: {span}"


def _columns(row: SummaryRow, score: str, scope: Scope | None, *, several: bool) -> list[Column]:
    known = score_interval(row, scope) if scope else ""
    head = f"{score}{f' [{SHORT[scope]}]' if scope else ''}"
    dataset: list[Column] = [("dataset", "left", harmless(row.dataset))]
    accuracy: list[Column] = [("acc.", "right", number(row.accuracy))]
    last: list[Column] = [("last", "right", number(row.last_value))]
    return [
        *(dataset if several else []),
        ("network", "left", harmless(row.model)),
        *([] if several else accuracy),
        ("best", "left", place(row.best_depth, row.last_depth)),
        (head, "left", f"{number(row.unseen)} {known}".rstrip()),
        *([] if several else last),
        ("lead (at least)" if scope else "lead", "left", _lead(row, scope)),
    ]


def _lead(row: SummaryRow, scope: Scope | None) -> str:
    """Lead over the last layer, and its lower bound in brackets."""
    bounds = lead_bounds(row, scope) if scope else None
    lead = MISSING if row.lead is None else decimals(row.lead, sign=True)
    return lead if bounds is None else f"{lead} ({decimals(bounds.low, sign=True)})"


def _laid_out(rows: Sequence[SummaryRow], columns: Columns, score: str, width: int) -> str:
    """Lay rows out; where a line does not fit, the score goes without its name, and then columns go."""
    brief = score if wcswidth(score) <= wcswidth(BRIEFLY) else BRIEFLY
    for name, left_out in [(score, 0), *((brief, count) for count in range(len(DISPENSABLE) + 1))]:
        dropped = {brief if heading == BRIEFLY else heading for heading in DISPENSABLE[:left_out]}
        laid = [[cell for cell in columns(row, name) if cell[0].partition(" [")[0] not in dropped] for row in rows]
        header, aligned = [heading for heading, _, _ in laid[0]], [side for _, side, _ in laid[0]]
        cells = [header, *([text for _, _, text in row] for row in laid)]
        text = tabulate(cells, tablefmt="plain", colalign=aligned, disable_numparse=True)
        if max(map(wcswidth, text.splitlines())) <= width:
            break
    return "\n".join(line.rstrip() for line in text.splitlines())
