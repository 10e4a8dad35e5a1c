"""What fixed habits reach beside the choice: the last layer, its neighbours, plain joins, recipes of the last layer.

Reads by_axis.csv and by_axis_candidates.csv (`by_axis.py`) and prints Markdown. A habit needs no choice, so its score
is that of a candidate on unseen classes. Means over kinds are those of `kinds.py`.

    python -m docs.study.habits
"""

from collections.abc import Sequence

import pandas as pd

from docs.study.kinds import NETWORKS, OWN, RANDOM, SMALL, UNLABELLED, VIT, VIT_SMALL, read
from docs.study.tables import markdown, signed, unsigned

HABITS: dict[str, tuple[str, str, float, str]] = {
    "last layer": ("single", "plain", 1, ""),
    "second-to-last layer": ("single", "plain", -1, ""),
    "layer at two thirds of the depth": ("single", "plain", 2 / 3, ""),
    "last layer, mean over patches": ("single", "plain", 1, "mean"),
    "last 4, joined": ("last_4", "plain", 1, ""),
    "all, joined": ("all", "plain", 1, ""),
    "last layer, centred": ("single", "centred", 1, ""),
    "last layer, whitened": ("single", "whitened", 1, ""),
    "last layer, within": ("single", "within", 1, ""),
}
"""Join, recipe, the layer's share of the depth (-1: second to last), and pooling."""

CHOICES = {"layer": "chosen layer", "representation": "chosen representation"}
LAST = "last layer"
CHOSEN = CHOICES["representation"]

MAIN = {f"{size} px": (NETWORKS, size) for size in (SMALL, OWN)}
VITS = {f"ViT-S, {size} px": ((VIT,), size) for size in (VIT_SMALL, OWN)}
"""Networks and size of input by column: of the first ones all is shown, of the second ones the gain."""


def reached() -> pd.DataFrame:
    """Return MAP@R of every habit and choice: a row for each habit, dataset, network and size."""
    keys = ["kind", "dataset", "network", "size"]
    rows = read("by_axis_candidates.csv")
    number = rows["layer"].str.split("_").str[1].astype(int) + 1
    depth = number.groupby(rows["network"]).transform("max")
    pooling = rows["layer"].str.partition("@")[2]
    found = []
    for habit, (join, recipe, share, pooled) in HABITS.items():
        wanted = depth - 1 if share < 0 else (share * depth).round()
        own = rows[(rows["join"] == join) & (rows["recipe"] == recipe) & (number == wanted) & (pooling == pooled)]
        found.append(own.assign(habit=habit))
    choices = read().query("score == 'map_at_r'").melt(keys, [*CHOICES], "habit", "map_at_r").replace(CHOICES)
    return pd.concat([*found, choices])[["habit", *keys, "map_at_r"]]


def by_kind(rows: pd.DataFrame) -> pd.DataFrame:
    """Average over datasets, then over networks: a row for each habit, a column for each kind."""
    networks = rows.groupby(["habit", "kind", "network"], observed=True)["map_at_r"].mean()
    return networks.groupby(["habit", "kind"], observed=True).mean().unstack()


def described(own: "pd.Series[float]", last: "pd.Series[float]", chosen: "pd.Series[float] | None" = None) -> list[str]:
    """Write a habit's mean over kinds, its mean and least gain over the last layer, and its loss to the choice."""
    gain = own - last
    least = f"{signed(gain.min())} ({gain.idxmin()})" if gain.any() else "–"
    loss = None if chosen is None else (chosen - own).mean()
    return [unsigned(own.mean()), signed(gain.mean()) if gain.any() else "–", least, signed(loss) if loss else "–"]


def means(rows: pd.DataFrame, networks: Sequence[str], size: int) -> pd.DataFrame:
    """Average some networks at one size: a row for each habit, a column for each kind."""
    return by_kind(rows[rows["network"].isin(networks) & (rows["size"] == size)])


def habits_answer() -> str:
    """Say what habits without labels gain at most."""
    scores = means(reached(), NETWORKS, OWN)
    free = [habit for habit, (_, recipe, *_) in HABITS.items() if recipe in UNLABELLED and habit in scores.index]
    gain = (scores.loc[free] - scores.loc[LAST]).mean(axis=1)
    return f"At {OWN} px no habit without labels gains more than {signed(gain.max())} MAP@R. Means over kinds:"


def habits_table() -> str:
    """Tabulate what habits reach and gain over the last layer, mean over kinds, and lose to the choice."""
    rows = reached()
    both, vits = ([means(rows, *each) for each in inputs.values()] for inputs in (MAIN, VITS))
    lines = []
    for habit in [*HABITS, *CHOICES.values()]:
        cells = [habit]
        for own in both:
            known = habit in own.index
            cells += described(own.loc[habit], own.loc[LAST], own.loc[CHOSEN]) if known else ["–"] * 4
        gains = [(own.loc[habit] - own.loc[LAST]).mean() for own in vits]
        lines.append([*cells, *(signed(gain) if gain else "–" for gain in gains)])
    random, trained = (means(rows, [name], SMALL).loc[LAST] for name in (RANDOM, NETWORKS[0]))
    lines.append([f"{LAST}, random weights ({NETWORKS[0]})", *described(random, trained), *["–"] * 6])
    heads = [head for name in MAIN for head in (name, "gain", "least gain", "loss to the choice")]
    return markdown(["habit", *heads, *(f"{name}: gain" for name in VITS)], lines)


if __name__ == "__main__":
    print(f"{habits_answer()}\n\n{habits_table()}")
