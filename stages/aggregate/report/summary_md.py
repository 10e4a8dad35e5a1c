"""summary.md: recommendations, findings, what choosing a layer costs, a table per dataset and score, single folds."""

from collections.abc import Sequence
from itertools import groupby

from tabulate import tabulate

from stages.aggregate.curves import MEAN
from stages.aggregate.formatting import MISSING, at_last_step, decimals, interval, joined, number, place
from stages.aggregate.metric_info import BOTH, METRIC_INFO, Scope, metric_name
from stages.aggregate.report import folds
from stages.aggregate.report.findings import Finding
from stages.aggregate.report.scopes import (
    SHORT,
    few_folds,
    lead_bounds,
    score_interval,
)
from stages.aggregate.tables.summary import SummaryRow

OF_CLASSES = (SHORT["classes"].capitalize(), f"Lead, {SHORT['classes']}")
HEADER = ["Model", "Pooling", "Accuracy", "Seen", "Unseen", OF_CLASSES[0], SHORT["images"].capitalize(), "Best layer"]
HEADER += ["Last layer", "Lead", OF_CLASSES[1], f"Lead, {SHORT['images']}", "Pixels", "Chance"]
ALIGNED = ["left", "left", *["right"] * 5, "left", *["right"] * 6]

Table = tuple[str, list[str], list[str], list[list[str]]]
"""Heading, names of the columns, their alignments, cells."""


def markdown(
    rows: Sequence[SummaryRow], findings: Sequence[Finding] = (), regret: str = "", recommended: Sequence[str] = ()
) -> str:
    """Recommendations, findings, what choosing a layer costs, and the summary: Markdown, a table per dataset and score.

    Args:
        rows: of the summary.
        findings: the claims, judged.
        regret: the section about what choosing a layer costs.
        recommended: what is recommended, a paragraph per dataset and network.
    """
    parts = [f"# Which layer separates unseen classes best?\n\n{scope_of(rows)}\n"]
    if recommended:
        parts.append("\n".join(["## Recommendations\n", *(f"- {text}" for text in recommended), ""]))
    if findings:
        parts.append("\n".join(["## Findings", *(_finding(finding) for finding in findings), ""]))
    parts += [f"## What choosing a layer costs\n\n{regret}\n"] if regret else []
    parts.append("\n".join(["## How to read the tables\n", *(f"- {text}" for text in explain(rows)), ""]))
    for dataset, tables in tables_by_dataset(rows, "`{}`"):
        parts.append(f"## {dataset}\n")
        for heading, header, aligned, cells in tables:
            text = tabulate(cells, header, tablefmt="pipe", colalign=aligned, disable_numparse=True)
            parts.append(f"### {heading}\n\n{text}\n")
    return "\n".join(parts)


def explain(rows: Sequence[SummaryRow]) -> list[str]:
    """Say what the numbers of a summary are, in Markdown, a text for each kind of number."""
    unproven = {scope: [info.name for info in METRIC_INFO.values() if scope not in info.proven] for scope in BOTH}
    unproven["images"] = [name for name in unproven["images"] if name not in unproven["classes"]]
    few = few_folds(rows)
    return [
        "*Accuracy* is that of a fine-tuned network on test images of the seen classes.",
        "*Seen* and *unseen* are the best of any layer, on test images of the seen classes and on images of the unseen "
        "classes. They have different numbers of classes: compare layers, not the two splits.",
        "*Best layer* is the one that is best on unseen (of the mean over seeds and folds), counted from 1 at the "
        "input. It is chosen and scored on the same images, so that *unseen* is slightly optimistic.",
        f"*{OF_CLASSES[0]}* and *{HEADER[6].lower()}* are intervals of *unseen*: of other classes of this domain, as "
        "many left out at a time and the network trained again; and of these classes with these trained networks."
        f"{' ' + few if few else ''}",
        f"These intervals have no proven level of {joined(unproven['classes'])}, and over other images of "
        f"{joined(unproven['images'])}; of the others it is 95 %.",
        "*Last layer*, *pixels* (raw pixels as an embedding) and *chance* are unseen scores.",
        "*Lead* is that of an earlier layer over the last without the choice's bias: chosen on the other folds, of a "
        "single fold on the other half of the images. The two columns after it say, in each scope, by how much the "
        "best earlier layer is better at least and at most (one-sided bounds, each by itself).",
    ]


def scope_of(rows: Sequence[SummaryRow]) -> str:
    """Say at which step, and over what the values are means."""
    return f"Scores at {at_last_step(row.step for row in rows if row.fold == MEAN)}. {averages(rows)}."


def averages(rows: Sequence[SummaryRow]) -> str:
    """Say over what a summary's values are means, and what the deviations beside them are."""
    n_folds, n_seeds = max(row.n_folds for row in rows), max(row.n_seeds for row in rows)
    each = f"{n_seeds} seeds each" if n_seeds > 1 else "one seed each"
    if n_folds > 1:
        return f"Means over {n_folds} folds of unseen classes, {each}, ± standard deviation over folds (ddof = 1)"
    if n_seeds > 1:
        return f"Means over {n_seeds} seeds ± standard deviation (ddof = 1), of one fold of unseen classes"
    return "Values of one seed and one fold of unseen classes, so no spread is known"


def tables_by_dataset(rows: Sequence[SummaryRow], name: str) -> list[tuple[str, list[Table]]]:
    """The tables of each dataset: one per score, and after the main score's its single folds, if there are several.

    Args:
        rows: of the summary.
        name: how the names of models and layers are written, `{}` for the name.
    """
    means, singles = [row for row in rows if row.fold == MEAN], folds.single_folds(rows)
    found = []
    for dataset, group in groupby(means, lambda row: row.dataset):
        of_dataset, tables = list(group), []
        own = [row for row in singles if row.dataset == dataset]
        for metric in dict.fromkeys(row.metric for row in of_dataset):
            tables.append(_of_score([row for row in of_dataset if row.metric == metric], name, several=bool(singles)))
            if own and own[0].metric == metric:
                cells = [folds.fold_cells(row, name) for row in own]
                tables.append((f"{tables[-1][0]}, fold by fold", folds.HEADER, folds.ALIGNED, cells))
        found.append((dataset, tables))
    return found


def _of_score(rows: Sequence[SummaryRow], name: str, *, several: bool) -> Table:
    """One score's table, of a single fold without the columns of other classes."""
    kept = [i for i, heading in enumerate(HEADER) if several or heading not in OF_CLASSES]
    cells = [_cells(row, name) for row in rows]
    heading = metric_name(rows[0].metric) + (" (lower is better)" if rows[0].lower_is_better else "")
    header, aligned, *kept_cells = ([row[i] for i in kept] for row in (HEADER, ALIGNED, *cells))
    return heading, header, aligned, kept_cells


def _cells(row: SummaryRow, name: str) -> list[str]:
    """The cells of `HEADER`."""
    return [
        name.format(row.model),
        row.pooling,
        number(row.accuracy, row.accuracy_sd),
        number(row.seen, row.seen_sd),
        number(row.unseen, row.unseen_sd),
        score_interval(row, "classes") or MISSING,
        score_interval(row, "images") or MISSING,
        f"{place(row.best_depth, row.last_depth)} ({name.format(row.best_layer)})",
        number(row.last_value, row.last_value_sd),
        MISSING if row.lead is None else decimals(row.lead, sign=True),
        *(_bounds(row, scope) for scope in SHORT),
        number(row.baseline),
        number(row.chance),
    ]


def _bounds(row: SummaryRow, scope: Scope) -> str:
    lead = lead_bounds(row, scope)
    return MISSING if lead is None else interval(lead.low, lead.high)


def _finding(finding: Finding) -> str:
    lines = ["", f"### {finding.claim}", ""]
    for dataset, summary in finding.summaries.items():
        lines.append(f"**{dataset}**: {summary}\n")
        lines += [f"- {detail}" for detail in finding.details[dataset]]
        lines += [""] if finding.details[dataset] else []
    return "\n".join([*lines, finding.caution])
