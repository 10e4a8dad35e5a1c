"""The verdict in words: a table of the main score, advice for every dataset and model, the findings, and the figures.

Every sentence is about these images of these unseen classes. A maximum over layers is chosen and scored on the same
images, so that whether a layer beats the last one is judged by its lead, which is not (docs/uncertainty.md).
"""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from stages.aggregate.formatting import at_last_step, number, place, shorten
from stages.aggregate.metric_info import metric_name
from stages.aggregate.report import depth_finding
from stages.aggregate.report.findings import Finding, evaluate_findings
from stages.aggregate.report.status import beaten_by
from stages.aggregate.tables.steps import STEPS_COLUMNS
from stages.aggregate.tables.summary import SummaryRow, read_summary
from stages.shared.csv_table import read_table

WIDTH = 120
HEADER = ["dataset", "model", "accuracy", "g seen", "g unseen", "best layer", "last layer"]
ALIGNED = ["left", "left", "right", "right", "right", "left", "right"]
LONGEST_NAME, SHORTEST_NAME = 60, 8
SHOWN_FIGURES = 4


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
    steps = read_table(results / "steps.csv", STEPS_COLUMNS, what="a table of steps", stage="aggregate")
    findings = evaluate_findings(rows, steps)
    main = [row for row in rows if row.main]
    sentences = [_wrapped(sentence(row)) for row in main]
    parts = [_title(main), _table(main), "\n".join(sentences), *map(_finding, findings)]
    return "\n\n".join([*parts, _wrapped(_scope(main)), _figures(results)])


def sentence(row: SummaryRow) -> str:
    """Say from which layer to take features, for one main row of summary.csv, and what the others give."""
    score = f"{metric_name(row.metric)} {number(row.unseen, row.unseen_sd)}"
    best = f"layer {place(row.best_depth, row.last_depth)} (`{row.best_layer}`, {score})"
    last = f"the last layer (`{row.last_layer}`, {number(row.last_value, row.last_value_sd)})"
    cost = (
        f"computing it takes {_percent(row.best_parameters, row.total_parameters)} of the parameters up to the last "
        "layer."
    )
    status = depth_finding.status(row)
    if row.best_is_last:
        advice = f"take features from the last layer, {best}: no earlier layer scores better."
    elif status == "supported":
        advice = f"take features from {best} rather than from {last}; {cost}"
    elif status == "cannot be judged":
        advice = f"{best} scores best; its lead over {last} was not tested; {cost}"
    else:
        advice = f"{best} scores best, but no lead over {last} is shown; {cost}"
    level = beaten_by(row)
    return f"{row.dataset}, {row.model}: {advice}" + (f" But no layer beats {level}." if level else "")


def _finding(finding: Finding) -> str:
    lines = [f"Finding {finding.claim}"]
    for dataset, summary in finding.summaries.items():
        lines.append(_wrapped(f"{dataset}: {summary}"))
        lines += [_wrapped(f"- {detail}", "  ") for detail in finding.details[dataset]]
    return "\n".join([*lines, _wrapped(finding.caution)])


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 100.0
    return f"{share:.0f} %" if share >= 1 or share == 0 else "under 1 %"


def _title(rows: Sequence[SummaryRow]) -> str:
    extreme = "minimum" if rows[0].lower_is_better else "maximum"
    return (
        f"Which layer separates unseen classes best? Score: {metric_name(rows[0].metric)} "
        f"at {at_last_step(row.step for row in rows)}; g is the {extreme} over layers."
    )


def _scope(rows: Sequence[SummaryRow]) -> str:
    seeds = max(row.n_seeds for row in rows)
    spread = "one seed, so no spread is known" if seeds == 1 else f"mean ± standard deviation over {seeds} seeds"
    return (
        f"All of it is about these images of these unseen classes ({spread}). In the table the best layer is chosen "
        "and scored on the same images, so g is slightly optimistic."
    )


def _figures(results: Path) -> str:
    names = sorted((path.name for path in (results / "figures").glob("*.png")), key=_overviews_first)
    rest = f", and {len(names) - SHOWN_FIGURES} more" if len(names) > SHOWN_FIGURES else ""
    return _wrapped(
        f"Figures: {(results / 'figures').as_posix()}/: {', '.join(names[:SHOWN_FIGURES])}{rest} (SVG beside each "
        "PNG). Tables: summary.md, summary.csv."
    )


def _overviews_first(name: str) -> tuple[bool, str]:
    return not name.startswith("overview-"), name


def _table(rows: Sequence[SummaryRow]) -> str:
    """Lay the rows out, their names cut until a line has at most `WIDTH` characters."""
    for longest in range(LONGEST_NAME, SHORTEST_NAME, -1):
        cells = [_cells(row, longest) for row in rows]
        table = tabulate(cells, HEADER, tablefmt="simple", colalign=ALIGNED, disable_numparse=True)
        if max(map(len, table.splitlines())) <= WIDTH:
            break
    return table


def _cells(row: SummaryRow, longest: int) -> list[str]:
    return [
        shorten(row.dataset, longest),
        shorten(row.model, longest),
        number(row.accuracy, row.accuracy_sd),
        number(row.seen, row.seen_sd),
        number(row.unseen, row.unseen_sd),
        f"{place(row.best_depth, row.last_depth)} ({shorten(row.best_layer, longest)})",
        number(row.last_value, row.last_value_sd),
    ]


def _wrapped(text: str, indent: str = "") -> str:
    whole = re.sub(r"(\[\S+,) ", "\\1\N{NO-BREAK SPACE}", text)  # no line break within an interval
    filled = textwrap.fill(
        whole, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return filled.replace("\N{NO-BREAK SPACE}", " ")
