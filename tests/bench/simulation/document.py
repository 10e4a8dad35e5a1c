"""The page of docs/ that shows what `make coverage` found, from the tables in results/.

python -m tests.bench.simulation.document
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from stages.core.inference.scopes import Scope, is_proven
from tests.bench.simulation.class_studies import FAILS_ALONE, FROZEN, LEADS_ALONE, SHARE, TIES, least_false
from tests.bench.simulation.designs import ALL, DESIGNS

RESULTS, PAGE = Path(__file__).with_name("results"), Path(__file__).parents[3] / "docs" / "coverage.md"

PROVEN_FROM = 0.92
"""Share of data sets in which a statement must hold, in every design, to count as validated at a level of 95%."""

HOLD = ("coverage", "chosen", "at least", "at most", "losses")
"""Columns that are shares of data sets in which a statement holds."""

LAYERS = ("design", "score", "data sets", "given", "coverage", "coverage, worst layer", *HOLD[1:])
"""Columns of a row for each design and score that are kept."""

LEAD = 0.09
"""True lead of the designs of which it is asked how many leads are shown."""

GAINS = {"gain": "gain covered", "width / ideal": "width / ideal"}
"""Columns of the table of gains, and their headings."""

STUDIES = ("kind", "shape", "studies", "gain", "gain at most", "pays", "falsely pays", "falsely does not", TIES)
"""Columns of a row for each kind and shape of study of class scores that are kept."""


class Results(NamedTuple):
    """Tables of `results/`: layers' scores, gains by design, as `wl.score` gives them, named by another score, of
    joins, of these for other uses than retrieval, of fine-tuned networks, of studies of class scores, and power."""

    layers: pd.DataFrame
    gains: pd.DataFrame
    library: pd.DataFrame
    named: pd.DataFrame
    joins: pd.DataFrame
    uses: pd.DataFrame
    tuned: pd.DataFrame
    studies: pd.DataFrame
    power: pd.DataFrame


def read_results(folder: Path = RESULTS) -> Results:
    """Read the tables."""
    named = {name: folder / f"{name}.csv" for name in Results._fields}  # a design is called null
    return Results(**{name: pd.read_csv(path, keep_default_na=False, na_values=[""]) for name, path in named.items()})


def write_results(results: Results, folder: Path = RESULTS) -> None:
    """Write the tables, three digits each."""
    for name, table in results._asdict().items():
        exact = table if name == "library" else table.round(3)
        exact.to_csv(folder / f"{name}.csv", index=False)


def page(results: Results) -> str:
    """The whole page."""
    gains, joins, library = results.gains, results.joins, results.library
    covered = f"{gains['gain'].min():.0%} to {gains['gain'].max():.0%}"
    shown = gains[gains["lead"] >= LEAD]
    smaller = int((gains["error"] < gains["cross-validated error"]).sum())
    return f"""# How often intervals and bounds hold

At a nominal 95%, the interval of a gain over the last layer covers the true gain in {covered} of simulated data
sets of a frozen network, and choosing falsely seems to pay in at most {gains["falsely pays"].max():.1%} of them.
If a layer fails on classes that may not be drawn, it covers in {results.studies["gain"].min():.2f} at the least, and
choosing falsely seems to pay in up to {results.studies["falsely pays"].max():.2f} (second table).

`make coverage` simulates data sets with a known truth, and scores them as the stages do. It counts how often the
statements of [uncertainty](uncertainty.md) are true, and writes this page and `tests/bench/simulation/results`.

## What choosing gains

{gain_table(gains, joins, results.uses, results.tuned, results.named)}
A design draws {min(gains["sets"].min(), joins["sets"].min()):,} sets of classes (for other uses
{results.uses["sets"].min():,}, fine-tuned: {results.tuned["sets"].min():,}, discovery:
{results.named["sets"].min():,}). On {library["sets"].min()} sets of each of
{len(library)} designs `wl.score` differs by {library["difference"].max():.0e} at most.

*Gain covered* is a share of the sets in which an earlier layer is recommended. *Width / ideal* compares with an
interval of known standard deviation. In {smaller} of {len(gains)} designs the printed gain has a smaller root
mean square error than the cross-validated gain. Of leads from {LEAD} on that a test of known standard error and layer
would show, {shown["shown"].min():.2f} to {shown["shown"].max():.2f} are shown.

`frozen_sets.py`, `named_sets.py`, `joined_sets.py`, `joined_uses.py` and `tuned_studies.py` describe the designs.

## Studies of several folds

Each class has a score at nine layers and more ([designs](statistics.md#where-intervals-fail)). Lowest coverage of the
gain, of the bound "at most" and of ties by a truly best layer, and highest share of a false *pays*, with their designs:

{study_table(results.studies)}
{least_false_pays(results.studies)}
## Layers' scores

Lowest coverage over {results.layers["design"].nunique()} designs, as a mean over layers and for the chosen layer:

{extremes(results.layers)}
{shortfalls(results.layers)}
Of the leads and differences that, by its own table, 80% of studies like one would show,
{power_range(results.power)} are shown.
"""


def gain_table(
    gains: pd.DataFrame, joins: pd.DataFrame, uses: pd.DataFrame, tuned: pd.DataFrame, named: pd.DataFrame
) -> str:
    """Sum up over designs how often what is said of the gain of a layer and of a join holds."""
    tables = {
        "a layer": gains,
        "a layer for discovery, by MAP@R of six images a class": named,
        "a join or a recipe of three layers": joins,
        "the same for a classifier or discovery": uses,
        "the same for retrieval of a fine-tuned network, in three to five folds": tuned,
    }
    rows = [
        [name, str(len(each)), *(f"{each[column].min():.2f} to {each[column].max():.2f}" for column in GAINS),
         f"{each['falsely pays'].max():.3f}"]
        for name, each in tables.items()
    ]  # fmt: skip
    return table_of(["chosen", "designs", *GAINS.values(), "falsely pays, at most"], rows, left=1)


def study_table(studies: pd.DataFrame) -> str:
    """Say for every shape of study in which kind statements on the gain hold most seldom."""
    lines = []
    for shape, rows in studies.groupby("shape", sort=False):
        names = ("gain", "gain at most", TIES)
        worst = [rows.loc[rows[name].idxmin()] for name in names]
        false = rows.loc[rows["falsely pays"].idxmax()]
        cells = [f"{row[name]:.2f} {row['kind']}" for row, name in zip(worst, names, strict=True)]
        lines.append([str(shape), *cells, f"{false['falsely pays']:.2f} {false['kind']}"])
    return table_of(["folds x classes", "gain", "at most", TIES, "falsely pays"], lines, left=5)


def least_false_pays(studies: pd.DataFrame) -> str:
    """Say which share of a false *pays* no rule avoids that shows a lead as often."""
    classes, shares = FROZEN[0].classes, studies[studies["shape"] == str(FROZEN[0])].set_index("kind")
    shown, none = shares.loc[LEADS_ALONE, "pays"], (1 - SHARE) ** classes
    return f"""In `{FAILS_ALONE}` a layer fails on {SHARE:.0%} of the classes.
{none:.0%} of samples of {classes} classes have none of these, and look as if the layer truly led
(`{LEADS_ALONE}`). A rule that shows this lead in {shown:.2f} of the samples, as ours does,
falsely shows it in {least_false(classes, shown):.2f} at the least.
"""


def extremes(table: pd.DataFrame) -> str:
    """The least share of every score over the designs of each target, mean over layers and at the chosen layer."""
    one = table[[DESIGNS[design].first_network is None for design in table["design"]]]
    one = one[one["given"] > 0]
    target = one["design"].map(lambda design: DESIGNS[design].target)
    lines, targets = [], ("images", "classes", "frozen")
    for score in [score for score in ALL if score in set(one["score"])]:
        parts = [one[(one["score"] == score) & (target == name)] for name in targets]
        lines.append([f"`{score}`", *(_least(rows, name) for rows in parts for name in ("coverage", "chosen"))])
    header = [f"{name}: {what}" for name in targets for what in ("layers", "chosen")]
    return table_of(["score", *header], lines, left=1 + len(header))


def _least(rows: pd.DataFrame, column: str) -> str:
    if rows.empty:
        return ""
    row = rows.loc[rows[column].idxmin()]
    return f"{row[column]:.2f} {row['design']}"


def shortfalls(table: pd.DataFrame) -> str:
    """Sum up by design which statements hold too seldom about scores whose intervals have a level of 95%."""
    found: dict[str, list[float]] = {}
    for _, row in table.iterrows():
        short = [row[name] for name in HOLD if _is_proven(row) and name in row and row[name] < PROVEN_FROM]
        found.setdefault(str(row["design"]), []).extend(short)
    told = [f"`{name}` ({len(short)}, the lowest {min(short):.2f})" for name, short in found.items() if short]
    text = f"Of validated scores, statements that hold in less than {PROVEN_FROM} of the data sets are in: "
    return f"{text}{', '.join(told)}.\n" if told else f"Of validated scores, all hold in {PROVEN_FROM}.\n"


def _is_proven(row: "pd.Series[float]") -> bool:
    scope: Scope = "images" if DESIGNS[str(row["design"])].target == "images" else "classes"
    return is_proven(str(row["score"]), scope)


def power_range(power: pd.DataFrame) -> str:
    """Say in which shares of the next studies what an earlier one said is shown."""
    shown = power[["lead shown", "difference shown"]]
    return f"{shown.min(axis=None):.2f} to {shown.max(axis=None):.2f}"


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """A table in Markdown, its first columns aligned left."""
    rule = ["---"] * left + ["--:"] * (len(header) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(read_results()))
