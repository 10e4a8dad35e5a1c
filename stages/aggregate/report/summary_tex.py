"""summary.tex: the tables of summary.md as a LaTeX document that compiles as it is."""

from collections.abc import Sequence

from tabulate import tabulate

from stages.aggregate.report.summary_md import ALIGNED, HEADER, by_dataset, by_score, explain, table_cells
from stages.aggregate.tables.summary import SummaryRow

PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=1.5cm]{geometry}
\usepackage{booktabs}
\setlength{\tabcolsep}{3pt}
\setlength{\parindent}{0pt}
\begin{document}
\scriptsize
"""

SPECIAL = str.maketrans({character: f"\\{character}" for character in "&%$#_{}"})
BEYOND_ASCII = str.maketrans({"±": r"$\pm$", "–": "--", "…": r"\ldots{}"})


def latex(rows: Sequence[SummaryRow]) -> str:
    """The summary as LaTeX: a section per dataset, a booktabs table per score."""
    parts = [PREAMBLE, _emphasized(explain(rows)) + "\n"]
    for dataset, of_dataset in by_dataset(rows):
        parts.append(rf"\section*{{{_escaped(dataset)}}}")
        for heading, table in by_score(of_dataset):
            cells = [table_cells(row, "{}") for row in table]  # tabulate escapes them
            text = tabulate(cells, HEADER, tablefmt="latex_booktabs", colalign=ALIGNED, disable_numparse=True)
            parts.append(f"\\subsection*{{{_escaped(heading)}}}\n{text}\n")
    return "\n".join([*parts, "\\end{document}\n"]).translate(BEYOND_ASCII)


def _escaped(text: str) -> str:
    return text.translate(SPECIAL)


def _emphasized(text: str) -> str:
    """Turn Markdown's `*word*` into emphasis."""
    return "".join(rf"\emph{{{_escaped(part)}}}" if i % 2 else _escaped(part) for i, part in enumerate(text.split("*")))
