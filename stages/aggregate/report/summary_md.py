"""summary.csv for readers: the findings, then a table per dataset and score, in Markdown; the tables in LaTeX."""

from collections.abc import Sequence

import pandas as pd

from stages.aggregate.formatting import interval, joined, lower_is_better, number, with_interval
from stages.aggregate.metric_info import metric_name
from stages.aggregate.report.findings import Finding
from stages.aggregate.uncertainty.bootstrap import UNPROVEN

HEADER = (
    *("Model", "Pooling", "Accuracy", "Seen", "Unseen", "Interval", "Best layer", "Depth", "Last layer"),
    *("Lead", "Pixels", "Chance"),
)

LATEX_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=1.5cm]{geometry}
\usepackage{booktabs}
\usepackage{longtable}
\setlength{\tabcolsep}{4pt}
\begin{document}
\footnotesize
"""

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "_": r"\_\allowbreak{}",
    **{c: f"\\{c}" for c in "&%$#{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "…": r"\ldots{}",
}


def markdown(summary: pd.DataFrame, findings: Sequence[Finding] = ()) -> str:
    """The findings and the summary as Markdown: a section per dataset, a table per score."""
    parts = [f"# Which layer separates unseen classes best?\n\n{explain(summary)}\n"]
    if findings:
        parts.append("\n".join(["## Findings", *(_finding(finding) for finding in findings), ""]))
    for dataset, rows in summary.groupby("dataset", sort=False):
        parts.append(f"## {dataset}\n")
        for metric, table in _by_metric(rows):
            lines = [_markdown_row(HEADER), _markdown_row(["---", "---", *["---:"] * 4, "---", *["---:"] * 5])]
            lines += [_markdown_row(_row(row, "`{}`".format, "{} ± {}")) for _, row in table.iterrows()]
            parts.append(f"### {_heading(metric, table)}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def latex(summary: pd.DataFrame) -> str:
    """The summary as a LaTeX document that compiles as it is: a booktabs table per dataset, grouped by score."""
    parts = [LATEX_PREAMBLE, r"\noindent " + _plain_text(explain(summary)) + "\n"]
    for dataset, rows in summary.groupby("dataset", sort=False):
        parts.append(rf"\section*{{{escape(str(dataset))}}}" + "\n" + _longtable(rows))
    return "\n".join([*parts, r"\end{document}" + "\n"])


def explain(summary: pd.DataFrame) -> str:
    """Say what the numbers of a summary are, in Markdown."""
    seeds, steps = int(summary["n_seeds"].max()), sorted(summary["step"].unique())
    after = f"at step {steps[0]}" if len(steps) == 1 else f"at the last step measured ({', '.join(map(str, steps))})"
    values = f"mean ± standard deviation over {seeds} seeds (ddof = 1)" if seeds > 1 else "values of one seed"
    return (
        f"Scores {after}: {values}. *Seen* and *unseen* are the best of any layer on test images of the seen classes "
        "and on images of the unseen classes; *best layer* is the one that is best on unseen (of the mean "
        "over seeds), chosen and scored on the same images. *Interval* is that of *unseen* over images of these "
        f"classes, of 95 % but for {joined([metric_name(name) for name in UNPROVEN])}, which have no proven level. "
        "*Depth* is the best layer's place, counted from 0 at the input, and the last layer's. "
        "*Last layer*, *pixels* (raw pixels as an embedding) and *chance* are unseen scores. *Lead* is the best "
        "layer's over the last without that choice's bias (chosen on one half of the images, compared on the other), "
        "and its interval; above 0 the best layer is better. "
        "Seen and unseen scores have different numbers of classes: compare layers, not the two splits."
    )


def escape(text: str) -> str:
    """Escape LaTeX's special characters; a line may break after an underscore."""
    return "".join(LATEX_SPECIAL.get(c, c) for c in text)


def _finding(finding: Finding) -> str:
    lines = ["", f"### {finding.claim}", ""]
    for dataset, ruling in finding.rulings.items():
        lines.append(f"**{dataset}**: {ruling}\n")
        lines += [f"- {detail}" for detail in finding.details[dataset]]
        lines += [""] if finding.details[dataset] else []
    return "\n".join([*lines, finding.caution])


def _heading(metric: str, table: pd.DataFrame) -> str:
    return f"{metric_name(metric)}{' (lower is better)' if lower_is_better(table.iloc[0]) else ''}"


def _by_metric(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(metric), table) for metric, table in rows.groupby("metric", sort=False)]


def _row(row: "pd.Series[float]", code: object, form: str) -> list[str]:
    wrap = code if callable(code) else str
    return [
        *(wrap(str(row["model"])), str(row["pooling"])),
        *(number(row[name], row[f"{name}_sd"], form) for name in ("accuracy", "seen", "unseen")),
        interval(row, "ci_images") or "–",
        *(wrap(str(row["best_layer"])), f"{row['best_depth']} of {row['last_depth']}"),
        number(row["last_value"], row["last_value_sd"], form),
        with_interval(row, "lead", "lead", sign=True),
        *(number(row["baseline"]), number(row["chance"])),
    ]


def _markdown_row(cells: "list[str] | tuple[str, ...]") -> str:
    return "| " + " | ".join(cells) + " |"


def _longtable(rows: pd.DataFrame) -> str:
    columns = r"p{3.9cm}lrrrcp{2.9cm}crrrr"
    heads = " & ".join(HEADER) + r" \\"
    lines = [
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        heads,
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
    ]
    for i, (metric, table) in enumerate(_by_metric(rows)):
        lines += [r"\addlinespace"] if i else []
        lines.append(rf"\multicolumn{{{len(HEADER)}}}{{@{{}}l}}{{\textit{{{escape(_heading(metric, table))}}}}} \\*")
        lines += [" & ".join(_latex_cells(row)) + r" \\" for _, row in table.iterrows()]
    return "\n".join([*lines, r"\end{longtable}", ""])


def _latex_cells(row: "pd.Series[float]") -> list[str]:
    cells = _row(row, lambda text: rf"\texttt{{{escape(text)}}}", r"${} \pm {}$")
    pooling = escape(cells[1])
    return [cells[0], pooling, *(c.replace("–", "--") for c in cells[2:])]


def _plain_text(text: str) -> str:
    words = [rf"\emph{{{escape(part)}}}" if i % 2 else escape(part) for i, part in enumerate(text.split("*"))]
    return "".join(words).replace("±", r"$\pm$")
