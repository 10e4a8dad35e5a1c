"""What a layer chosen on few labels loses: the table, the picture's numbers and labels.json, from two CSV files.

Reads labels_judged.csv (what every layer scores on each set of judging classes) and labels_chosen.csv (which layer each
draw of labels chooses), both of `labels.py`. It imports nothing of the project.

    python -m docs.study.label_tables    # prints the table, writes labels.json

The loss of a draw is the best layer's score on the judging classes less the chosen layer's, on the same classes, so it
is slightly too large. A pair is a dataset and a network. Means are over datasets of each dataset's mean over its
networks, with Student's t over datasets; draws overlap, so no interval is over draws.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from docs.study.tables import GLYPHS, PHOTOS, markdown

HERE = Path(__file__).parent
SCORES = {"probe_accuracy": "probe", "map_at_r": "MAP@R", "nn1_accuracy": "1-NN", "nmi": "NMI"}
NAMES = {"probe": "probe accuracy"}
"""Names in sentences, where they differ."""

RULES: dict[str, Callable[[NDArray[np.float64]], int]] = {
    "last layer": lambda scores: scores.shape[1] - 1,
    "layer before it": lambda scores: scores.shape[1] - 2,
    "two thirds": lambda scores: round((scores.shape[1] - 1) * 2 / 3),
    "best on average": lambda scores: int(scores.mean(axis=0).argmax()),
}
"""Constant rules: the layer's index, from (sets, layers) scores. The last is no rule, but what no choice can expect to
beat: the layer of the best mean over all sets of judging classes."""

SHOWN = {2, 5, 10}
"""Numbers of classes in the table; labels.json has all."""

Losses = NDArray[np.float64]
"""(D,) of the draws of one pair, or of its judging sets."""

Pair = tuple[str, str]
"""Dataset and network."""

Cell = tuple[int, int]
"""Classes and images of each."""


class Summary(NamedTuple):
    """What a choice loses over pairs.

    Attributes:
        mean, low, high: over datasets, with the interval's ends (95%).
        in_19_of_20: the loss that 19 of 20 draws do not exceed, all pairs weighing alike.
        of_pairs: the same of each pair alone, mean over pairs.
        worst: the largest mean loss of a pair.
        pairs: how many.
    """

    mean: float
    low: float
    high: float
    in_19_of_20: float
    of_pairs: float
    worst: float
    pairs: int


def read_judged() -> dict[tuple[Pair, str], NDArray[np.float64]]:
    """Read (sets, layers) scores on judging classes, by pair and score."""
    table = pd.read_csv(HERE / "labels_judged.csv")
    return {
        ((str(dataset), str(network)), str(score)): np.array([line.split() for line in own["values"]], float)
        for (dataset, network, score), own in table.sort_values("set").groupby(["dataset", "network", "score"])
    }


def read_losses(ties: str = "layers") -> dict[tuple[str, Cell], dict[Pair, Losses]]:
    """Read the losses of all draws, by score and cell, then by pair.

    Args:
        ties: `layers`, the first layer of a tie is chosen, or `deepest`, the last one.
    """
    judged, found = read_judged(), dict[tuple[str, Cell], dict[Pair, Losses]]()
    for row in pd.read_csv(HERE / "labels_chosen.csv").to_dict("records"):
        pair, score = (row["dataset"], row["network"]), row["score"]
        layers = np.frombuffer(row[ties].encode(), np.uint8) - ord("a")
        scores = judged[pair, score]
        sets = np.repeat(np.arange(len(scores)), len(layers) // len(scores))
        losses = scores.max(axis=1)[sets] - scores[sets, layers]
        found.setdefault((score, (row["classes"], row["images"])), {})[pair] = losses
    return found


def rule_losses(score: str, rule: str) -> dict[Pair, Losses]:
    """What a constant rule loses on each judging set, by pair."""
    return {
        pair: scores.max(axis=1) - scores[:, RULES[rule](scores)]
        for (pair, name), scores in read_judged().items()
        if name == score
    }


def summarize(losses: Mapping[Pair, Losses]) -> Summary:
    """Summarize the losses of pairs."""
    datasets = list(dict.fromkeys(dataset for dataset, _ in losses))
    means = np.array([np.mean([own.mean() for (name, _), own in losses.items() if name == each]) for each in datasets])
    half = student.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.nan
    every = np.concatenate(list(losses.values()))
    weights = np.concatenate([np.full(len(own), 1 / len(own)) for own in losses.values()])
    order = every.argsort()
    upto = weights[order].cumsum() / weights.sum()
    return Summary(
        mean=float(means.mean()),
        low=float(means.mean() - half),
        high=float(means.mean() + half),
        in_19_of_20=float(every[order][np.searchsorted(upto, 0.95 - 1e-12)]),
        of_pairs=float(np.mean([np.quantile(own, 0.95) for own in losses.values()])),
        worst=max(float(own.mean()) for own in losses.values()),
        pairs=len(losses),
    )


def labels_table() -> str:
    """Tabulate the mean loss by use, classes and images of each, and the loss that 19 of 20 draws do not exceed."""
    losses = read_losses()
    images = sorted({n for _, (_, n) in losses})
    lines = []
    for score, name in SCORES.items():
        cells = sorted({cell for own, cell in losses if own == score})
        for C in sorted({C for C, _ in cells} & SHOWN):
            own = [losses.get((score, (C, n))) for n in images]
            lines.append([name, f"{C} classes", *(_cell(each) for each in own)])
        for rule in RULES if cells else ():
            lines.append([name, rule, _cell(rule_losses(score, rule)), *["″"] * (len(images) - 1)])
    return markdown(["score", "choice", *(f"{n} images" for n in images)], lines, texts=2)


def kinds_table() -> str:
    """Tabulate the mean loss of layers chosen on 5 x 5 images, and of two constant rules, by kind of images."""
    kinds = {
        "glyphs": lambda pair: pair[0] in GLYPHS,
        "photos, four CNNs": lambda pair: pair[0] in PHOTOS and pair[1] != "ViT-S",
        "photos, ViT-S": lambda pair: pair[0] in PHOTOS and pair[1] == "ViT-S",
    }
    chosen, rows = read_losses(), []
    for score, name in SCORES.items():
        each = [chosen[score, (5, 5)], rule_losses(score, "last layer"), rule_losses(score, "two thirds")]
        for kind, wanted in kinds.items():
            own = [{pair: losses for pair, losses in of_rule.items() if wanted(pair)} for of_rule in each]
            rows.append([name, kind, *(f"{summarize(losses).mean:.3f}" for losses in own)])
    return markdown(["score", "images", "5 x 5 images", "last layer", "two thirds"], rows, texts=2)


def _cell(losses: Mapping[Pair, Losses] | None) -> str:
    if not losses:
        return "–"
    found = summarize(losses)
    return f"{found.mean:.3f} ({found.in_19_of_20:.2f})"


def records() -> Iterator[dict[str, object]]:
    """Yield what labels.json holds: a record for each score and cell, and for each rule.

    `mean_deepest` is the mean loss if ties go to the last of the layers that tie.
    """
    deepest = read_losses("deepest")
    for (score, (C, n)), losses in sorted(read_losses().items(), key=lambda item: item[0]):
        draws = {len(own) for own in losses.values()}
        ties = round(summarize(deepest[score, (C, n)]).mean, 4)
        yield (
            {"score": score, "classes": C, "images": n, "draws": min(draws)} | _rounded(losses) | {"mean_deepest": ties}
        )
    for score in SCORES:
        for rule in RULES:
            if losses := rule_losses(score, rule):
                yield {"score": score, "rule": rule} | _rounded(losses)


def _rounded(losses: Mapping[Pair, Losses]) -> dict[str, object]:
    return {name: round(value, 4) for name, value in summarize(losses)._asdict().items()}


def json_text() -> str:
    """Write labels.json: a line for each record."""
    lines = ",\n ".join(json.dumps(record) for record in records())
    return f"[\n {lines}\n]\n"


def statements() -> Iterator[str]:
    """Yield the words with numbers that docs/five-datasets.md must have, computed from the files."""
    losses, deepest = read_losses(), read_losses("deepest")
    found = {score: {cell: summarize(own) for (name, cell), own in losses.items() if name == score} for score in SCORES}
    rules = {rule: {score: rule_losses(score, rule) for score in SCORES} for rule in RULES}
    yield f"below the best one: {listed({score: own[5, 5].mean for score, own in found.items() if own})}"
    last, average = (
        {score: summarize(own).mean for score, own in rules[rule].items() if own}
        for rule in ("last layer", "best on average")
    )
    yield f"The last layer is further below: {listed(last)}"
    a, b, c = (found["map_at_r"][cell].mean for cell in ((2, 50), (5, 20), (10, 10)))
    yield f"in 2, 5 and 10 classes fall {a:.3f}, {b:.3f} and {c:.3f} short in MAP@R"
    a, b = found["nn1_accuracy"][2, 5].mean, summarize(rules["two thirds"]["nn1_accuracy"]).mean
    late = summarize(deepest["nn1_accuracy", (2, 5)]).mean
    yield f"With 2 x 5 images, 1-NN falls {a:.3f} short ({late:.3f} if the last tied layer is used, not the first)"
    yield f"and the layer at two thirds of the depth {b:.3f}"
    left = [found[score][10, 10].mean - average[score] for score in average]
    yield f"leave {min(left):.2f} to {max(left):.2f} to gain"


def listed(values: Mapping[str, float]) -> str:
    """Write a number for each score."""
    return ", ".join(
        f"{values[score]:.3f} in {NAMES.get(name, name)}" for score, name in SCORES.items() if score in values
    )


if __name__ == "__main__":
    print(labels_table(), *statements(), sep="\n")
    (HERE / "labels.json").write_text(json_text())
