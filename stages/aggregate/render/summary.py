"""summary.md and summary.tex: recommendations, findings, what choosing a layer costs, and a table per score."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tabulate import tabulate

from stages.aggregate.curves import MEAN
from stages.aggregate.facts import Facts
from stages.aggregate.recommend.regret import MeanRegret, RegretSummary, summarize_regrets
from stages.aggregate.tables.regret import RegretRow
from stages.aggregate.tables.summary import SummaryRow, single_folds
from stages.aggregate.words.findings import Finding, finding_texts
from stages.aggregate.words.formatting import MISSING, decimals, estimate, interval, number, place
from stages.aggregate.words.recommendation import recommendation_sentences
from stages.aggregate.words.regret import criterion_words, explain_regrets, kind_words
from stages.aggregate.words.scopes import SHORT, score_interval
from stages.aggregate.words.scores import metric_name
from stages.aggregate.words.summary import explain, scope_of

OF_CLASSES = (SHORT["classes"].capitalize(), f"Lead, {SHORT['classes']}")
HEADER = ["Model", "Pooling", "Accuracy", "Seen", "Unseen", OF_CLASSES[0], SHORT["images"].capitalize(), "Best layer"]
HEADER += ["Last layer", "Lead", OF_CLASSES[1], f"Lead, {SHORT['images']}", "Pixels", "Chance"]
ALIGNED = ["left", "left", *["right"] * 5, "left", *["right"] * 6]
FOLD_HEADER = ["Model", "Fold", "Accuracy", "Unseen", "Best layer", "Last layer", "Lead"]
FOLD_ALIGNED = ["left", "right", "right", "right", "left", "right", "right"]

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


@dataclass(frozen=True)
class Table:
    """A table: its heading, its columns' names and alignments, and its cells."""

    heading: str
    header: list[str]
    aligned: list[str]
    cells: list[list[str]]

    def text(self, form: str) -> str:
        """Lay it out in one of tabulate's formats."""
        return tabulate(self.cells, self.header, tablefmt=form, colalign=self.aligned, disable_numparse=True)


def markdown(rows: Sequence[SummaryRow], facts: Facts, regrets: Sequence[RegretRow]) -> str:
    """Recommendations, findings, what choosing a layer costs, and the summary, as Markdown.

    Args:
        rows: of the summary.
        facts: the recommendations and findings.
        regrets: of regret.csv; those of networks without a recommendation do not count.
    """
    parts = [f"# Which layer separates unseen classes best?\n\n{scope_of(rows)}\n"]
    sentences = map(recommendation_sentences, facts.recommendations)
    parts.append("\n".join(["## Recommendations\n", *(f"- {text}" for text in sentences), ""]))
    parts.append("\n".join(["## Findings", *map(_finding, finding_texts(facts.findings).values()), ""]))
    recommended = [each for each in facts.recommendations if each.recommended is not None and each.regret]
    regret = summarize_regrets(regrets, [(each.dataset, each.model) for each in recommended])
    parts += [f"## What choosing a layer costs\n\n{regret_section(regret)}\n"] if regret else []
    parts.append("\n".join(["## How to read the tables\n", *(f"- {text}" for text in explain(rows)), ""]))
    for dataset, tables in tables_by_dataset(rows, "`{}`"):
        parts.append(f"## {dataset}\n")
        parts += [f"### {table.heading}\n\n{table.text('pipe')}\n" for table in tables]
    return "\n".join(parts)


def latex(rows: Sequence[SummaryRow]) -> str:
    """The summary as LaTeX that compiles: a section per dataset, a booktabs table per score."""
    parts = [PREAMBLE, _emphasized(" ".join([scope_of(rows), *explain(rows)])) + "\n"]
    for dataset, tables in tables_by_dataset(rows, "{}"):  # tabulate escapes the cells
        parts.append(rf"\section*{{{_escaped(dataset)}}}")
        parts += [f"\\subsection*{{{_escaped(each.heading)}}}\n{each.text('latex_booktabs')}\n" for each in tables]
    return "\n".join([*parts, "\\end{document}\n"]).translate(BEYOND_ASCII)


def regret_section(regret: RegretSummary) -> str:
    """What every criterion cost, on average over datasets and networks: a Markdown table and how to read it."""
    header = [
        "Choice",
        "Kind",
        *(f"`{dataset}`" for dataset in regret.datasets),
        "All",
        "Against 2/3",
        "With checkpoints",
    ]
    rows = [
        [
            criterion_words(each.criterion),
            kind_words(each.criterion),
            *(decimals(each.by_dataset[name]) if name in each.by_dataset else MISSING for name in regret.datasets),
            _mean(each.overall),
            _mean(each.beyond_reference, sign=True) if each.beyond_reference else MISSING,
            _mean(each.with_checkpoints),
        ]
        for each in regret.criteria
    ]
    table = Table("", header, ["left", "left", *["right"] * (len(header) - 2)], rows)
    return f"{explain_regrets(regret)}\n\n{table.text('pipe')}"


def tables_by_dataset(rows: Sequence[SummaryRow], name: str) -> list[tuple[str, list[Table]]]:
    """The tables of each dataset: one per score, and after the main score's its single folds, if there are several.

    Args:
        rows: of the summary.
        name: how the names of models and layers are written, `{}` for the name.
    """
    means, singles = [row for row in rows if row.fold == MEAN], single_folds(rows)
    by_dataset = []
    for dataset, group in groupby(means, lambda row: row.dataset):
        of_dataset, tables = list(group), []
        folds = [row for row in singles if row.dataset == dataset]
        for metric in dict.fromkeys(row.metric for row in of_dataset):
            table = _of_score([row for row in of_dataset if row.metric == metric], name, several=bool(singles))
            tables.append(table)
            if folds and folds[0].metric == metric:
                cells = [_fold_cells(row, name) for row in folds]
                tables.append(Table(f"{table.heading}, fold by fold", FOLD_HEADER, FOLD_ALIGNED, cells))
        by_dataset.append((dataset, tables))
    return by_dataset


def _of_score(rows: Sequence[SummaryRow], name: str, *, several: bool) -> Table:
    """One score's table, of a single fold without the columns of other classes."""
    kept = [i for i, heading in enumerate(HEADER) if several or heading not in OF_CLASSES]
    heading = metric_name(rows[0].metric) + (" (lower is better)" if rows[0].lower_is_better else "")
    header, aligned, *cells = (
        [row[i] for i in kept] for row in (HEADER, ALIGNED, *(_cells(row, name) for row in rows))
    )
    return Table(heading, header, aligned, cells)


def _cells(row: SummaryRow, name: str) -> list[str]:
    """The cells of `HEADER`."""
    leads = [row.lead_bounds(scope) for scope in SHORT]
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
        *(MISSING if lead is None else interval(lead.low, lead.high) for lead in leads),
        number(row.baseline),
        number(row.chance),
    ]


def _fold_cells(row: SummaryRow, name: str) -> list[str]:
    """The cells of `FOLD_HEADER`: whether another choice of unseen classes has another best layer."""
    return [
        name.format(row.model),
        row.fold,
        number(row.accuracy, row.accuracy_sd),
        number(row.unseen, row.unseen_sd),
        f"{place(row.best_depth, row.last_depth)} ({name.format(row.best_layer)})",
        number(row.last_value, row.last_value_sd),
        MISSING if row.lead is None else decimals(row.lead, sign=True),
    ]


def _finding(finding: Finding) -> str:
    lines = ["", f"### {finding.claim}", ""]
    for dataset, summary in finding.summaries.items():
        lines.append(f"**{dataset}**: {summary}\n")
        lines += [f"- {detail}" for detail in finding.details[dataset]]
        lines += [""] if finding.details[dataset] else []
    return "\n".join([*lines, finding.caution])


def _mean(mean: MeanRegret, *, sign: bool = False) -> str:
    return estimate(mean.value, mean.low, mean.high, sign=sign)


def _escaped(text: str) -> str:
    return text.translate(SPECIAL)


def _emphasized(text: str) -> str:
    """Turn Markdown's `*word*` into emphasis."""
    return "".join(rf"\emph{{{_escaped(part)}}}" if i % 2 else _escaped(part) for i, part in enumerate(text.split("*")))
