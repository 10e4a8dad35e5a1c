"""What a study says as text: summary.md, and the words of JSON files for programs of users.

The document has the layer for each use, findings, what choosing a layer costs, and every score.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tabulate import tabulate

from ..facts import Facts, Recommendation, best_network
from ..names import MEAN
from ..tables.summary_row import SummaryRow
from . import recommendation as words
from .findings import Finding, finding_texts
from .formatting import MISSING, capitalized, harmless, interval, joined, number, of_parts, place, wrapped
from .labels import more_labels
from .representations import NO_JOINS, brief_for_use
from .scopes import SHORT
from .scores import LEVELS, directed_name
from .statuses import outcome_note
from .study import READING, few_folds, power_sentence, scope_of
from .verdict import WIDTH, beside, use_table

TEXTS = ("Model", "Pooling", "Score", "Use", "Layer", "Best layer", "Ties (at most)", "Regret by rule")
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
    scope = f"{scope_of(rows, facts.parts)} {words.scored_as(facts.recommendations)}".rstrip()
    parts = [f"# Which layer separates unseen classes best?\n\n{scope}\n"]
    parts += [f"**{facts.notice}**\n"] if facts.notice else []
    for dataset, group in groupby(facts.recommendations, lambda each: each.dataset):
        networks = list(group)
        parts.append(f"## {dataset}: the layer for each use\n\n{_uses(networks).text('pipe')}\n")
        parts.append(f"{words.explain_brackets(networks)} {of_parts(words.GAINS, facts.parts)}\n")
        parts.append("\n".join([*(f"- {each.model}, {words.sentences(each)}" for each in networks), ""]))
    joined = [f"- {each.dataset}, {each.model}, {brief_for_use(each)}" for each in facts.representations]
    joined += [NO_JOINS] if facts.no_joins else []
    parts += ["\n".join(["## Joins of layers", "", *joined, ""])] if joined else []
    findings = finding_texts(facts.findings, facts.unit_rows, facts.parts).values() if facts.claims else ()
    parts += ["\n".join(["## Findings", *map(_finding, findings), ""])] if findings else []
    if facts.power:
        sentences = [f"- {power_sentence(each)}" for each in facts.power]
        parts.append("\n".join(["## What such a study shows\n", *sentences, ""]))
    regrets = regret_tables(facts.recommendations)
    parts += [f"## What choosing a layer costs\n\n{of_parts(words.REGRET_WORDS, facts.parts)}\n"] if regrets else []
    parts += [f"**{table.heading}**\n\n{table.text('pipe')}\n" for table in regrets]
    means = [row for row in rows if row.fold == MEAN]
    for dataset, own in groupby(means, lambda row: row.dataset):
        parts.append(f"## {dataset}: every score\n\n{_scores(list(own)).text('pipe')}\n")
    parts.append(" ".join(filter(None, [few_folds(means, facts.parts), READING])) + "\n")
    return "\n".join(parts)


def _uses(networks: Sequence[Recommendation]) -> Table:
    """The layer to take for each use of each network of one dataset."""
    rows = []
    for each in networks:
        none = f"none beats {LEVELS[each.unbeaten.name]}" if each.unbeaten else ""
        layer = f"{place(each.best.depth, each.last_depth)} (`{each.best.layer}`)"
        cells = words.use_cells(each) | {"layer": none or layer}
        rows.append({"Model": f"`{each.model}`"} | {capitalized(key): text for key, text in cells.items()})
    return Table("The layer for each use", rows)


def regret_tables(recommendations: Sequence[Recommendation]) -> list[Table]:
    """What every way of choosing lost to the best on each network, a column for each use."""
    useful = [each for each in recommendations if each.recommended is not None and each.last_depth > 0]
    tables = []
    for name, group in groupby(useful, lambda each: f"{each.dataset}, {each.model}"):
        own = list(group)
        lost = {(each.use_name, record.criterion): words.lost(record) for each in own for record in each.regret}
        rows = [
            {"Regret by rule": of_parts(words.CRITERION_WORDS[criterion], own[0].parts)}
            | {each.use_name: lost.get((each.use_name, criterion), MISSING) for each in own}
            for criterion in dict.fromkeys(criterion for _, criterion in lost)
        ]
        tables += [Table(name, rows)] if rows else []
    return tables


def describe(recommendations: Sequence[Recommendation]) -> str:
    """Describe every network in lines of at most 80 characters: a table of uses, sentences, and what others lose."""
    blocks = []
    for _, group in groupby(recommendations, lambda each: (each.dataset, each.model)):
        found = list(group)
        useful = [each for each in found if each.recommended is not None]
        marks = f"{words.explain_brackets(useful)} {words.scored_as(found)} {more_labels(useful)}".strip()
        texts = [f"{found[0].dataset}, {found[0].model}", *map(words.sentences, found), marks]
        head, *said = [wrapped(text, WIDTH) for text in texts]
        regrets = [table.text("plain") for table in regret_tables(useful)]
        blocks.append("\n".join(filter(None, [head, use_table(useful), *said, *regrets])))
    missing = dict.fromkeys(note for each in recommendations for note in words.notes(each))
    return "\n\n".join(filter(None, [*blocks, "\n".join(wrapped(note, WIDTH) for note in missing)]))


def compare_networks(networks: Sequence[Recommendation]) -> str:
    """Write in one sentence which network of a dataset is best for each use, and how the others stand to it.

    Args:
        networks: every network's recommendation for each use; "" if there is only one network.
    """
    told = []
    for use in dict.fromkeys(each.use_name for each in networks):
        useful = [each for each in networks if each.use_name == use and each.recommended is not None]
        best = best_network(useful)
        if best is not None and len({each.model for each in networks}) > 1:
            others = [harmless(each.model) + beside(each, best.gain) for each in useful if each is not best]
            told.append(f"{harmless(best.model)} for {use}" + (f", before {joined(others)}" if others else ""))
    return f"Best network on {harmless(networks[0].dataset)}: {'; '.join(told)}." if told else ""


def _scores(rows: Sequence[SummaryRow]) -> Table:
    """Every score of the networks of one dataset, with the scopes in which some score has an interval."""
    scopes = [scope for scope in SHORT if any(scope in row.intervals for row in rows)]
    cells = [
        {
            "Model": f"`{row.model}`",
            "Pooling": row.pooling,
            "Score": directed_name(row.metric, row.better),
            "Accuracy": number(row.accuracy, row.accuracy_sd),
            "Seen": number(row.seen, row.seen_sd),
            "Unseen": number(row.unseen, row.unseen_sd),
            **{
                capitalized(SHORT[scope]): interval(*row.intervals.get(scope, (None, None))) or MISSING
                for scope in scopes
            },
            "Best layer": f"{place(row.best_depth, row.last_depth)} (`{row.best_layer}`)",
            "Last layer": number(row.last_value, row.last_value_sd),
            "Pixels": number(row.baseline),
            "Chance": number(row.chance),
        }
        for row in rows
    ]
    return Table("every score", cells)


def _finding(finding: Finding) -> str:
    lines = ["", f"### {finding.claim}", ""]
    for dataset, summary in finding.summaries.items():
        lines.append(f"**{dataset}**: {summary}\n")
        lines += [f"- {detail}" for detail in finding.details[dataset]]
        lines += [""] if finding.details[dataset] else []
    return "\n".join([*lines, finding.caution])


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


def strict_json(content: Any) -> str:
    """Write JSON without NaN and infinity."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
