"""summary.md: the findings, then a table per dataset and score."""

from collections.abc import Sequence
from itertools import groupby

from tabulate import tabulate

from stages.aggregate.formatting import MISSING, at_last_step, estimate, interval, joined, number, place
from stages.aggregate.metric_info import METRIC_INFO, metric_name
from stages.aggregate.report.findings import Finding
from stages.aggregate.tables.summary import SummaryRow

HEADER = ["Model", "Pooling", "Accuracy", "Seen", "Unseen", "Interval", "Best layer"]
HEADER += ["Last layer", "Lead", "Pixels", "Chance"]
ALIGNED = ["left", "left", *["right"] * 4, "left", *["right"] * 4]


def markdown(rows: Sequence[SummaryRow], findings: Sequence[Finding] = ()) -> str:
    """The findings and the summary as Markdown: a section per dataset, a table per score."""
    parts = [f"# Which layer separates unseen classes best?\n\n{explain(rows)}\n"]
    if findings:
        parts.append("\n".join(["## Findings", *(_finding(finding) for finding in findings), ""]))
    for dataset, of_dataset in by_dataset(rows):
        parts.append(f"## {dataset}\n")
        for heading, table in by_score(of_dataset):
            cells = [table_cells(row, "`{}`") for row in table]
            text = tabulate(cells, HEADER, tablefmt="pipe", colalign=ALIGNED, disable_numparse=True)
            parts.append(f"### {heading}\n\n{text}\n")
    return "\n".join(parts)


def explain(rows: Sequence[SummaryRow]) -> str:
    """Say what the numbers of a summary are, in Markdown."""
    seeds = max(row.n_seeds for row in rows)
    values = f"mean ± standard deviation over {seeds} seeds (ddof = 1)" if seeds > 1 else "values of one seed"
    unproven = [info.name for info in METRIC_INFO.values() if not info.proven]
    return (
        f"Scores at {at_last_step(row.step for row in rows)}: {values}. *Accuracy* is that of a fine-tuned network. "
        "*Seen* and *unseen* are the best of any layer on test images of the seen classes and on images of the unseen "
        "classes; *best layer* is the one that is best on unseen (of the mean over seeds), chosen and scored on the "
        "same images, counted from 1 at the input. *Interval* is that of *unseen* over images of these classes, of "
        f"95 % but for {joined(unproven)}, which have no proven level. "
        "*Last layer*, *pixels* (raw pixels as an embedding) and *chance* are unseen scores. *Lead* is the best "
        "layer's over the last without that choice's bias (chosen on one half of the images, compared on the other), "
        "and its interval; above 0 the best layer is better. "
        "Seen and unseen scores have different numbers of classes: compare layers, not the two splits."
    )


def by_dataset(rows: Sequence[SummaryRow]) -> list[tuple[str, list[SummaryRow]]]:
    """The rows of each dataset, in order."""
    return [(dataset, list(group)) for dataset, group in groupby(rows, lambda row: row.dataset)]


def by_score(rows: Sequence[SummaryRow]) -> list[tuple[str, list[SummaryRow]]]:
    """A heading and the rows of each score of one dataset, in order of their first row."""
    metrics = dict.fromkeys(row.metric for row in rows)
    tables = [[row for row in rows if row.metric == metric] for metric in metrics]
    lower = " (lower is better)"
    return [(metric_name(t[0].metric) + (lower if t[0].lower_is_better else ""), t) for t in tables]


def table_cells(row: SummaryRow, name: str) -> list[str]:
    """The cells of `HEADER`.

    Args:
        row: of the summary.
        name: how the names of models and layers are written, `{}` for the name.
    """
    return [
        name.format(row.model),
        row.pooling,
        number(row.accuracy, row.accuracy_sd),
        number(row.seen, row.seen_sd),
        number(row.unseen, row.unseen_sd),
        interval(row.ci_images_low, row.ci_images_high) or MISSING,
        f"{place(row.best_depth, row.last_depth)} ({name.format(row.best_layer)})",
        number(row.last_value, row.last_value_sd),
        estimate(row.lead, row.lead_low, row.lead_high, sign=True),
        number(row.baseline),
        number(row.chance),
    ]


def _finding(finding: Finding) -> str:
    lines = ["", f"### {finding.claim}", ""]
    for dataset, summary in finding.summaries.items():
        lines.append(f"**{dataset}**: {summary}\n")
        lines += [f"- {detail}" for detail in finding.details[dataset]]
        lines += [""] if finding.details[dataset] else []
    return "\n".join([*lines, finding.caution])
