"""Finding (ii), "deeper is not always better": does a layer before the last represent unseen classes better?"""

import pandas as pd

from stages.aggregate.formatting import Row, beaten_by, depths_of, joined, known, number, runs, with_interval
from stages.aggregate.metric_info import metric_name

CLAIM = "(ii) Deeper is not always better"
CAUTION = (
    "A lead is the best layer's over the last: chosen on one half of the images, compared on the other, mean over many "
    "splits; it may be negative. Brackets: {intervals} over images of these classes, the trained networks, clusters, "
    "neighbours and folds as they are. Class subsets leave some of these classes out; other classes, or training "
    "again, may change more."
)

MEANINGS = {
    "holds": "the lead is above 0",
    "open": "the lead is not told from 0",
    "fails": "no earlier layer leads",
    "not tested": "no lead was computed",
}


def judge(row: Row) -> str:
    """Say of one network whether an earlier layer is better than the last: one of `MEANINGS`."""
    low, high = known(row, "lead_low"), known(row, "lead_high")
    if low is None or high is None or row["last_depth"] == 0:
        return "not tested"
    if row["best_depth"] == row["last_depth"]:
        alone = depths_of(row.get("best_set")) == [int(row["last_depth"])]
        return "fails" if alone or high <= 0 else "open"
    return "holds" if low > 0 else "fails" if high <= 0 else "open"


def ruling(rows: pd.DataFrame) -> str:
    """Count the networks of one dataset (main rows of summary.csv) in which the claim holds, is open and fails."""
    networks: dict[str, list[str]] = {word: [] for word in MEANINGS}
    for _, row in rows.iterrows():
        networks[judge(row)].append(str(row["model"]))
    counts = [
        f"{word} in {len(names)} of {len(rows)} ({MEANINGS[word]}: {', '.join(names)})"
        for word, names in networks.items()
        if names
    ]
    return f"{'; '.join(counts)}.{_weak(rows)}"


def details(rows: pd.DataFrame) -> list[str]:
    """Give each network's best layer, its lead, the layers it cannot be told apart from, and other class subsets."""
    return [
        " ".join(part for part in (_best(row), _best_set(row), _subsets(row)) if part) for _, row in rows.iterrows()
    ]


def _weak(rows: pd.DataFrame) -> str:
    weak = [f"{row['model']} does not beat {name}" for _, row in rows.iterrows() if (name := beaten_by(row))]
    return f" Note that {joined(weak)}." if weak else ""


def _best(row: Row) -> str:
    last = ", the last layer" if row["best_depth"] == row["last_depth"] else ""
    place = f"{row['best_layer']} (depth {row['best_depth']} of {row['last_depth']}{last})"
    score = f"{metric_name(str(row['metric']))} {with_interval(row, 'unseen', 'ci_images', sd='unseen_sd')}"
    return f"{row['model']}: best at {place}, {score}; {_lead(row)}."


def _lead(row: Row) -> str:
    if known(row, "lead") is None:
        return f"{number(row['last_value'])} at the last layer"
    if row["best_depth"] == row["last_depth"] and judge(row) == "fails":
        return "no earlier layer leads it"
    return f"lead {with_interval(row, 'lead', 'lead', sign=True)}"


def _best_set(row: Row) -> str:
    depths = depths_of(row.get("best_set"))
    others = [depth for depth in depths if depth != int(row["best_depth"])]
    if not depths or row["last_depth"] == 0:
        return ""
    if not others:
        return "Every other layer can be told apart from it."
    first = f" The shallowest is {row['shallowest_layer']}." if depths[0] < int(row["best_depth"]) else ""
    return f"Not told apart from it: depth {runs(others)}.{first}"


def _subsets(row: Row) -> str:
    low, high = known(row, "range_classes_low"), known(row, "range_classes_high")
    if low is None or high is None:
        return ""
    share = known(row, "subset_agreement")
    best = "" if share is None else f"; it is best in {100 * share:.0f} % of them"
    return f"Class subsets: {number(low)} to {number(high)}{best}."
