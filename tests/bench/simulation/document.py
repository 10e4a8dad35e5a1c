"""The page of docs/ that shows what `make coverage` found."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from stages.core.inference.scopes import PROVEN
from stages.core.scores.catalogue import PROBE
from tests.bench.simulation.data_set import Kind, kind_of
from tests.bench.simulation.designs import ALL, DESIGNS

PROVEN_FROM = 0.92
"""Share of data sets in which a statement must hold, in every design, to count as proven at a level of 95 %."""

HOLD = {
    "coverage": "mean over layers",
    "chosen": "chosen layer",
    "at least": "`at_least`",
    "at most": "`at_most`",
    "best among ties": "best among ties",
    "losses": "losses",
    "shallowest tie": "loss of the shallowest tie",
    "gain": "gain",
    "gain at most": "gain at most",
}
"""Columns that are shares of data sets in which a statement holds, and their headings."""

LEADS = {
    "true lead": "true lead",
    "estimate": "estimate",
    **{name: heading for name, heading in HOLD.items() if name not in ("coverage", "chosen", "gain", "gain at most")},
    "supported": "supported",
    "false supported": "falsely",
    "ties": "layers that tie",
    "width / ideal": "width / ideal",
}
GAINS = {
    "gain named": "another layer is named",
    "gain": "gain",
    "gain at most": "at most",
    "gain error": "error of the estimate",
    "gain width": "width",
    "pays": "pays",
    "falsely pays": "falsely",
    "does not pay": "does not",
    "falsely does not": "falsely",
}
NETWORKS = {
    "true difference": "true difference",
    "estimate": "estimate",
    "coverage": "interval holds",
    "first better": "first better",
    "second better": "second better",
    "false better": "falsely better",
    "width / ideal": "width / ideal",
}
THREE_DIGITS = ("gain", "gain error", "gain width", "falsely pays", "falsely does not")
SIGNED = ("true lead", "true difference", "estimate")

SCORES_OF: dict[str, Kind] = {
    "Scores by neighbours and distances": "neighbours",
    "Cluster scores": "clusters",
    "Linear probe": "probe",
}
"""Title -> the scores' kind."""

SHOWN = (*ALL, PROBE)

TARGETS = {
    "images": (
        "Other images of these classes",
        "Classes and networks are fixed, images are drawn anew: one fold, 40 halves.",
    ),
    "classes": (
        "Other classes of the domain",
        "Classes, images and training are drawn anew: four folds of 5 classes of 20 images by default.",
    ),
    "frozen": (
        "Other classes, frozen network",
        "Classes and images are drawn anew, the network is not trained: 15 images per class by default.",
    ),
}

HEAD = """# How often intervals and bounds hold

`make coverage` simulates data sets with a known truth, scores them as the stages do, in rows of length 1, and counts
how often the statements of [uncertainty.md](uncertainty.md) are true. It writes this page. The designs are in
`tests/bench/simulation/designs.py`, the populations that they draw from in `populations.py` and `structured.py` beside
it. K-means takes 30 starts, 12 with 10 classes or more and for frozen networks, and half as many on halves.

The standard error of a share of 0.95 is 0.011 with 400 data sets, 0.015 with 200 and 0.028 with 60. Designs with frozen
networks, fitted to real layers or with hubs have the most data sets.

- **Coverage** cells give the mean over layers / the worst layer / the layer that was chosen for its score.
- **Losses** counts the data sets in which the printed bounds on the loss against the best layer hold for all layers at
  once. The next column counts those in which the bound of the shallowest tie holds.
- **Falsely** counts false statements: *supported* although no earlier layer is better than the last, or a network that
  is called better and is not.
- **Width / ideal** is the width of the intervals of layers, over the width by a known standard deviation.
"""


POWER_TEXT = """From each data set we compute which lead over the last layer, and which difference between the best
layer and another layer, 80 % of studies of its design would show (`stages/aggregate/findings/power.py`). Scores of the
next data set are then moved to have this lead, or in each layer in turn this difference. How often is it shown?
"""


GAIN_TEXT = """Each class has a score, and the true gains over the last layer are known (`class_studies.py`). Two
statements should hold in 0.92 of studies or more: the interval of the named layer's gain (*gain*), and the bound on the
gain of every layer (*at most*). *Pays* is false if the named layer is no better than the last, which should happen in
0.05 of studies at most. If the last layer itself is named, there is no statement. *Does not pay* is false if a layer
gains more than 0.02. The error is the mean difference of the estimate from the named layer's true gain.
"""


def page(table: pd.DataFrame, shown: Sequence[dict[str, Any]] = (), gained: Sequence[dict[str, Any]] = ()) -> str:
    """The whole page, from one row for each design and score, and for each on what studies show, and on gains."""
    table = table[table["design"].isin(DESIGNS)]
    parts = [
        HEAD,
        _what_was_run(table),
        "## Score by score\n",
        extremes(table),
        "## What falls short\n",
        shortfalls(table),
    ]
    for target, (title, text) in TARGETS.items():
        rows = table[[DESIGNS[design].target == target for design in table["design"]]]
        if len(rows):
            parts += [f"## {title}\n", f"{text}\n", *_sections(rows)]
    if gained:
        parts += ["## What choosing gains\n", GAIN_TEXT, gain_table(gained)]
    if shown:
        parts += ["## What studies show\n", POWER_TEXT, power_table(shown)]
    return "\n".join(parts)


def power_table(shown: Sequence[dict[str, Any]]) -> str:
    """Say for every design what its studies say that they show, in the median, and how often the next one does."""
    columns = ("lead", "lead shown", "difference", "difference shown")
    lines = [
        [row["design"], f"`{row['score']}`", str(int(row["data sets"])), *(f"{row[name]:.2f}" for name in columns)]
        for row in shown
    ]
    return table_of(["design", "score", "data sets", *columns], lines, left=2)


def gain_table(gained: Sequence[dict[str, Any]]) -> str:
    """Say for every kind and shape of study how often what is said of the gain over the last layer holds."""
    kinds = {row["kind"]: row["about"] for row in gained}
    lines = [
        [row["kind"], row["shape"], str(int(row["studies"])), *(_cell(name, row[name]) for name in GAINS)]
        for row in gained
    ]
    about = table_of(["studies", "what is drawn"], [list(each) for each in kinds.items()], left=2)
    return about + "\n" + table_of(["studies", "folds x classes", "number", *GAINS.values()], lines, left=2)


def _what_was_run(table: pd.DataFrame) -> str:
    lines = []
    for title, kind in SCORES_OF.items():
        rows = table[[kind_of(score) == kind for score in table["score"]]]
        sets = sorted({int(number) for number in rows["data sets"]})
        numbers = " and ".join(f"{number:,}" for number in sets)
        lines.append(
            f"- {title}: " + (f"{rows['design'].nunique()} designs of {numbers} data sets." if sets else "not run.")
        )
    return "This page has:\n\n" + "\n".join(lines) + "\n"


def extremes(table: pd.DataFrame) -> str:
    """The least share of every score over the designs of each target, mean over layers and at the chosen layer."""
    one = table[[DESIGNS[design].first_network is None for design in table["design"]]]
    one = one[one["given"] > 0]
    target = one["design"].map(lambda design: DESIGNS[design].target)
    lines = []
    for score in [score for score in SHOWN if score in set(one["score"])]:
        cells = []
        for name in TARGETS:
            rows = one[(one["score"] == score) & (target == name)]
            cells += [_least(rows, "coverage"), _least(rows, "chosen")]
        lines.append([f"`{score}`", *cells])
    header = [f"{title}: {what}" for title in ("images", "classes", "frozen") for what in ("layers", "chosen")]
    text = (
        "The smallest share of intervals that hold in any design, and this design: mean over layers, chosen layer.\n\n"
    )
    return text + table_of(["score", *header], lines, left=1 + len(header))


def _least(rows: pd.DataFrame, column: str) -> str:
    if rows.empty:
        return ""
    row = rows.loc[rows[column].idxmin()]
    return f"{row[column]:.2f} {row['design']}"


def shortfalls(table: pd.DataFrame) -> str:
    """Statements that hold too seldom about scores whose intervals are said to have a level of 95 %."""
    lines = [
        f"| {row['design']} | `{row['score']}` | {_heading(row, name)} | {row[name]:.3f} | {int(row['data sets'])} |"
        for _, row in table.iterrows()
        for name in HOLD
        if _is_proven(row) and name in row and row[name] < PROVEN_FROM
    ]
    text = f"For scores with a proven level, these statements hold in less than {PROVEN_FROM} of the data sets:\n\n"
    head = "| design | score | statement | holds | data sets |\n| --- | --- | --- | --: | --: |\n"
    return text + head + "\n".join(lines) + "\n" if lines else f"Every statement holds in {PROVEN_FROM} or more.\n"


def _heading(row: "pd.Series[object]", name: str) -> str:
    is_difference = name == "coverage" and DESIGNS[str(row["design"])].first_network is not None
    return "difference of two networks" if is_difference else HOLD[name]


def _is_proven(row: "pd.Series[object]") -> bool:
    scope = "images" if DESIGNS[str(row["design"])].target == "images" else "classes"
    return scope in PROVEN.get(str(row["score"]), ())


def _sections(rows: pd.DataFrame) -> Iterator[str]:
    names = rows["design"].unique()
    yield table_of(["design", "what is drawn"], [[name, DESIGNS[name].about] for name in names], left=2)
    two = rows["design"].map(lambda name: DESIGNS[name].first_network is not None).astype(bool)
    one = rows[~two]
    for title, kind in SCORES_OF.items():
        own = one[[kind_of(score) == kind for score in one["score"]]]
        if len(own):
            yield f"{title}: coverage of the intervals.\n"
            yield coverage(own)
    compared = one[one["best among ties"].notna()] if "best among ties" in one else one.iloc[:0]
    if len(compared):
        yield "The best layer against the last, ties and losses:\n"
        yield _columns(compared, LEADS)
        yield "What choosing gains over the last layer ([below](#what-choosing-gains)):\n"
        yield _columns(compared, GAINS)
    if two.any():
        yield "Two networks' best layers:\n"
        yield _columns(rows[two], NETWORKS)


def coverage(rows: pd.DataFrame) -> str:
    """One row for each design, one column for each score: mean over layers / worst layer / chosen layer."""
    scores = [score for score in SHOWN if score in set(rows["score"])]
    cells = {(row["design"], row["score"]): _shares(row) for _, row in rows.iterrows()}
    lines = [
        [design, str(int(own["data sets"].max())), *(cells.get((design, score), "") for score in scores)]
        for design, own in rows.groupby("design", sort=False)
    ]
    return table_of(["design", "data sets", *(f"`{score}`" for score in scores)], lines, left=1)


def _shares(row: "pd.Series[float]") -> str:
    if row["given"] == 0:
        return "no interval"
    names = ("coverage", "coverage, worst layer", "chosen")
    return " / ".join(f"{row[name]:.2f}".removeprefix("0") for name in names)


def _columns(rows: pd.DataFrame, columns: dict[str, str]) -> str:
    shown = {name: heading for name, heading in columns.items() if name in rows}
    lines = [
        [row["design"], f"`{row['score']}`", str(int(row["data sets"])), *(_cell(name, row[name]) for name in shown)]
        for _, row in rows.iterrows()
    ]
    return table_of(["design", "score", "data sets", *shown.values()], lines, left=2)


def _cell(name: str, value: float) -> str:
    if pd.isna(value):
        return ""
    if name in THREE_DIGITS:
        return f"{value:.3f}"
    return f"{value:+.3f}" if name in SIGNED else f"{value:.1f}" if name == "ties" else f"{value:.2f}"


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """A table in Markdown, its first columns aligned left."""
    rule = ["---"] * left + ["--:"] * (len(header) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)) + "\n"
