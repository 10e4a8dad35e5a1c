"""With few labels, should every use choose its layer by MAP@R? On datasets that did not suggest it, class by class.

    python -m docs.study.few_labels EMBEDDINGS OUT    # what is not in OUT yet, then few_labels.csv
    python -m docs.study.few_labels                   # prints the tables

EMBEDDINGS holds `SET-NETWORK-SIZE.npz` of `embeddings.py`; OUT gets a file for each of them, so that a run can be cut
off and started again. Scores are those of `labels.py`, which imports nothing of the project.

A draw takes C classes and n images of each, and chooses a layer by a use's own score on the draw, or by MAP@R of
L2-normalized embeddings on the same draw: the first of a tie, and beside it two other ways with ties. Every choice is
judged by the use's score on classes that are not in the draw, ten at most: ten judging sets, six draws each. If fewer
than three classes are left, halves of each class's images choose and judge. The loss of a choice is the best layer's
score less the chosen layer's, both on the judging images. Of images of one track (traffic signs) one is taken, and
classes with fewer than 14 tracks are left out. NMI is that of k-means in all columns, 10 starts to choose and 5 to
judge.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from docs.study.labels import (
    Indices,
    Matrix,
    clustering_scores,
    few_shot,
    marked_distances,
    neighbour_scores,
    probe,
    unit_rows,
)
from docs.study.tables import markdown

TABLE = Path(__file__).with_name("few_labels.csv")
SETS = ("handsigns", "trafficsigns", "textures", "bloodcells", "seedlings", "spokendigits")
NETWORKS = {"efficientnet_lite0": "Lite0", "mobilenet_v2": "MobileNetV2"}
SIZES = (64, 224)
USES = {"probe_accuracy": "probe", "nn1_accuracy": "1-NN", "nmi": "NMI"}
RULES = {
    "own": "own score",
    "own_deepest": "ties to the deepest",
    "own_then_map_at_r": "ties by MAP@R",
    "map_at_r": "MAP@R",
    "last": "last layer",
}
CELLS = {2: (5, 10), 5: (2, 5, 10), 8: (5, 10)}
"""Classes -> images of each."""

JUDGING_SETS, DRAWS = 10, 6
"""Draws of each judging set."""

MOST_JUDGING, FEWEST_JUDGING = 10, 3
"""Classes."""

MOST_IMAGES, JUDGING_IMAGES, PROBE_IMAGES = 10, 60, 40
"""Of a class, at most: that choose, that judge, and that judge the probe."""

TRACKS = ("trafficsigns",)
"""Datasets of which one image of each group is taken."""

FEWEST_IMAGES = 14
"""Of a class of these."""

Scores = dict[str, NDArray[np.float64]]
"""By score, that of one layer on each set of images."""


class Drawn(NamedTuple):
    """The draws of C classes, and what judges them, as rows of the embeddings.

    Attributes:
        judging: (sets, classes, images) rows.
        choosing: (sets, draws, C, images) rows; the first n images of each class are a draw of C x n.
        unseen: whether the judging classes are not those of the draw.
    """

    judging: Indices
    choosing: Indices
    unseen: bool


def read_layers(path: Path, name: str) -> tuple[list[Matrix], Indices]:
    """Read every layer's embeddings of as many images of each class, and the rows of each class (K, images)."""
    with np.load(path) as file:
        labels, groups = file["labels"], file["groups"]
        layers = [file[key] for key in sorted(each for each in file.files if each.startswith("layer_"))]
    random = np.random.default_rng([2607, SETS.index(name)])
    order = random.permutation(len(labels))
    if name in TRACKS:
        order = order[np.unique(groups[order], return_index=True)[1]]
    members = [random.permutation(order[labels[order] == label]) for label in np.unique(labels)]
    members = [own for own in members if len(own) >= FEWEST_IMAGES]
    fewest = min(len(own) for own in members)
    rows = np.stack([own[:fewest] for own in members])  # (K, images)
    return [layer[rows.reshape(-1)] for layer in layers], np.arange(rows.size).reshape(rows.shape)


def draw(rows: Indices, C: int, random: np.random.Generator) -> Drawn:
    """Draw judging sets, and for each of them draws of C classes, from the rows of each class (K, images)."""
    K, images = rows.shape
    left = min(K - C, MOST_JUDGING)
    unseen = left >= FEWEST_JUDGING
    judging, choosing = list[Indices](), list[Indices]()
    for _ in range(JUDGING_SETS):
        mixed = random.permuted(rows, axis=1)[random.permutation(K)]
        judges, pool = (mixed[:left], mixed[left:]) if unseen else np.split(mixed, [images // 2], axis=1)
        judging.append(judges[:, :JUDGING_IMAGES])
        draws = [random.permuted(pool, axis=1)[random.permutation(len(pool))[:C], :MOST_IMAGES] for _ in range(DRAWS)]
        choosing.append(np.stack(draws))
    return Drawn(np.stack(judging), np.stack(choosing), unseen)


def own_span(rows: Matrix) -> Matrix:
    """Rotate (B, N, D) rows to the axes of their span, (B, N, min(N, D)): the same distances in fewer columns."""
    if rows.shape[2] <= rows.shape[1]:
        return rows
    centred = rows - rows.mean(axis=1, keepdims=True)
    squares, axes = np.linalg.eigh(centred @ centred.transpose(0, 2, 1))
    return np.asarray(axes * np.sqrt(np.maximum(squares, 0))[:, None], np.float32)


def score_sets(X: Matrix, distances: Matrix, sets: Indices, *, judge: bool) -> Scores:
    """Score one layer on sets of images (B, C, n), ordered by class.

    Of two images a class the probe, which needs five, is the accuracy of the nearest centroid.
    """
    B, C, n = sets.shape
    flat = sets.reshape(B, C * n)
    parts = [neighbour_scores(distances[own[:, :, None], own[:, None, :]], n) for own in np.array_split(flat, 10)]
    map_at_r, nn1 = (np.concatenate(each) for each in zip(*parts, strict=True))
    unit = unit_rows(X)[flat]
    starts, steps = (5, 200) if judge else (10, 120)
    nmi = clustering_scores(own_span(unit), n, np.random.default_rng(0), starts=starts, rounds=15)
    accuracy = few_shot(unit, n) if n < 5 else probe(X[sets[:, :, :PROBE_IMAGES]], 5, steps)
    return {"map_at_r": map_at_r, "nn1_accuracy": nn1, "nmi": nmi, "probe_accuracy": accuracy}


def choices(own: NDArray[np.float64], map_at_r: NDArray[np.float64]) -> dict[str, Indices]:
    """Return the layers that draws choose, (draws,), from (layers, draws) scores: the first of a tie, unless said."""
    best = own > own.max(axis=0) - 1e-9
    return {
        "own": best.argmax(axis=0),
        "map_at_r": (map_at_r > map_at_r.max(axis=0) - 1e-9).argmax(axis=0),
        "own_deepest": len(best) - 1 - best[::-1].argmax(axis=0),
        "own_then_map_at_r": np.where(best, map_at_r, -1).argmax(axis=0),
    }


def of_file(path: Path, name: str) -> Iterator[dict[str, object]]:
    """Yield what choices lose on one dataset in one network: a row for each use and cell, means over draws."""
    layers, rows = read_layers(path, name)
    distances = [marked_distances(unit_rows(X), np.repeat(np.arange(len(rows)), rows.shape[1])) for X in layers]

    def score(sets: Indices, *, judge: bool = False) -> Scores:
        each = [score_sets(X, own, sets, judge=judge) for X, own in zip(layers, distances, strict=True)]
        return {score: np.stack([own[score] for own in each]) for score in each[0]}  # (layers, sets)

    for C, images in CELLS.items():
        drawn = draw(rows, C, np.random.default_rng([2608, SETS.index(name), C]))
        judged = {use: np.repeat(own, DRAWS, axis=1) for use, own in score(drawn.judging, judge=True).items()}
        for n in images:
            chosen = score(drawn.choosing[..., :n].reshape(-1, C, n))
            for use in USES:
                losses = judged[use].max(axis=0) - judged[use]
                row = {"use": use, "classes": C, "images": n, "judged_classes": drawn.judging.shape[1]}
                row |= {"unseen": drawn.unseen, "draws": losses.shape[1], "best": judged[use].max(axis=0).mean()}
                for rule, named in choices(chosen[use], chosen["map_at_r"]).items():
                    row[rule] = losses[named, np.arange(losses.shape[1])].mean()
                yield row | {"last": losses[-1].mean()}


def run(embeddings: Path, out: Path) -> None:
    """Compute what is not in `out` yet of the files that are there, and join all."""
    out.mkdir(parents=True, exist_ok=True)
    for network in NETWORKS:
        for name in SETS:
            for size in SIZES:
                source, target = embeddings / f"{name}-{network}-{size}.npz", out / f"{name}-{network}-{size}.csv"
                if source.exists() and not target.exists():
                    names = {"dataset": name, "network": NETWORKS[network], "input": size}
                    pd.DataFrame([names | row for row in of_file(source, name)]).to_csv(target, index=False)
                    print(target.name, flush=True)
    parts = [pd.read_csv(path) for path in sorted(out.glob("*.csv"))]
    pd.concat(parts).to_csv(TABLE, index=False, float_format="%.4f")


def decision_table(draws: pd.DataFrame) -> str:
    """Tabulate the loss by both rules, and what MAP@R saves with its standard error over datasets."""
    rows = []
    for use, name in USES.items():
        own = draws[draws["use"] == use].groupby("dataset")[[*RULES]].mean()
        saved = own["own"] - own["map_at_r"]
        error = saved.std(ddof=1) / np.sqrt(len(saved))
        better = int((saved > 0).sum())
        adopted = "yes" if better >= 4 and saved.mean() >= 2 * error else "no"
        cells = [f"{own[rule].mean():.3f}" for rule in own]
        rows.append([name, *cells, f"{saved.mean():+.4f}", f"{error:.4f}", f"{better} of {len(saved)}", adopted])
    heads = ["saved by MAP@R", "standard error", "datasets with less loss", "adopted"]
    return markdown(["use", *RULES.values(), *heads], rows)


def by_table(draws: pd.DataFrame, keys: Sequence[str]) -> str:
    """Tabulate the loss by the own score → by MAP@R, a row for each value of `keys`."""
    rows = []
    for values, own in draws.groupby(list(keys), sort=False):
        losses = own.groupby("use")[["own", "map_at_r"]].mean()
        cells = [f"{losses.loc[use, 'own']:.3f} → {losses.loc[use, 'map_at_r']:.3f}" for use in USES]
        rows.append([*map(str, values), *cells])
    return markdown([*keys, *USES.values()], rows, texts=len(keys))


def cells_table() -> str:
    """Tabulate the loss of a choice on so many labels by the own score / of the last layer, mean over datasets."""
    rows = []
    for (C, n), own in pd.read_csv(TABLE).groupby(["classes", "images"]):
        losses = own.groupby(["use", "dataset"])[["own", "last"]].mean().groupby("use").mean()
        cells = [f"{losses.loc[use, 'own']:.3f} / {losses.loc[use, 'last']:.3f}" for use in USES]
        rows.append([f"{C} classes of {n} images", *cells])
    return markdown(["choice on", *USES.values()], rows)


def tables() -> Iterator[str]:
    """Yield the tables."""
    draws = pd.read_csv(TABLE)
    yield decision_table(draws)
    yield by_table(draws, ["dataset"])
    yield by_table(draws, ["classes", "images"])
    yield by_table(draws, ["network", "input"])


if __name__ == "__main__":
    if sys.argv[1:]:
        run(Path(sys.argv[1]), Path(sys.argv[2]))
    print(*tables(), sep="\n\n")
