"""What choosing a layer gains on networks that are not fine-tuned: every table, from the scores in this folder.

Reads frozen.csv, tuned.csv and width.csv beside it and prints Markdown. It imports nothing of the project, so that its
numbers are an independent computation.

    python docs/evidence/tables.py

A layer is chosen by its mean score over all folds of unseen classes but one, and judged on the fold left out, and so
is every rule that it is compared with, in the same rows: raw, or scaled to length 1. A pair is a dataset and a network.
Means over datasets are of each dataset's mean over its networks, with Student's t over datasets.

Rows of length 1 are the default unless raw rows are better. The test was written down before the scores were computed:
by use, the score reached with raw rows less that with rows of length 1, over the five datasets, and raw rows stay for a
use if the lower end of that difference is above 0 at 95 % after Bonferroni over the four uses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

HERE = Path(__file__).parent
GLYPHS, PHOTOS = ("handwriting", "calligraphy", "omniglot"), ("cifar100", "tinyimagenet")
USES = {"classifier": "probe_accuracy", "retrieval": "map_at_r", "discovery": "nmi", "detection": "ood_auroc_knn"}
SCORES = {
    "probe": "probe_accuracy",
    "MAP@R": "map_at_r",
    "1-NN": "nn1_accuracy",
    "NMI": "nmi",
    "AUROC": "ood_auroc_knn",
}
UNSCALED = ("probe_accuracy", "ood_auroc_knn")
"""Scores to which it makes no difference: the probe standardizes columns, detection always has rows of length 1."""

Curves = NDArray[np.float64]
"""(F, L) scores of F folds of unseen classes at L layers, in the order of depth."""

Pairs = Mapping[tuple[str, str], Curves]
"""Dataset and network -> curves."""


def read_scores(name: str) -> pd.DataFrame:
    """Read a table: dataset, network, step, fold, layer, depth, rows (raw or unit), score, value."""
    return pd.read_csv(HERE / name, dtype={"fold": str, "columns": str})


def curves_of(scores: pd.DataFrame, score: str, rows: str) -> dict[tuple[str, str], Curves]:
    """One score of every pair, mean over seeds; of a score that does not depend on rows, the same for both."""
    own = scores[(scores["score"] == score) & (scores["rows"] == ("raw" if score in UNSCALED else rows))]
    return {
        (str(dataset), str(network)): pair.pivot_table("value", "fold", "depth").to_numpy()
        for (dataset, network), pair in own.groupby(["dataset", "network"], sort=False)
    }


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


def random_gain(curves: Curves) -> float:
    """What the choice gains over a layer drawn at random."""
    return float((reached(curves) - curves.mean(axis=1)).mean())


RULES: dict[str, Callable[[Curves], float]] = {
    "last": gain_over(lambda last: last),
    "one before": gain_over(lambda last: last - 1),
    "two thirds": gain_over(lambda last: round(last * 2 / 3)),
    "random": random_gain,
}


def over_datasets(values: Mapping[tuple[str, str], float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean over datasets of their means over networks, and the ends of its interval."""
    datasets = list(dict.fromkeys(dataset for dataset, _ in values))
    means = np.array([np.mean([v for (name, _), v in values.items() if name == dataset]) for dataset in datasets])
    half = student.ppf((1 + level) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return float(means.mean()), float(means.mean() - half), float(means.mean() + half)


def mean_of(values: Mapping[tuple[str, str], float], datasets: Sequence[str]) -> float:
    """Mean over some datasets of their means over networks."""
    return float(np.mean([np.mean([v for (name, _), v in values.items() if name == each]) for each in datasets]))


def signed(value: float) -> str:
    """Write a difference with its sign; never -0.000."""
    return f"{value:+.3f}".replace("-0.000", "+0.000")


def bracketed(mean: float, low: float, high: float) -> str:
    """Write a mean with its interval."""
    return f"{signed(mean)} [{signed(low)}, {signed(high)}]"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table whose first column is text."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def gains_table(scores: pd.DataFrame) -> str:
    """What choosing gains over constant rules, in rows of length 1, and over the last layer in raw rows."""
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
                f"{over_datasets({pair: regret(c) for pair, c in unit.items()})[0]:.3f}",
            ]
        )
    heads = ["score", "over the last layer", "glyphs", "photos", "raw rows", "over the one before", "over two thirds"]
    return markdown([*heads, "over a random layer", "regret"], rows)


def short_table(scores: pd.DataFrame) -> str:
    """The first columns of `gains_table`, by use: what choosing gains over the last layer, and over the one before."""
    rows = []
    for use, score in USES.items():
        unit = curves_of(scores, score, "unit")
        last, before = ({pair: RULES[rule](c) for pair, c in unit.items()} for rule in ("last", "one before"))
        name = next(name for name, each in SCORES.items() if each == score)
        by_domain = [signed(mean_of(last, domain)) for domain in (GLYPHS, PHOTOS)]
        rows.append([f"{use} ({name})", *by_domain, bracketed(*over_datasets(last)), bracketed(*over_datasets(before))])
    return markdown(["gain over the last layer", "glyphs", "photos", "all five", "over the layer before it"], rows)


def pairs_table(scores: pd.DataFrame, score: str) -> str:
    """What choosing gains over the last layer, and over the one before it, of each pair in rows of length 1."""
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
    """Score reached with raw rows less that with rows of length 1, by pair."""
    raw, unit = (curves_of(scores, score, rows) for rows in ("raw", "unit"))
    return {pair: float((reached(raw[pair]) - reached(unit[pair])).mean()) for pair in unit}


def rows_table(scores: pd.DataFrame) -> str:
    """By score, what raw rows reach less what rows of length 1 reach, with the interval that decides."""
    rows = []
    for name, score in SCORES.items():
        use = next((use for use, leading in USES.items() if leading == score), "")
        found = differences(scores, score)
        mean, low, high = over_datasets(found, level=1 - 0.05 / len(USES))
        words = "no difference" if score in UNSCALED else "raw rows stay" if low > 0 else "rows of length 1"
        by_domain = [signed(mean_of(found, domain)) for domain in (GLYPHS, PHOTOS)]
        rows.append([name, use or "–", bracketed(mean, low, high), *by_domain, words if use else "–"])
    return markdown(["score", "leads", "raw less length 1", "glyphs", "photos", "decides for"], rows)


def promise_table(scores: pd.DataFrame) -> str:
    """What all folds but one promise to gain over the last layer, and what the choice made on them gains on the last.

    The promise is the cross-validated gain within these folds, in rows of length 1; both are means over folds.
    """
    rows = []
    for name, score in SCORES.items():
        promised, gained = {}, {}
        for pair, curves in curves_of(scores, score, "unit").items():
            each = [np.delete(curves, fold, axis=0) for fold in range(len(curves))]
            promised[pair] = float(np.mean([RULES["last"](others) for others in each]))
            gained[pair] = RULES["last"](curves)
        missed = {pair: gained[pair] - promised[pair] for pair in promised}
        rows.append(
            [name, *(signed(over_datasets(v)[0]) for v in (promised, gained)), bracketed(*over_datasets(missed))]
        )
    return markdown(["score", "promised", "gained", "gained less promised"], rows)


def tuned_table(scores: pd.DataFrame) -> str:
    """What choosing gains over the last layer before and after training, raw rows → rows of length 1."""
    rows = []
    for name, score in SCORES.items():
        row = [name]
        for _, own in scores.groupby("step", sort=True):
            for dataset in dict.fromkeys(own["dataset"]):
                both = [curves_of(own[own["dataset"] == dataset], score, kind) for kind in ("raw", "unit")]
                row.append(" → ".join(signed(RULES["last"](next(iter(c.values())))) for c in both) if both[0] else "–")
        rows.append(row)
    heads = [
        f"{dataset}, {'frozen' if step == 0 else 'fine-tuned'}"
        for step, own in scores.groupby("step", sort=True)
        for dataset in dict.fromkeys(own["dataset"])
    ]
    return markdown(["score", *heads], rows)


def tuned_rows_table(scores: pd.DataFrame) -> str:
    """By score and dataset, what raw rows reach less what rows of length 1 reach after training."""
    last = scores[scores["step"] > 0]
    datasets = list(dict.fromkeys(last["dataset"]))
    rows = [
        [name, *(signed(mean_of(differences(last, score), [dataset])) for dataset in datasets)]
        for name, score in SCORES.items()
        if score not in UNSCALED and score in set(last["score"])
    ]
    return markdown(["score", *datasets], rows)


def width_table(widths: pd.DataFrame) -> str:
    """MAP@R gained over the last layer where every layer is reduced to as many principal columns, by dataset."""
    columns = list(dict.fromkeys(widths["columns"]))
    rows = []
    for (step, dataset), own in widths.groupby(["step", "dataset"], sort=False):
        for kind in ("raw", "unit"):
            row = [f"{dataset}, {'frozen' if step == 0 else 'fine-tuned'}", "length 1" if kind == "unit" else "raw"]
            for columns_ in columns:
                part = own[(own["columns"] == columns_) & (own["rows"] == kind)]
                row.append(signed(RULES["last"](part.pivot_table("value", "fold", "depth").to_numpy())))
            rows.append(row)
    return markdown(["network", "rows", *(f"{c} columns" if c != "all" else "all columns" for c in columns)], rows)


def tables() -> Iterator[tuple[str, str]]:
    """Yield every table with its heading."""
    frozen, tuned, widths = (read_scores(f"{name}.csv") for name in ("frozen", "tuned", "width"))
    yield "what choosing gains", gains_table(frozen)
    for name, score in SCORES.items():
        yield f"gain by pair, {name}", pairs_table(frozen, score)
    yield "raw rows or rows of length 1", rows_table(frozen)
    yield "promise and outcome", promise_table(frozen)
    yield "before and after training", tuned_table(tuned)
    yield "raw rows or rows of length 1, after training", tuned_rows_table(tuned)
    yield "reduced to equal width", width_table(widths)


if __name__ == "__main__":
    for heading, table in tables():
        print(f"## {heading}\n\n{table}\n")
