"""What a study says as text: summary.md and summary.tex, and the words of JSON files for programs of users.

The documents have the layer for each use, findings, what choosing a layer costs, and every score.
"""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tabulate import tabulate

from stages.aggregate.curves import MEAN, Parts
from stages.aggregate.facts import Facts
from stages.aggregate.recommend.regret import MIN_DATASETS, summarize_regrets
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.scope import Scope
from stages.aggregate.tables.summary import SummaryRow, single_folds
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.averages import explain, scope_of
from stages.aggregate.words.findings import Finding, finding_texts, outcome_note
from stages.aggregate.words.formatting import MISSING, capitalized, interval, number, of_parts, place
from stages.aggregate.words.intervals import SHORT
from stages.aggregate.words.power import power_sentence
from stages.aggregate.words.scores import LEVELS, LOWER, metric_name

PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=1.5cm]{geometry}
\usepackage{booktabs}
\setlength{\tabcolsep}{3pt}
\setlength{\parindent}{0pt}
\begin{document}
\scriptsize
"""

ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
BEYOND_ASCII = str.maketrans({"±": r"$\pm$", "–": "--", "…": r"\ldots{}"})


TEXTS = ("Model", "Pooling", "Score", "Use", "Layer", "Best layer", "Ties (at most)", "Lost to the best")
"""Columns that are aligned to the left."""


@dataclass(frozen=True)
class Table:
    """A table: its heading, and its rows, each a mapping from a column's name to its text."""

    heading: str
    rows: list[dict[str, str]]

    def text(self, form: str) -> str:
        """Lay it out in one of tabulate's formats."""
        aligned = ["left" if name in TEXTS else "right" for name in self.rows[0]]
        return tabulate(self.rows, "keys", tablefmt=form, colalign=aligned, disable_numparse=True)


def markdown(rows: Sequence[SummaryRow], facts: Facts) -> str:
    """Recommendations, findings, what choosing a layer costs, and the summary, as Markdown.

    Args:
        rows: of the summary.
        facts: the recommendations and findings.
    """
    parts = [f"# Which layer separates unseen classes best?\n\n{_scope(rows, facts)}\n"]
    parts += [f"**{facts.notice}**\n"] if facts.notice else []
    for dataset, group in groupby(facts.recommendations, lambda each: each.dataset):
        networks = list(group)
        parts.append(f"## {dataset}: the layer for each use\n\n{_uses(networks, '`{}`').text('pipe')}\n")
        parts.append(f"{words.explain_brackets(networks)} {of_parts(words.GAINS, facts.parts)}\n")
        parts.append("\n".join([*(f"- {each.model}, {words.sentences(each)}" for each in networks), ""]))
    findings = finding_texts(facts.findings, facts.unit_rows, facts.parts).values()
    parts.append("\n".join(["## Findings", *map(_finding, findings), ""]))
    if facts.power:
        sentences = [f"- {power_sentence(each)}" for each in facts.power]
        parts.append("\n".join(["## What such a study shows\n", *sentences, ""]))
    regrets = regret_tables(facts.recommendations)
    parts += [f"## What choosing a layer costs\n\n{of_parts(words.REGRET_WORDS, facts.parts)}\n"] if regrets else []
    parts += [f"**{table.heading}**\n\n{table.text('pipe')}\n" for table in regrets]
    parts.append(
        "\n".join(["## How to read the tables below\n", *(f"- {text}" for text in explain(rows, facts.parts)), ""])
    )
    for dataset, tables in tables_by_dataset(rows, facts.parts, "`{}`"):
        parts += [f"## {dataset}: {table.heading}\n\n{table.text('pipe')}\n" for table in tables]
    return "\n".join(parts)


def latex(rows: Sequence[SummaryRow], facts: Facts) -> str:
    """The tables as LaTeX that compiles: a section per dataset, a booktabs table of uses, of scores, and of folds."""
    told = [*filter(None, [facts.notice]), _scope(rows, facts), *explain(rows, facts.parts)]
    parts = [PREAMBLE, _emphasized(" ".join(told)) + "\n"]
    for dataset, tables in tables_by_dataset(rows, facts.parts, "{}"):  # tabulate escapes the cells
        uses = _uses([each for each in facts.recommendations if each.dataset == dataset], "{}")
        parts.append(rf"\section*{{{dataset.translate(ESCAPES)}}}")
        for table in (uses, *tables):
            parts.append(f"\\subsection*{{{table.heading.translate(ESCAPES)}}}\n{table.text('latex_booktabs')}\n")
    return "\n".join([*parts, "\\end{document}\n"]).translate(BEYOND_ASCII)


def _scope(rows: Sequence[SummaryRow], facts: Facts) -> str:
    return f"{scope_of(rows, facts.parts)} {words.scored_as(facts.recommendations)}".rstrip()


def _uses(networks: Sequence[Recommendation], name: str) -> Table:
    """The layer to take for each use of each network of one dataset."""
    rows = []
    for each in networks:
        none = f"none beats {LEVELS[each.unbeaten.name]}" if each.unbeaten else ""
        layer = f"{place(each.best.depth, each.last_depth)} ({name.format(each.best.layer)})"
        cells = words.use_cells(each) | {"layer": none or layer}
        rows.append({"Model": name.format(each.model)} | {capitalized(key): text for key, text in cells.items()})
    return Table("The layer for each use", rows)


def regrets_table(recommendations: Sequence[Recommendation], kinds: Collection[str] = ()) -> Table | None:
    """What every way of choosing, by default of all kinds, lost, a column for each use; None where nothing is known."""
    lost = summarize_regrets(recommendations, kinds)
    criteria = dict.fromkeys(criterion for own in lost.values() for criterion in own)
    rows = [
        {"Lost to the best": of_parts(words.CRITERION_WORDS[criterion], recommendations[0].parts)}
        | {use: words.lost(*own[criterion]) if criterion in own else MISSING for use, own in lost.items()}
        for criterion in criteria
    ]
    return Table("What choosing a layer costs", rows) if rows else None


def regret_tables(recommendations: Sequence[Recommendation]) -> list[Table]:
    """What choosing lost: on each network of a few datasets, on all together of more."""
    if len({each.dataset for each in recommendations}) >= MIN_DATASETS:
        return [table] if (table := regrets_table(recommendations)) else []
    pairs = groupby(recommendations, lambda each: f"{each.dataset}, {each.model}")
    tables = {name: regrets_table(list(own)) for name, own in pairs}
    return [Table(name, table.rows) for name, table in tables.items() if table]


def tables_by_dataset(rows: Sequence[SummaryRow], parts: Parts, name: str) -> list[tuple[str, list[Table]]]:
    """The tables of each dataset: every score, and the main score fold by fold, if there are several folds.

    Args:
        rows: of the summary.
        parts: what its folds are.
        name: how the names of models and layers are written, `{}` for the name.
    """
    fold = of_parts("fold", parts)
    means, singles = [row for row in rows if row.fold == MEAN], single_folds(rows)
    by_dataset = []
    for dataset, group in groupby(means, lambda row: row.dataset):
        own = list(group)
        tables = [Table("every score", [_cells(row, name, _scopes(own)) for row in own])]
        folds = [row for row in singles if row.dataset == dataset]
        if folds:
            cells = [{"Model": "", capitalized(fold): row.fold} | _cells(row, name, _scopes(folds)) for row in folds]
            tables.append(Table(f"{metric_name(folds[0].metric)} {fold} by {fold}", cells))
        by_dataset.append((dataset, tables))
    return by_dataset


def _scopes(rows: Sequence[SummaryRow]) -> list[Scope]:
    """The scopes in which some row of a table has an interval."""
    return [scope for scope in SHORT if any(scope in row.intervals for row in rows)]


def _cells(row: SummaryRow, name: str, scopes: Sequence[Scope]) -> dict[str, str]:
    """One score of one network, with the columns of these scopes."""
    return {
        "Model": name.format(row.model),
        "Pooling": row.pooling,
        "Score": metric_name(row.metric) + LOWER * (row.better == "lower"),
        "Accuracy": number(row.accuracy, row.accuracy_sd),
        "Seen": number(row.seen, row.seen_sd),
        "Unseen": number(row.unseen, row.unseen_sd),
        **{SHORT[scope].capitalize(): interval(*row.intervals.get(scope, (None, None))) or MISSING for scope in scopes},
        "Best layer": f"{place(row.best_depth, row.last_depth)} ({name.format(row.best_layer)})",
        "Last layer": number(row.last_value, row.last_value_sd),
        "Pixels": number(row.baseline),
        "Chance": number(row.chance),
    }


def _finding(finding: Finding) -> str:
    lines = ["", f"### {finding.claim}", ""]
    for dataset, summary in finding.summaries.items():
        lines.append(f"**{dataset}**: {summary}\n")
        lines += [f"- {detail}" for detail in finding.details[dataset]]
        lines += [""] if finding.details[dataset] else []
    return "\n".join([*lines, finding.caution])


def _emphasized(text: str) -> str:
    """Turn Markdown's `*word*` into emphasis, and escape what is special in LaTeX."""
    return re.sub(r"\*([^*]*)\*", r"\\emph{\1}", text.translate(ESCAPES))


def recommendation_records(recommendations: Sequence[Recommendation]) -> list[dict[str, Any]]:
    """Return what recommendation.json holds: the records, with what words say of them."""
    entries = []
    for found in recommendations:
        record = found.model_dump(mode="json")
        said = {"reason": words.reason(found), "caveat": words.caveat(found), "notes": words.notes(found)}
        entries.append(record | {"recommended": record["best"] if found.recommended else None} | said)
    return entries


def finding_records(facts: Facts) -> list[dict[str, Any]]:
    """Return what findings.json holds: every claim in words, and what holds of each dataset or network."""
    entries = []
    for claim, finding in finding_texts(facts.findings, facts.unit_rows, facts.parts).items():
        outcomes = [
            {"dataset": each.dataset, "network": one.network, "step": one.step, "scope": one.scope}
            | {"status": one.status, "note": outcome_note(one)}
            for each in facts.findings
            for one in each.outcomes(claim)
        ]
        entries.append(vars(finding) | {"outcomes": outcomes})
    return entries


def strict_json(content: Any, notice: str = "") -> str:
    """Write JSON without NaN and infinity; the notice, if any, stands in it, or in every entry of a list."""
    said = {"notice": notice} if notice else {}
    content = [said | each for each in content] if isinstance(content, list) else said | content
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
