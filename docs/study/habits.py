"""What fixed habits gain beside the choice: the last layer's neighbours, joins, poolings and recipes.

Reads by_axis.csv, by_axis_candidates.csv (`by_axis.py`) and habits.csv, and prints Markdown. A habit needs no choice,
so its score is that of a candidate on unseen classes. A gain is over the plain last layer of the same network.

    python -m docs.study.habits EMBEDDINGS   # writes habits.csv
    python -m docs.study.habits              # prints the tables

EMBEDDINGS holds `SET-NETWORK-SIZE.npz` of `embeddings.py`. habits.csv has MAP@R of what is no candidate there: the
generalized mean in the place of the mean, the logits of a network with a head, and a class token beside the mean.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from docs.study.by_axis import DATASETS, Embedded
from docs.study.by_axis import NETWORKS as CELLS
from docs.study.embeddings import LITE0
from docs.study.embeddings import NETWORKS as SOURCES
from docs.study.kinds import KINDS, NETWORKS, OWN, RANDOM, SMALL, UNLABELLED, VIT, VIT_SMALL, read
from docs.study.labels import Matrix
from docs.study.tables import markdown, signed, unsigned
from stages.core.representations.choice import choose_representation
from stages.shared.networks.weights import read_package

TABLE = Path(__file__).with_name("habits.csv")

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

LAST, BESIDE = "last layer", "class token beside the mean"
GEM, GEM_SMALL = (f"last layer, GeM ({network})" for network in NETWORKS)
LOGITS = f"logits ({NETWORKS[0]})"
CHOICES = {"layer": "chosen layer", "representation": "chosen representation"}
UNTRAINED = f"last layer, random weights ({NETWORKS[0]})"
ORDER = (*[*HABITS][:4], GEM, GEM_SMALL, LOGITS, BESIDE, *[*HABITS][4:], *CHOICES.values(), UNTRAINED)


@cache
def head() -> tuple[Matrix, Matrix]:
    """Return the weights (1000, D) and biases of the first network's own head."""
    tensors = read_package(SOURCES["efficientnet_lite0"][1], LITE0["name"])
    return tensors["_fc.weight"].numpy(), tensors["_fc.bias"].numpy()


def logits(own: Embedded) -> Matrix:
    """Return the logits, (N, 1000)."""
    weights, biases = head()
    return np.asarray(own.layers[own.last] @ weights.T + biases)


def beside(own: Embedded) -> Matrix:
    """Return the last layer's class token and mean over patches side by side."""
    return np.hstack([own.layers[own.last], own.layers[f"{own.last}@mean"]])


MEASURED: dict[str, tuple[str, str, Callable[[Embedded], Matrix]]] = {
    GEM: ("efficientnet_lite0", "efficientnet_lite0_gem", lambda own: own.layers[own.last]),
    GEM_SMALL: ("mobilenet_v2", "mobilenet_v2_gem", lambda own: own.layers[own.last]),
    LOGITS: ("efficientnet_lite0", "efficientnet_lite0", logits),
    BESIDE: ("vit_small_patch14_few", "vit_small_patch14_few", beside),
}
"""Habit -> network, its name in files, and what is judged."""


def run(embeddings: Path) -> None:
    """Judge what is embedded, and write the table."""
    rows = []
    for habit, (network, file, features) in MEASURED.items():
        name, sizes = CELLS[network]
        for size, dataset in product(sizes, DATASETS):
            path = embeddings / f"{dataset}-{file}-{size}.npz"
            if path.exists():
                keys = {"habit": habit, "dataset": dataset, "network": name, "size": size}
                rows.append(keys | {"map_at_r": map_at_r(Embedded(path), features)})
    pd.DataFrame(rows).to_csv(TABLE, index=False, float_format="%.6f")


def map_at_r(own: Embedded, features: Callable[[Embedded], Matrix]) -> float:
    """Judge one array in the folds of `by_axis.py`."""
    found = choose_representation(
        {"": features(own)}, own.labels, own.groups, joins=["single"], recipes=["plain"], refits=False
    )
    return float(found.values[0])


def reached() -> pd.DataFrame:
    """Return MAP@R and gain of habits and choices: a row for each habit, dataset, network and size."""
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
    table = pd.concat([*found, choices, read(TABLE.name)])[["habit", *keys, "map_at_r"]]
    random = table[(table["network"] == RANDOM) & (table["habit"] == LAST)]
    table = pd.concat([table, random.assign(habit=UNTRAINED, network=NETWORKS[0])])
    last = table[table["habit"] == LAST].set_index(keys[1:])["map_at_r"].rename("last")
    return table.join(last, on=keys[1:]).assign(gain=lambda each: each["map_at_r"] - each["last"])


def means(networks: Sequence[str], size: int, column: str = "gain") -> pd.DataFrame:
    """Average over datasets, then over networks, at one size: a row for each habit, a column for each kind."""
    rows = reached()
    own = rows[rows["network"].isin(networks) & (rows["size"] == size)]
    each = own.groupby(["habit", "kind", "network"], observed=True)[column].mean()
    found = each.groupby(["habit", "kind"], observed=True).mean().unstack()[[*KINDS]]
    return found.reindex([habit for habit in ORDER if habit in found.index])


def habits_answer() -> str:
    """Say what habits without labels gain at most."""
    gains = means(NETWORKS, OWN)
    fitted = [habit for habit, (_, recipe, *_) in HABITS.items() if recipe not in UNLABELLED]
    free = gains.drop([*fitted, *CHOICES.values()]).mean(axis=1)
    start = f"At {OWN} px no habit without labels gains more than {signed(free.max())} MAP@R ({free.idxmax()})."
    return f"{start} Gains over the last layer, {' and '.join(NETWORKS)}:"


def described(own: "pd.Series[float]", write: Callable[[float], str]) -> Iterator[str]:
    """Write strokes, photos, the range over other kinds, and the mean of kinds."""
    others = own.drop(["strokes", "photos"])
    yield from (write(own["strokes"]), write(own["photos"]), f"{write(others.min())} to {write(others.max())}")
    yield write(own.mean())


def habits_table() -> str:
    """Tabulate the last layer's MAP@R, and what other habits gain over it."""
    own, small = (means(NETWORKS, size) for size in (OWN, SMALL))
    last = [means(NETWORKS, size, "map_at_r").loc[LAST] for size in (OWN, SMALL)]
    lines = [[f"{LAST} (MAP@R)", *described(last[0], unsigned), unsigned(last[1].mean())]]
    for habit in [each for each in ORDER if each in small.index and each != LAST]:
        cells = [*described(own.loc[habit], signed)] if habit in own.index else ["–"] * 4
        lines.append([habit, *cells, signed(small.loc[habit].mean())])
    columns = ("strokes", "photos", "other kinds", "mean of kinds")
    return markdown([f"habit, {OWN} px", *columns, f"mean, {SMALL} px"], lines)


def vit_table() -> str:
    """Tabulate what habits gain in the vision transformer, mean over kinds."""
    both = [means([VIT], size).mean(axis=1) for size in (VIT_SMALL, OWN)]
    lines = [[habit, *(signed(own[habit]) for own in both)] for habit in both[1].index if habit != LAST]
    return markdown(["habit, ViT-S", f"{VIT_SMALL} px", f"{OWN} px"], lines)


if __name__ == "__main__":
    if sys.argv[1:]:
        run(Path(sys.argv[1]))
    print(habits_answer(), habits_table(), vit_table(), sep="\n\n")
