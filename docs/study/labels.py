"""How few labels choose a layer? Draw them from frozen networks' embeddings, choose, and judge on unseen classes.

It imports nothing of the project, so that its scores are an independent computation. One run of one thread writes, for
each pair of a dataset and a network, `DATASET-NETWORK.judged.csv` and `DATASET-NETWORK.chosen.csv`; pairs whose files
are there are left out, so that a run can be cut off and started again:

    python docs/study/labels.py EMBEDDINGS OUT distances        # MAP@R, 1-NN and NMI, and few-shot accuracy at n = 2
    python docs/study/labels.py EMBEDDINGS OUT probe            # the linear probe
    python docs/study/labels.py EMBEDDINGS OUT distances-large  # draws of more than 300 images
    python docs/study/labels.py OUT docs/study                  # joins all into labels_judged.csv and labels_chosen.csv

EMBEDDINGS holds `DATASET/NETWORK/FOLD/0`, the stores of the embed stage (`docs/study/params/frozen.yaml`).

A draw takes C classes and n images of each. It chooses the layer of the best score on them, the first of a tie (and the
last one, beside it), and is judged by the same score on other classes, the same for every C and n. Ten sets of classes
judge; twenty draws choose for each, five by k-means and two by the probe. Draws are nested: that of more classes
or images holds that of fewer.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

DATASETS = ("handwriting", "calligraphy", "omniglot", "cifar100", "tinyimagenet")
NETWORKS = {
    "efficientnet_lite0_frozen": "Lite0",
    "vit_saliency": "ViT-S",
    "mobilenet_v2": "MobileNetV2",
    "efficientnet_lite2_frozen": "Lite2",
    "efficientnet_lite1_frozen": "Lite1",
}
CLASSES = (2, 3, 5, 8, 10, 15)
IMAGES = (2, 5, 10, 20, 50)
MOST_IMAGES = 60
"""Of a class, drawn once for each dataset."""

JUDGING_SETS, DRAWS, CLUSTERED_DRAWS, PROBE_DRAWS = 10, 20, 5, 2
"""Draws of a judging set that choose; of those the first ones choose by k-means, and by the probe."""

LARGE = 300
"""Draws of more images are a run of their own, and five of them choose for a judging set: they differ little."""

FEWEST_OF_PROBE, CLASSES_OF_PROBE = 5, (2, 5, 10, 15)
"""Images of a class, and numbers of classes, on which the probe chooses."""

BLOCK = 2**21
"""Numbers that are held at once, about."""

COLUMNS, ROUNDS = 32, 8
"""How k-means chooses: principal columns of all images, and rounds of Lloyd. It judges in all columns."""

STARTS = {100: 6, 300: 3, 750: 2}
"""Up to so many images, so many starts."""

STEPS, MOST_STEPS = 120, 200
"""Of the probe's solver when it chooses (of accuracies up to 0.008 off the optimum's, root mean square) and judges."""

PROBE_IMAGES = 40
"""Of a class, on which a probe is judged."""

Matrix = NDArray[np.float32]
Indices = NDArray[np.int64]
Cell = tuple[int, int]
"""Classes and images of each."""

Judged = dict[str, list[float]]
"""By score, that of one layer on each judging set."""

Found = dict[tuple[str, Cell], NDArray[np.float64]]
"""By score and cell, that of one layer on each draw."""


@dataclass(frozen=True)
class Drawn:
    """Which images judge, and which choose, as rows of the embeddings.

    Attributes:
        judging: (sets, classes, images) rows.
        choosing: (sets, draws, classes, images) rows; the first C classes and n images of each are a draw of C x n.
        classes: the class of every row.
    """

    judging: Indices
    choosing: Indices
    classes: Indices

    @property
    def cells(self) -> list[Cell]:
        """The numbers of classes and images that can be drawn."""
        most_classes, most_images = self.choosing.shape[2:]
        return [(C, n) for C in CLASSES if most_classes >= C for n in IMAGES if most_images >= n]


def draw(classes: int, images: int, seed: int) -> Drawn:
    """Draw judging sets of classes, as different as can be, and for each of them the draws that choose.

    Args:
        classes: number of classes, of which 5 judge, or 10 if there are at least 25.
        images: number of images of each class; row `k * images + i` is image i of class k.
        seed: of the draws.
    """
    random = np.random.default_rng([2611, seed])
    size = 5 if classes < 25 else 10
    order = np.concatenate([random.permutation(classes)[: classes // size * size] for _ in range(JUDGING_SETS)])
    judging = order[: JUDGING_SETS * size].reshape(JUDGING_SETS, size)
    rows = np.arange(classes * images).reshape(classes, images)
    most = min(max(n for n in IMAGES if n <= images), images)
    choosing = np.empty((JUDGING_SETS, DRAWS, max(CLASSES), most), np.int64)
    for first, (judges, of_set) in product(range(0, DRAWS, 10), zip(judging, choosing, strict=True)):
        others = np.setdiff1d(np.arange(classes), judges)
        for of_draw in of_set[first : first + 10]:  # so that twenty draws begin with the ten
            drawn = random.permutation(others)[: max(CLASSES)]
            of_draw[:] = [random.permutation(rows[each])[:most] for each in drawn]
    return Drawn(rows[judging], choosing, np.repeat(np.arange(classes), images))


def read_pair(folder: Path, seed: int) -> tuple[list[Matrix], Drawn]:
    """Read every layer's embedding of the unseen classes of all folds, classes in order of name, and draw."""
    parts = [zarr.open_group(path / "0", mode="r") for path in sorted(folder.iterdir())]
    layers = sorted((each for each in parts[0].attrs["layers"] if each["depth"] >= 0), key=lambda each: each["depth"])
    unseen = [np.flatnonzero(part["split"][:] == "unseen") for part in parts]
    labels = np.concatenate(
        [part["label"][:].astype(object)[own].astype(str) for part, own in zip(parts, unseen, strict=True)]
    )
    random = np.random.default_rng([1126, seed])
    names, counts = np.unique(labels, return_counts=True)
    images = min(MOST_IMAGES, int(counts.min()))
    rows = np.concatenate([random.permutation(np.flatnonzero(labels == name))[:images] for name in names])
    embeddings = [
        np.concatenate([part[layer["name"]][0][own] for part, own in zip(parts, unseen, strict=True)])[rows]
        for layer in layers
    ]
    return embeddings, draw(len(names), images, seed)


# ---- scores of drawn images, many draws at once; images are ordered by class, n of each


def neighbour_scores(distances: Matrix, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score MAP@R and 1-NN of several sets of images.

    Args:
        distances: (B, N, N) of `marked_distances`.
        n: images of each class; R = n - 1.

    Returns:
        (B,) each.
    """
    R = n - 1
    nearest = np.partition(distances, R - 1, axis=2)[:, :, :R]
    right = np.sort(nearest, axis=2).view(np.int32) & 1
    precision = right.cumsum(axis=2) / np.arange(1, n)
    return (precision * right).mean(axis=(1, 2)), right[:, :, 0].mean(axis=1)


def few_shot(rows: Matrix, n: int) -> NDArray[np.float64]:
    """Score the accuracy of the nearest centroid, each image's turn to be held out with the others of its number.

    Args:
        rows: (B, C * n, D) of length 1.
        n: images of each class.

    Returns:
        (B,).
    """
    B, N, D = rows.shape
    images = rows.reshape(B, N // n, n, D)
    right = []
    for held_out in range(n):
        centroids = np.delete(images, held_out, axis=2).mean(axis=2)  # (B, C, D)
        nearness = images[:, :, held_out] @ centroids.transpose(0, 2, 1) - (centroids**2).sum(axis=2)[:, None] / 2
        right.append(nearness.argmax(axis=2) == np.arange(N // n))
    return np.mean(right, axis=(0, 2))


def clustering_scores(
    rows: Matrix, n: int, random: np.random.Generator, starts: int | None = None, rounds: int = ROUNDS
) -> NDArray[np.float64]:
    """Score NMI of k-means with as many clusters as classes: the start of least inertia.

    Args:
        rows: (B, C * n, D).
        n: images of each class.
        random: draws the first centres.
        starts: by default those of `STARTS`.
        rounds: of Lloyd.

    Returns:
        (B,).
    """
    B, N, _ = rows.shape
    C = N // n
    least, best = np.full(B, np.inf), np.zeros((B, N), np.int64)
    for _ in range(starts or next(starts for images, starts in STARTS.items() if images >= N)):
        centres = _spread_centres(rows, C, random)
        for _ in range(rounds):
            nearest = (centres**2).sum(axis=2)[:, None] / 2 - rows @ centres.transpose(0, 2, 1)  # (B, N, C)
            cluster = nearest.argmin(axis=2)
            member = (cluster[..., None] == np.arange(C)).astype(np.float32)
            sizes = member.sum(axis=1)[..., None]
            centres = np.where(sizes > 0, member.transpose(0, 2, 1) @ rows / np.maximum(sizes, 1), centres)
        inertia = np.take_along_axis(nearest, cluster[..., None], axis=2).sum(axis=(1, 2))
        better = inertia < least
        least[better], best[better] = inertia[better], cluster[better]
    together = (best[..., None] == np.arange(C)).reshape(B, C, n, C).sum(axis=2) / N  # (B, class, cluster)
    return _nmi(together)


def _spread_centres(rows: Matrix, C: int, random: np.random.Generator) -> Matrix:
    """Draw C rows of each set by k-means++."""
    B, N, _ = rows.shape
    squares, each = (rows**2).sum(axis=2), np.arange(B)
    chosen = [random.integers(N, size=B)]
    far = np.full((B, N), np.inf)
    for _ in range(C - 1):
        last = rows[each, chosen[-1]]
        apart = squares + squares[each, chosen[-1]][:, None] - 2 * (rows @ last[..., None])[..., 0]
        far = np.minimum(far, np.maximum(apart, 0)) + 1e-12
        upto = far.cumsum(axis=1)
        chosen.append(np.minimum((upto < random.random((B, 1)) * upto[:, -1:]).sum(axis=1), N - 1))
    return rows[each[:, None], np.stack(chosen, axis=1)]


def _nmi(together: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute NMI (arithmetic mean) of (B, class, cluster) shares."""

    def entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1)

    classes, clusters = entropy(together.sum(axis=2)), entropy(together.sum(axis=1))
    joint = entropy(together.reshape(len(together), -1))
    return 2 * np.maximum(classes + clusters - joint, 0) / (classes + clusters)


def probe(images: Matrix, folds: int, steps: int, scale: Matrix | None = None) -> NDArray[np.float64]:
    """Score the cross-validated accuracy of logistic regression (C = 1) on columns standardized inside each fold.

    Args:
        images: (B, C, n, D); image i of each class is held out in fold i modulo `folds`.
        folds: at most n.
        steps: of the solver.
        scale: (D,) of the standardized columns: the square root of C, if another than 1; None: 1.

    Returns:
        (B,).
    """
    B, C, n, D = images.shape
    right = np.zeros(B)
    for fold in range(folds):
        inside = np.arange(n) % folds != fold
        train, test = (images[:, :, some].reshape(B, -1, D) for some in (inside, ~inside))
        mean, deviation = train.mean(axis=1, keepdims=True), train.std(axis=1, keepdims=True)
        deviation = np.where(deviation > 1e-6 * np.abs(mean), deviation, np.inf)
        deviation = deviation if scale is None else deviation / scale
        classes = np.repeat(np.arange(C), (~inside).sum())
        right += (_fit_and_predict((train - mean) / deviation, (test - mean) / deviation, C, steps) == classes).sum(
            axis=1
        )
    return right / (C * n)


def _fit_and_predict(train: Matrix, test: Matrix, C: int, steps: int) -> Indices:
    """Fit B logistic regressions at once, from (B, m, D) images ordered by class, and predict (B, k) classes.

    In the principal axes of the training images Nesterov's method, started anew where it climbs, takes steps by a bound
    of the Hessian: Böhning's with two classes, half of it with more, which are never all as unsure.
    """
    B, m, D = train.shape
    if m < D:
        squares, axes = np.linalg.eigh(train @ train.transpose(0, 2, 1))
        axes = train.transpose(0, 2, 1) @ (axes / np.sqrt(np.maximum(squares, 1e-6 * squares[:, -1:]))[:, None])
    else:
        squares, axes = np.linalg.eigh(train.transpose(0, 2, 1) @ train)
    train, test = (np.concatenate([X @ axes, np.ones_like(X[:, :, :1])], axis=2) for X in (train, test))
    wanted = np.repeat(np.eye(C, dtype=np.float32), m // C, axis=1)  # (C, m)
    unsure = 1 / 2 if C == 2 else 1 / 4
    bound = np.concatenate([np.maximum(squares, 0) * unsure + 1, np.full((B, 1), m * unsure)], axis=1)[:, None]
    bound = bound.astype(np.float32)
    penalty = np.append(np.ones(train.shape[2] - 1, np.float32), np.float32(0))
    weights = ahead = np.zeros((B, C, train.shape[2]), np.float32)
    speed = np.ones((B, 1, 1), np.float32)
    images = np.ascontiguousarray(train.transpose(0, 2, 1))
    for _ in range(steps):
        odds = ahead @ images  # (B, C, m)
        odds = np.exp(odds - odds.max(axis=1, keepdims=True))
        slope = (odds / odds.sum(axis=1, keepdims=True) - wanted) @ train + penalty * ahead
        stepped = ahead - slope / bound
        moved = stepped - weights
        speed = np.where((slope * moved).sum(axis=(1, 2), keepdims=True) > 0, np.float32(1), speed)
        faster = (1 + np.sqrt(1 + 4 * speed**2)) / 2
        weights, ahead, speed = stepped, stepped + (speed - 1) / faster * moved, faster
    return (weights @ test.transpose(0, 2, 1)).argmax(axis=1)


# ---- what a layer scores on judging classes and on draws


def unit_rows(X: Matrix) -> Matrix:
    """Scale rows to length 1."""
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)


def marked_distances(rows: Matrix, classes: Indices) -> Matrix:
    """Return 1 - cosine of rows of length 1, its last bit set within a class; infinite from itself.

    So a sort of numbers alone orders classes, too. The bit moves a distance by one unit in the last place of float32.
    Of equal distances those within the class come last: a layer that maps all images to one point scores 0.
    """
    precise = rows.astype(np.float64)
    precise /= np.maximum(np.linalg.norm(precise, axis=1, keepdims=True), 1e-12)
    bits = np.maximum(1 - precise @ precise.T, 0).astype(np.float32).view(np.int32) & ~1
    distances = (bits | (classes[:, None] == classes)).astype(np.int32).view(np.float32)
    np.fill_diagonal(distances, np.inf)
    return distances


def principal_columns(rows: Matrix) -> Matrix:
    """Rotate rows to their principal axes and keep the first `COLUMNS`."""
    centred = rows - rows.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :COLUMNS]
    return np.ascontiguousarray(centred @ axes)


def distances_judged(X: Matrix, drawn: Drawn) -> Judged:
    """Score one layer by distances on each judging set."""
    rows = unit_rows(X)
    distances = marked_distances(rows, drawn.classes)
    judged: Judged = {"map_at_r": [], "nn1_accuracy": [], "nmi": []}
    for judges in drawn.judging:
        own, n = judges.reshape(-1), judges.shape[1]
        map_at_r, nn1 = neighbour_scores(distances[np.ix_(own, own)][None], n)
        clusters = KMeans(len(judges), n_init=10, random_state=0).fit(rows[own]).labels_
        judged["map_at_r"].append(float(map_at_r[0]))
        judged["nn1_accuracy"].append(float(nn1[0]))
        judged["nmi"].append(float(normalized_mutual_info_score(np.repeat(np.arange(len(judges)), n), clusters)))
    return judged


def probes_judged(X: Matrix, drawn: Drawn) -> Judged:
    """Score one layer by the probe on each judging set, on at most `PROBE_IMAGES` of a class."""
    of_sets = [float(probe(X[judges[None, :, :PROBE_IMAGES]], 5, MOST_STEPS)[0]) for judges in drawn.judging]
    return {"probe_accuracy": of_sets}


def choose_by_distances(X: Matrix, drawn: Drawn, cells: Sequence[Cell]) -> Found:
    """Score one layer by distances on each draw, and at n = 2 by few-shot accuracy, which is there the probe's."""
    rows = unit_rows(X)
    distances = marked_distances(rows, drawn.classes)
    columns = principal_columns(rows)
    random = np.random.default_rng(0)
    found: Found = {}
    for C, n in cells:
        some = drawn.choosing[:, : 5 if C * n > LARGE else DRAWS, :C, :n].reshape(-1, C * n)
        parts = np.array_split(some, max(1, some.size * C * n // BLOCK))
        each = [neighbour_scores(distances[part[:, :, None], part[:, None, :]], n) for part in parts]
        for name, values in zip(("map_at_r", "nn1_accuracy"), zip(*each, strict=True), strict=True):
            found[name, (C, n)] = np.concatenate(values)
        fewer = some.reshape(JUDGING_SETS, -1, C * n)[:, :CLUSTERED_DRAWS].reshape(-1, C * n)
        found["nmi", (C, n)] = clustering_scores(columns[fewer], n, random)
        if n < FEWEST_OF_PROBE:
            found["probe_accuracy", (C, n)] = few_shot(rows[some], n)
    return found


def choose_by_probe(X: Matrix, drawn: Drawn, cells: Sequence[Cell]) -> Found:
    """Score one layer by the probe on each draw: in five folds of five images, else in two."""
    found: Found = {}
    for C, n in cells:
        if n >= FEWEST_OF_PROBE and C in CLASSES_OF_PROBE:
            some = drawn.choosing[:, :PROBE_DRAWS, :C, :n].reshape(-1, C, n)
            parts = np.array_split(some, max(1, some.size * X.shape[1] // BLOCK))
            folds = 5 if n == FEWEST_OF_PROBE else 2
            found["probe_accuracy", (C, n)] = np.concatenate([probe(X[part], folds, STEPS) for part in parts])
    return found


KINDS: dict[str, tuple[Callable[[Matrix, Drawn], Judged], Callable[[Matrix, Drawn, Sequence[Cell]], Found]]] = {
    "distances": (distances_judged, choose_by_distances),
    "probe": (probes_judged, choose_by_probe),
}


def of_pair(folder: Path, dataset: str, network: str, kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute what every layer scores on judging classes, and which layer each draw chooses.

    Returns:
        judged: a row for each score and judging set: `values`, of the layers in order; none of large draws.
        chosen: a row for each score, C and n: `layers`, a letter (a: the first) for each draw, judging set by set, and
            `deepest`, the same where a tie goes to its last layer.
    """
    embeddings, drawn = read_pair(folder / dataset / network, DATASETS.index(dataset))
    by, _, large = kind.partition("-")
    judge, choose = KINDS[by]
    names = {"dataset": dataset, "network": NETWORKS[network]}
    judged = [] if large else [judge(X, drawn) for X in embeddings]
    of_sets = [
        names | {"score": score, "set": number, "values": " ".join(f"{each[score][number]:.4f}" for each in judged)}
        for score in (judged[0] if judged else ())
        for number in range(JUDGING_SETS)
    ]
    cells = [(C, n) for C, n in drawn.cells if (C * n > LARGE) == bool(large)]
    found = [choose(X, drawn, cells) for X in embeddings]
    of_draws = []
    for score, (C, n) in found[0]:
        first, last = _letters(np.stack([each[score, (C, n)] for each in found]))
        of_draws.append(names | {"score": score, "classes": C, "images": n, "layers": first, "deepest": last})
    return pd.DataFrame(of_sets), pd.DataFrame(of_draws)


def _letters(scores: NDArray[np.float64]) -> tuple[str, str]:
    """Write the layer of the best score of each draw, from (layers, draws): the first of a tie, and the last one."""
    best = scores > scores.max(axis=0) - 1e-9
    first, last = best.argmax(axis=0), len(best) - 1 - best[::-1].argmax(axis=0)
    one, other = ("".join(chr(ord("a") + layer) for layer in layers) for layers in (first, last))
    return one, other


def pairs() -> Iterator[tuple[str, str]]:
    """Yield datasets and networks, all datasets of a network before the next one."""
    return ((dataset, network) for network in NETWORKS for dataset in DATASETS)


def run(embeddings: Path, out: Path, kind: str, seconds: float = math.inf) -> None:
    """Compute what is not there yet, pair by pair, and begin no pair after some seconds."""
    ends = time.monotonic() + seconds
    for dataset, network in pairs():
        if time.monotonic() > ends:
            break
        judged, chosen = (out / f"{dataset}-{NETWORKS[network]}-{kind}.{name}.csv" for name in ("judged", "chosen"))
        if not chosen.exists():
            tables = of_pair(embeddings, dataset, network, kind)
            for path, table in zip((judged, chosen), tables, strict=True):
                table.to_csv(path, index=False)
            print(dataset, network, kind, flush=True)


def join(out: Path, docs: Path) -> None:
    """Stack the pairs' files; what is not judged yet is left out."""
    keys = ["dataset", "network", "score"]
    judged, chosen = (
        pd.concat([pd.read_csv(path) for path in sorted(out.glob(f"*.{name}.csv")) if path.stat().st_size > 1])
        for name in ("judged", "chosen")
    )
    chosen = chosen.merge(judged[keys].drop_duplicates()).sort_values([*keys, "classes", "images"])
    for name, table in (("judged", judged.sort_values([*keys, "set"])), ("chosen", chosen)):
        table.to_csv(docs / f"labels_{name}.csv", index=False)


if __name__ == "__main__":
    source, target, *kinds = sys.argv[1:]
    for kind in kinds:
        run(Path(source), Path(target), kind)
    if not kinds:
        join(Path(source), Path(target))
