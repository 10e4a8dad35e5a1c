"""Fine-tuning beside representations: what each reaches on the same unseen classes, and what both do together.

    python -m docs.study.fine_tuned EMBEDDINGS   # adds what is embedded to fine_tuned.csv, in place of older rows
    python -m docs.study.fine_tuned              # prints the table

EMBEDDINGS is the folder `data/embeddings` of a study with `params/tuned.yaml`: it has the cells
`DATASET/MODEL/FOLD/0` of `SIZES`, with the splits `test` and `unseen` before and after fine-tuning.

Recipes are fitted to test images of the fold's seen classes, on which no network was trained. What is judged is MAP@R
in the gallery of the fold's unseen classes, with at most 100 images per class. For each fold we choose by the mean of
the other folds, fitted without the judged fold's classes. The networks of these other folds were fine-tuned on them.
What was chosen so is scored by a linear probe, too.
The analysis `representations` of such a study differs in two ways: it scores all images, and the other folds' recipes
are fitted to the judged fold's classes, too.
"""

import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from docs.study.labels import Matrix
from docs.study.tables import joined, markdown, signed, unsigned
from stages.core.representations.candidates import Candidate
from stages.core.representations.choice import judge_classes, list_sources
from stages.core.representations.judging import Fit
from stages.core.representations.uses import PROBE_C, PROBE_FOLDS, SEED
from stages.core.scores.probe import held_out_scores
from stages.shared.embeddings.embedding_store import open_embeddings

TABLE = Path(__file__).with_name("fine_tuned.csv")
NETWORK, SIZES = "Lite0", {"efficientnet_lite0": 64, "lite0_128": 128}
"""Models of the parameters -> pixels of the input."""
STEPS = {0: "pre-trained", 500: "fine-tuned"}
FEATURES = ("last layer", "chosen layer", "chosen representation")
IMAGES = 100
"""Of an unseen class, at most."""


class Fold:
    """One fold's network at one step: embeddings of the seen classes' test images, and of the unseen classes."""

    def __init__(self, path: Path, step: int) -> None:
        store = open_embeddings(path)
        own = [layer for layer in store.layers if layer.depth >= 0 and layer.name == layer.module]
        kept = pd.Series(store.labels("unseen"))
        rows = np.flatnonzero(kept.groupby(kept).cumcount() < IMAGES)
        self.layers: dict[str, Matrix] = {
            layer.name: np.concatenate(
                [store.features(layer, step, "unseen")[rows], store.features(layer, step, "test")]
            )
            for layer in own
        }
        self.labels = np.concatenate([store.labels("unseen")[rows], store.labels("test")])
        self.unseen = np.unique(self.labels[: len(rows)])

    def score(self, left_out: NDArray[np.str_]) -> dict[Candidate, float]:
        """Return MAP@R of every representation on the unseen classes, fitted without some of the seen ones."""
        kept = np.isin(self.labels, self.unseen) | ~np.isin(self.labels, left_out)
        layers = {name: X[kept] for name, X in self.layers.items()}
        found = judge_classes(layers, self.labels[kept], self.unseen.tolist())
        return dict(zip(found.candidates, found.class_scores.mean(axis=1), strict=True))

    def probe(self, candidates: Sequence[Candidate]) -> dict[Candidate, float]:
        """Return the linear probe's accuracy of some representations on the unseen classes."""
        judged = np.isin(self.labels, self.unseen)
        rows, y = np.flatnonzero(judged), np.unique(self.labels, return_inverse=True)[1]
        own, found = np.unique(y[rows], return_inverse=True)[1], {}
        for source, members in list_sources(self.layers, dict.fromkeys(self.layers, ""), candidates, y):
            for number, X in Fit(source, np.flatnonzero(~judged)).vectors(rows):
                scores = held_out_scores(X.astype(np.float32), own, C=PROBE_C, folds=PROBE_FOLDS, seed=SEED)
                found[candidates[members[number]]] = float((scores.argmax(axis=1) == own).mean())
        return found


def of_dataset(cells: Path, step: int) -> list[dict[str, object]]:
    """Return a row for each fold and feature at one step; of a single fold, which has no choice, the last layer's."""
    folds = {path.parent.name: Fold(path, step) for path in sorted(cells.glob("*/0"))}
    rows = []
    for name, fold in folds.items():
        own = fold.score(fold.unseen)
        others = pd.DataFrame([each.score(fold.unseen) for key, each in folds.items() if key != name]).mean()
        singles = [each for each in own if (each.join, each.recipe) == ("single", "plain")]
        chosen = [singles[-1]]
        if len(others):
            chosen += [max(among, key=others.__getitem__) for among in (singles, own)]
        probed = fold.probe([*dict.fromkeys(chosen)])
        for feature, candidate in zip(FEATURES, chosen, strict=False):
            rows.append(
                {
                    "fold": name,
                    "step": step,
                    "feature": feature,
                    "join": candidate.join,
                    "recipe": candidate.recipe,
                    "layer": candidate.arrays[-1],
                    "unseen": len(fold.unseen),
                    "seen": len(np.unique(fold.labels)) - len(fold.unseen),
                    "map_at_r": own[candidate],
                    "probe_accuracy": probed[candidate],
                }
            )
    return rows


def run(embeddings: Path) -> None:
    """Judge all cells and write the table."""
    rows = [
        {"dataset": path.parent.name, "network": NETWORK, "size": size} | row
        for model, size in SIZES.items()
        for path, step in product(sorted(embeddings.glob(f"*/{model}")), STEPS)
        for row in of_dataset(path, step)
    ]
    keys = ["dataset", "size"]
    found, before = pd.DataFrame(rows), pd.read_csv(TABLE)
    kept = before[~before.set_index(keys).index.isin(found.set_index(keys).index)]
    every = pd.concat([kept, found]).sort_values(keys, kind="stable")
    every.to_csv(TABLE, index=False, float_format="%.6f")


def means(score: str = "map_at_r") -> pd.DataFrame:
    """Return means over folds, of two at least: a row for each step and feature, a column for each size and dataset."""
    found = pd.read_csv(TABLE).groupby(["step", "feature", "size", "dataset"])[score].mean()
    return found.unstack(["size", "dataset"]).dropna(axis=1).sort_index(axis=1).loc[[*product(STEPS, FEATURES)]]


def tuned_table() -> str:
    """Tabulate MAP@R and the probe's accuracy of every feature, before and after fine-tuning."""
    found, probed = means(), means("probe_accuracy")
    folds = pd.read_csv(TABLE).groupby(["size", "dataset"])["fold"].nunique()
    rows = []
    for step, feature in product(STEPS, FEATURES):
        both = zip(found.loc[(step, feature)], probed.loc[(step, feature)], strict=True)
        rows.append([f"{feature}, {STEPS[step]}", *(f"{unsigned(one)} / {unsigned(other)}" for one, other in both)])
    heads = [f"{name}, {size} px, {folds[size, name]} folds" for size, name in found.columns.to_frame().to_numpy()]
    return markdown(["MAP@R / probe", *heads], rows)


def tuned_answer() -> str:
    """Say what fine-tuning gains, what a frozen representation does, and what both do, at each size."""
    every, most = means(), max(STEPS)
    reached = {
        f"fine-tuning ({most} steps) gains": (most, "last layer"),
        "a frozen representation": (0, "chosen representation"),
        "both": (most, "chosen representation"),
    }
    told, names = [], [*every.columns.unique("dataset")]
    for size in every.columns.unique("size"):
        own = every[size][names]
        gains = [joined([signed(gain) for gain in own.loc[at] - own.loc[(0, "last layer")]]) for at in reached.values()]
        parts = gains if told else [f"{words} {each}" for words, each in zip(reached, gains, strict=True)]
        told.append(f"at {size} px {', '.join(parts)}")
    folds = pd.read_csv(TABLE).groupby(["size", "dataset"])["fold"].nunique().min()
    return f"Over the pre-trained last layer on {joined(names)} ({folds} folds each), {'; '.join(told)}."


if __name__ == "__main__":
    if sys.argv[1:]:
        run(Path(sys.argv[1]))
    print(f"{tuned_answer()}\n\n{tuned_table()}")
