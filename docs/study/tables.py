"""What choosing a layer gains, frozen and fine-tuned, at several sizes of input: every table, from the scores here.

Reads frozen.csv, tuned.csv, cells.csv and width.csv beside it and prints Markdown. It imports nothing of the project,
so that its numbers are an independent computation.

    python -m docs.study.tables

A layer is chosen by its mean score over all folds of unseen classes but one, and judged on the fold left out, and so
is every rule that it is compared with, on the same embeddings: L2-normalized, or unnormalized. A pair is a dataset and
a network. Means over datasets are of each dataset's mean over its networks, with Student's t over datasets.

Embeddings are L2-normalized unless unnormalized ones are better. The test was written down before the scores were
computed: by use, the score of unnormalized embeddings less that of L2-normalized ones, over the five datasets. They
stay unnormalized for a use if its lower end is above 0 at 95% after Bonferroni over the four uses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

HERE = Path(__file__).parent
GLYPHS, PHOTOS = ("handwriting", "calligraphy", "omniglot"), ("cifar100", "tinyimagenet")
NETWORKS = ("Lite0", "Lite1", "Lite2", "MobileNetV2", "ViT-S")
USES = {"classifier": "probe_accuracy", "retrieval": "map_at_r", "discovery": "nmi", "detection": "ood_auroc_knn"}
SCORES = {
    "probe": "probe_accuracy",
    "MAP@R": "map_at_r",
    "1-NN": "nn1_accuracy",
    "NMI": "nmi",
    "AUROC": "ood_auroc_knn",
}
TITLES = {score: name for name, score in SCORES.items()}
UNSCALED = ("probe_accuracy", "ood_auroc_knn")
"""Scores to which it makes no difference: the probe standardizes columns, detection always L2-normalizes."""

GOALS = {"probe_accuracy": 0.01, "nn1_accuracy": 0.01, "map_at_r": 0.015, "nmi": 0.02}
"""The regret that was set as a goal before the fine-tuned networks were run."""

BEFORE = "over the second-to-last layer"
"""Heading of the gain over a constant rule."""

TRAINED, BRIEFLY = 500, 100
"""Steps of fine-tuning: of the study, and of the default study's handwriting, which stands apart."""

SIZED, LARGE = ("Lite0", "Lite2", "MobileNetV2"), 224
"""Networks that were run, frozen, at their size of pre-training or near it (Lite2: 260 px), and that size in pixels."""

Curves = NDArray[np.float64]
"""(F, L) scores of F folds of unseen classes at L layers, in the order of depth."""

Pairs = Mapping[tuple[str, str], Curves]
"""Dataset and network -> curves."""


@cache
def read_scores(name: str) -> pd.DataFrame:
    """Read a table: dataset, network, step, fold, layer, depth, rows (raw or unit), score, value."""
    return pd.read_csv(HERE / name, dtype={"fold": str, "columns": str})


def read_tuned(pixels: Sequence[int] = (64, 98)) -> pd.DataFrame:
    """Read the scores of fine-tuned cells, before (step 0) and after, of networks with inputs of some sizes."""
    earlier = read_scores("tuned.csv").query("dataset != 'handwriting'").assign(input=64)
    both = pd.concat([earlier, read_scores("cells.csv").query("tuned")])
    return both[both["input"].isin(pixels)]


def read_sizes(networks: Sequence[str]) -> dict[int, pd.DataFrame]:
    """Read the scores of frozen networks by input in pixels."""
    own = [scores[scores["network"].isin(networks)] for scores in map(read_scores, ("frozen.csv", "cells.csv"))]
    return {64: own[0]} | {int(pixels): each for pixels, each in own[1].query("not tuned").groupby("input")}


def curves_of(scores: pd.DataFrame, score: str, rows: str, step: int | None = None) -> dict[tuple[str, str], Curves]:
    """One score of every pair with two folds or more, mean over seeds.

    Args:
        scores: as read.
        score: its name.
        rows: raw or unit; of a score that does not depend on rows, the same for both.
        step: the checkpoint; None: all there is.
    """
    own = scores[(scores["score"] == score) & (scores["rows"] == ("raw" if score in UNSCALED else rows))]
    own = own if step is None else own[own["step"] == step]
    means = own.groupby(["dataset", "network", "fold", "depth"])["value"].mean()
    found = {
        (str(dataset), str(network)): pair.to_numpy().reshape(pair.index.get_level_values("fold").nunique(), -1)
        for (dataset, network), pair in means.groupby(level=["dataset", "network"])
    }
    order = [pair for pair in product((*GLYPHS, *PHOTOS), NETWORKS) if pair in found]
    return {pair: found[pair] for pair in order if len(found[pair]) > 1}


def chosen_elsewhere(curves: Curves) -> NDArray[np.int64]:
    """The layer of the best mean over the other folds, of each fold, (F,)."""
    return np.array([np.delete(curves, fold, axis=0).mean(axis=0).argmax() for fold in range(len(curves))])


def reached(curves: Curves) -> NDArray[np.float64]:
    """Score of the layer chosen on the other folds, on each fold, (F,)."""
    return curves[np.arange(len(curves)), chosen_elsewhere(curves)]


def gain_over(layer: Callable[[int], int]) -> Callable[[Curves], float]:
    """What the choice gains over one layer, given by the index of the last; mean over folds."""
    return lambda curves: float((reached(curves) - curves[:, layer(curves.shape[1] - 1)]).mean())


def regret(curves: Curves) -> float:
    """What the choice loses to the best layer of each fold, which is chosen on the same images: slightly too large."""
    return float((curves.max(axis=1) - reached(curves)).mean())


def regret_at(curves: Curves, layer: int) -> float:
    """What one layer loses to the best layer of each fold."""
    return float((curves.max(axis=1) - curves[:, layer]).mean())


def random_gain(curves: Curves) -> float:
    """What the choice gains over a layer drawn at random."""
    return float((reached(curves) - curves.mean(axis=1)).mean())


LAYERS: dict[str, Callable[[int], int]] = {
    "last": lambda last: last,
    "one before": lambda last: last - 1,
    "two thirds": lambda last: round(last * 2 / 3),
}
"""Constant rules: a layer's index from that of the last."""

RULES: dict[str, Callable[[Curves], float]] = {name: gain_over(layer) for name, layer in LAYERS.items()}
RULES["random"] = random_gain


def best_elsewhere(pairs: Pairs, *, alike: bool = False) -> dict[tuple[str, str], int]:
    """Index of the layer of the best mean over the other datasets, by pair of a network that has others.

    Args:
        pairs: dataset and network -> curves.
        alike: whether other datasets are those of the same kind only, glyphs or photos.
    """
    found = {}
    for dataset, network in pairs:
        others = [
            own.mean(axis=0)
            for (name, each), own in pairs.items()
            if each == network and name != dataset and (not alike or (name in GLYPHS) == (dataset in GLYPHS))
        ]
        if others:
            found[dataset, network] = int(np.mean(others, axis=0).argmax())
    return found


def over_datasets(values: Mapping[tuple[str, str], float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean over datasets of their means over networks, and the ends of its interval, NaN of fewer than three."""
    datasets = list(dict.fromkeys(dataset for dataset, _ in values))
    means = np.array([np.mean([v for (name, _), v in values.items() if name == dataset]) for dataset in datasets])
    if len(means) < 3:
        return float(means.mean()) if len(means) else np.nan, np.nan, np.nan
    half = student.ppf((1 + level) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return float(means.mean()), float(means.mean() - half), float(means.mean() + half)


def mean_of(values: Mapping[tuple[str, str], float], datasets: Sequence[str]) -> float:
    """Mean over some datasets of their means over networks; NaN if there is none."""
    return over_datasets({pair: value for pair, value in values.items() if pair[0] in datasets})[0]


def signed(value: float) -> str:
    """Write a difference with its sign; ties of the last digit go by the exact number, not by its rounding error."""
    return "–" if np.isnan(value) else f"{round(value, 9) + 0.0:+.3f}"


def unsigned(value: float) -> str:
    """Write a score or a regret."""
    return "–" if np.isnan(value) else f"{round(value, 9):.3f}"


def bracketed(mean: float, low: float, high: float) -> str:
    """Write a mean with its interval, if it has one."""
    return signed(mean) if np.isnan(low) else f"{signed(mean)} [{signed(low)}, {signed(high)}]"


def joined(words: Sequence[str]) -> str:
    """Write words in a row, the last after "and"."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Write a table whose first columns are text."""
    lines = [heads, [*["---"] * texts, *["--:"] * (len(heads) - texts)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def gains_table(scores: pd.DataFrame) -> str:
    """What choosing gains over constant rules, L2-normalized, and over the last layer, unnormalized."""
    rows = []
    for name, score in SCORES.items():
        raw, unit = (curves_of(scores, score, rows_) for rows_ in ("raw", "unit"))
        over_last = {pair: RULES["last"](curves) for pair, curves in unit.items()}
        others = [over_datasets({pair: rule(c) for pair, c in unit.items()}) for rule in list(RULES.values())[1:]]
        rows.append(
            [
                name,
                bracketed(*over_datasets(over_last)),
                *(signed(mean_of(over_last, domain)) for domain in (GLYPHS, PHOTOS)),
                signed(over_datasets({pair: RULES["last"](c) for pair, c in raw.items()})[0]),
                *(bracketed(*found) for found in others),
                unsigned(over_datasets({pair: regret(c) for pair, c in unit.items()})[0]),
            ]
        )
    heads = ["score", "over the last layer", "glyphs", "photos", "unnormalized", BEFORE, "over two thirds"]
    return markdown([*heads, "over a random layer", "regret"], rows)


def pairs_table(scores: pd.DataFrame, score: str) -> str:
    """What choosing gains over the last layer, and over the one before it, of each pair of L2-normalized embeddings."""
    unit = curves_of(scores, score, "unit")
    networks = list(dict.fromkeys(network for _, network in unit))
    rows = [
        [dataset]
        + [
            "–"
            if (dataset, network) not in unit
            else " / ".join(signed(RULES[rule](unit[dataset, network])) for rule in ("last", "one before"))
            for network in networks
        ]
        for dataset in dict.fromkeys(dataset for dataset, _ in unit)
    ]
    return markdown(["dataset", *networks], rows)


def differences(scores: pd.DataFrame, score: str) -> dict[tuple[str, str], float]:
    """Score reached with unnormalized embeddings less that with L2-normalized embeddings, by pair."""
    raw, unit = (curves_of(scores, score, rows) for rows in ("raw", "unit"))
    return {pair: float((reached(raw[pair]) - reached(unit[pair])).mean()) for pair in unit}


def rows_table(scores: pd.DataFrame) -> str:
    """By score, what unnormalized embeddings reach less what L2-normalized ones do, with the interval that decides."""
    rows = []
    for name, score in SCORES.items():
        use = next((use for use, leading in USES.items() if leading == score), "")
        found = differences(scores, score)
        mean, low, high = over_datasets(found, level=1 - 0.05 / len(USES))
        words = "identical by definition" if score in UNSCALED else "unnormalized" if low > 0 else "L2-normalized"
        by_domain = [signed(mean_of(found, domain)) for domain in (GLYPHS, PHOTOS)]
        rows.append([name, use or "–", bracketed(mean, low, high), *by_domain, words if use else "–"])
    return markdown(["score", "leads", "unnormalized minus L2-normalized", "glyphs", "photos", "decides for"], rows)


def promise_table(scores: pd.DataFrame) -> str:
    """What all folds but one promise to gain over the last layer, and what the choice made on them gains on the last.

    The promise is the cross-validated gain within these folds, of L2-normalized embeddings. The naive promise is the
    gain of the chosen layer on the folds that chose it. All are means over folds.
    """
    rows = []
    for name, score in SCORES.items():
        promised, naive, gained = {}, {}, {}
        for pair, curves in curves_of(scores, score, "unit").items():
            if len(curves) < 3:
                continue
            each = [np.delete(curves, fold, axis=0) for fold in range(len(curves))]
            promised[pair] = float(np.mean([RULES["last"](others) for others in each]))
            naive[pair] = float(np.mean([(own := others.mean(axis=0)).max() - own[-1] for others in each]))
            gained[pair] = RULES["last"](curves)
        missed = [subtract(gained, each) for each in (promised, naive)]
        means = [signed(over_datasets(each)[0]) for each in (promised, naive, gained)]
        rows.append([name, *means, *(bracketed(*over_datasets(each)) for each in missed)])
    heads = ["promised", "naively", "gained", "gained minus promised", "gained minus naively promised"]
    return markdown(["score", *heads], rows)


def tuned_table(scores: pd.DataFrame) -> str:
    """What choosing gains over the last layer before and after fine-tuning, by pair and over datasets."""
    found = {score: [gains_at(scores, score, step) for step in (0, TRAINED)] for score in SCORES.values()}
    folds = {pair: len(curves) for pair, curves in curves_of(scores, SCORES["probe"], "unit", TRAINED).items()}
    rows = [
        [*pair, str(n), *(" → ".join(signed(each.get(pair, np.nan)) for each in found[score]) for score in found)]
        for pair, n in folds.items()
    ]
    brief = read_scores("tuned.csv").query("dataset == 'handwriting'")
    ends = [[*gains_at(brief, score, step).values(), np.nan][0] for score in found for step in (0, BRIEFLY)]
    cells = [f"{signed(before)} → {signed(after)}" for before, after in zip(ends[::2], ends[1::2], strict=True)]
    rows.append([f"handwriting, {BRIEFLY} steps", "Lite0", "4", *cells])
    means = [" → ".join(signed(over_datasets(each)[0]) for each in found[score]) for score in found]
    changes = [over_datasets(subtract(after, before)) for before, after in found.values()]
    rows += [["mean of datasets", "", "", *means], ["change", "", "", *(bracketed(*change) for change in changes)]]
    return markdown(["dataset", "network", "folds", *SCORES], rows, texts=2)


def gains_at(scores: pd.DataFrame, score: str, step: int) -> dict[tuple[str, str], float]:
    """What choosing gains over the last layer at a checkpoint, of L2-normalized embeddings."""
    return {pair: RULES["last"](curves) for pair, curves in curves_of(scores, score, "unit", step).items()}


def subtract(
    one: Mapping[tuple[str, str], float], other: Mapping[tuple[str, str], float]
) -> dict[tuple[str, str], float]:
    """Differences of what both have."""
    return {pair: one[pair] - other[pair] for pair in one if pair in other}


def height(curves: Curves, layer: Callable[[int], int] | None) -> float:
    """Mean score over folds of one layer, or of the chosen ones."""
    return float(reached(curves).mean() if layer is None else curves[:, layer(curves.shape[1] - 1)].mean())


def within(curves: Curves, tolerance: float = 0.01) -> NDArray[np.bool_]:
    """Whether a layer's mean over folds comes within a tolerance of the best layer's, (L,)."""
    means = curves.mean(axis=0)
    return np.asarray(means >= means.max() - tolerance)


def transfer_table(frozen: pd.DataFrame, tuned: pd.DataFrame) -> str:
    """What the layer that is best on all other datasets, or on those of the same kind, gains over the last layer."""
    rows = []
    for kind, scores, step in (("frozen", frozen, 0), ("fine-tuned", tuned, TRAINED)):
        for name, score in SCORES.items():
            pairs = curves_of(scores, score, "unit", step)
            cells = []
            for alike in (False, True):
                layers = best_elsewhere(pairs, alike=alike)
                gains = {pair: float((pairs[pair][:, at] - pairs[pair][:, -1]).mean()) for pair, at in layers.items()}
                lost = {pair: regret_at(pairs[pair], at) for pair, at in layers.items()}
                cells += [str(len(layers)), bracketed(*over_datasets(gains)), unsigned(over_datasets(lost)[0])]
            own = over_datasets({pair: regret(curves) for pair, curves in pairs.items()})[0]
            if pairs:
                rows.append([name, kind, *cells, unsigned(own)])
    heads = ["pairs", "all others: gain over the last", "regret", "pairs", "same kind: gain over the last", "regret"]
    return markdown(["score", "networks", *heads, "regret of the choice"], rows, texts=2)


def layers_table(frozen: pd.DataFrame, tuned: pd.DataFrame) -> str:
    """The layer of the best mean over folds, counted from 1, of each pair, by every score in turn."""
    rows = []
    for kind, scores, step in (("frozen", frozen, 0), ("fine-tuned", tuned, TRAINED)):
        found = {score: curves_of(scores, score, "unit", step) for score in GOALS}
        pairs = found["map_at_r"]
        for dataset in dict.fromkeys(name for name, _ in pairs):
            cells = []
            for network in NETWORKS:
                each = [curves[dataset, network] for curves in found.values() if (dataset, network) in curves]
                best = ", ".join(str(curves.mean(axis=0).argmax() + 1) for curves in each)
                cells.append(f"{best} of {each[0].shape[1]}" if each else "–")
            rows.append([dataset, kind, *cells])
    return markdown(["dataset", "networks", *NETWORKS], rows, texts=2)


def curves_by_size(score: str, networks: Sequence[str]) -> dict[int, dict[tuple[str, str], Curves]]:
    """One score of frozen networks by size of input, of the pairs that have all folds at that size."""
    found = {pixels: curves_of(scores, score, "unit") for pixels, scores in read_sizes(networks).items()}
    small = found[64]
    return {
        pixels: {pair: curves for pair, curves in each.items() if len(curves) == len(small[pair])}
        for pixels, each in found.items()
    }


def enlarged_table() -> str:
    """What a larger input changes, mean over frozen networks, glyphs / photos, of L2-normalized embeddings."""
    rows = []
    for name, score in SCORES.items():
        found = curves_by_size(score, SIZED)
        small, large = found[64], found[LARGE]
        last = LAYERS["last"]
        values = [
            {pair: RULES["last"](small[pair]) for pair in large},
            {pair: RULES["last"](large[pair]) for pair in large},
            {pair: height(large[pair], last) - height(small[pair], last) for pair in large},
            {pair: height(large[pair], None) - height(small[pair], None) for pair in large},
            {pair: height(small[pair], None) - height(large[pair], last) for pair in large},
        ]
        rows.append(
            [name, *(" / ".join(signed(mean_of(each, domain)) for domain in (GLYPHS, PHOTOS)) for each in values)]
        )
    heads = ["gain at 64 px", f"gain at {LARGE} px", "last layer rises by", "chosen layer rises by"]
    return markdown(["score", *heads, f"chosen at 64 px minus last at {LARGE} px"], rows)


def random_curves(score: str) -> list[dict[tuple[str, str], Curves]]:
    """One score of fold 0 at every layer, pre-trained and with random weights, of the pairs that have both."""
    found = []
    cells = read_scores("cells.csv")
    random = cells[cells["network"].str.endswith(", random")]
    for scores in (read_scores("frozen.csv"), random.assign(network=random["network"].str.removesuffix(", random"))):
        own = scores[(scores["fold"] == "0") & (scores["score"] == score)]
        own = own[own["rows"] == ("raw" if score in UNSCALED else "unit")].sort_values("depth")
        found.append({pair: each["value"].to_numpy() for pair, each in own.groupby(["dataset", "network"])})
    return [{pair: found[i][pair] for pair in found[1]} for i in range(2)]


def width_table(widths: pd.DataFrame) -> str:
    """MAP@R gained over the last layer where every layer is reduced to as many principal columns, by dataset."""
    columns = list(dict.fromkeys(widths["columns"]))
    rows = []
    for (step, dataset), own in widths.groupby(["step", "dataset"], sort=False):
        for kind in ("raw", "unit"):
            row = [
                f"{dataset}, {'frozen' if step == 0 else 'fine-tuned'}",
                "L2-normalized" if kind == "unit" else "unnormalized",
            ]
            for columns_ in columns:
                part = own[(own["columns"] == columns_) & (own["rows"] == kind)]
                row.append(signed(RULES["last"](part.pivot_table("value", "fold", "depth").to_numpy())))
            rows.append(row)
    return markdown(
        ["network", "embeddings", *(f"{c} columns" if c != "all" else "all columns" for c in columns)], rows
    )


def tables() -> Iterator[tuple[str, str]]:
    """Yield every table with its heading."""
    frozen, tuned, widths = read_scores("frozen.csv"), read_tuned(), read_scores("width.csv")
    after = tuned[tuned["step"] == TRAINED]
    yield "what choosing gains", gains_table(frozen)
    for name in ("probe", "MAP@R"):
        yield f"pairs, {name}", pairs_table(frozen, SCORES[name])
    yield "which layer", layers_table(frozen, tuned)
    yield "unnormalized or L2-normalized", rows_table(frozen)
    yield "promise and outcome", promise_table(frozen)
    yield "what choosing gains after fine-tuning", gains_table(after)
    yield "before and after training", tuned_table(tuned)
    yield "best on the other datasets", transfer_table(frozen, tuned)
    yield "size of input", enlarged_table()
    yield "reduced to equal width", width_table(widths)


if __name__ == "__main__":
    for heading, table in tables():
        print(f"## {heading}\n\n{table}\n")
