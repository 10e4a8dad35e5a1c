"""summary.tex: the tables of summary.md as a LaTeX document that compiles as it is."""

from collections.abc import Sequence

from tabulate import tabulate

from stages.aggregate.report.summary_md import explain, scope_of, tables_by_dataset
from stages.aggregate.tables.summary import SummaryRow

PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=1.5cm]{geometry}
\usepackage{booktabs}
\setlength{\tabcolsep}{3pt}
\setlength{\parindent}{0pt}
\begin{document}
\scriptsize
"""

SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
BEYOND_ASCII = str.maketrans({"±": r"$\pm$", "–": "--", "…": r"\ldots{}"})


def latex(rows: Sequence[SummaryRow]) -> str:
    """The summary as LaTeX: a section per dataset, a booktabs table per score."""
    parts = [PREAMBLE, _emphasized(" ".join([scope_of(rows), *explain(rows)])) + "\n"]
    for dataset, tables in tables_by_dataset(rows, "{}"):  # tabulate escapes the cells
        parts.append(rf"\section*{{{_escaped(dataset)}}}")
        for heading, header, aligned, cells in tables:
            text = tabulate(cells, header, tablefmt="latex_booktabs", colalign=aligned, disable_numparse=True)
            parts.append(f"\\subsection*{{{_escaped(heading)}}}\n{text}\n")
    return "\n".join([*parts, "\\end{document}\n"]).translate(BEYOND_ASCII)


def _escaped(text: str) -> str:
    return text.translate(SPECIAL)


def _emphasized(text: str) -> str:
    """Turn Markdown's `*word*` into emphasis."""
    return "".join(rf"\emph{{{_escaped(part)}}}" if i % 2 else _escaped(part) for i, part in enumerate(text.split("*")))
