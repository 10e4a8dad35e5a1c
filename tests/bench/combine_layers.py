"""Do two or three layers together separate unseen classes better than the best single one? Measured, not assumed.

A combination is the concatenation of layers, each image's vector of each scaled to length 1. For every fold in turn:
the single layer, the scaled single layer and the combination are chosen by their mean over the other folds, and scored
on the fold left out. Combinations are all pairs and triples of the four layers that are best on the other folds. So no
choice sees the classes on which it is scored.

    python -m tests.bench.combine_layers data/embeddings/handwriting/efficientnet_lite0

The argument holds <fold>/<seed>/ for three folds or more; all scores are those of the unseen split at the last step.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
from tabulate import tabulate
from threadpoolctl import threadpool_limits

from stages.core.scores.catalogue import LAYER_SCORES, needs_of
from stages.core.scores.embedded_split import EmbeddedSplit, unit_rows
from stages.measure.cell import settings_of
from stages.measure.params import MeasureParams
from stages.shared.embeddings.embedding_store import Embeddings, open_embeddings
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.runtime.progress import progress
from stages.shared.workflow.params import read_section

SHORTLIST = 4
SINGLE, SCALED = "single", "single, scaled"
HEADERS = ["score", "kind", "mean", f"less {SINGLE}", f"less {SCALED}", "better in", "chosen"]
Scaled = tuple[str, ...]
"""Names of layers that are scaled and joined; of a single layer as it is, none of it is scaled: `("", name)`."""


@dataclass
class Fold:
    """One fold's scores, each computed when it is first asked for.

    Attributes:
        store: its embeddings.
        params: the `measure` section.
    """

    store: Embeddings
    params: MeasureParams
    known: dict[tuple[Scaled, str], float] = field(default_factory=dict)

    @cached_property
    def layers(self) -> list[str]:
        """Names of the layers, without raw pixels, in order of depth."""
        return [layer.name for layer in self.store.layers if layer.depth >= 0]

    def score(self, layers: Scaled, metric: str) -> float:
        """Score an embedding of the unseen images."""
        if (layers, metric) not in self.known:
            y = np.unique(self.store.labels(UNSEEN), return_inverse=True)[1]
            split = EmbeddedSplit(
                self._joined(layers), y, settings_of(self.store, UNSEEN, self.params), needs=needs_of([metric])
            )
            self.known[layers, metric] = LAYER_SCORES[metric].score(split).value
        return self.known[layers, metric]

    def _joined(self, layers: Scaled) -> np.ndarray:
        by_name = {layer.name: layer for layer in self.store.layers}
        found = [self.store.features(by_name[name], self.store.steps[-1], UNSEEN) for name in layers if name]
        return found[0] if layers[0] == "" else np.concatenate([unit_rows(X) for X in found], axis=1)


def kinds(layers: Sequence[str], shortlist: Sequence[str]) -> dict[str, list[Scaled]]:
    """What is compared: the candidates of each kind."""
    ordered = [name for name in layers if name in shortlist]
    found: dict[str, list[Scaled]] = {
        SINGLE: [("", name) for name in layers],
        SCALED: [(name,) for name in layers],
        "two": list(combinations(ordered, 2)),
        "three": list(combinations(ordered, 3)),
        "all": [tuple(layers)],
        "last": [("", layers[-1])],
    }
    return {kind: candidates for kind, candidates in found.items() if candidates}


def compare(folds: Sequence[Fold], metric: str) -> Iterator[tuple[str, Scaled, float]]:
    """Yield for every fold left out, and every kind, what was chosen on the others and what it scores there."""
    for left_out in folds:
        others = [fold for fold in folds if fold is not left_out]

        def mean(layers: Scaled, others: Sequence[Fold] = others) -> float:
            return float(np.mean([fold.score(layers, metric) for fold in others]))

        best_first = sorted(left_out.layers, key=lambda name: -mean(("", name)))
        for kind, candidates in kinds(left_out.layers, best_first[:SHORTLIST]).items():
            chosen = max(candidates, key=mean)
            yield kind, chosen, left_out.score(chosen, metric)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path, help="holds <fold>/<seed>/ of one dataset and network")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--seed", default="0")
    parser.add_argument("--metrics", nargs="+", default=["nmi", "knn_purity", "nn1_accuracy", "probe_accuracy"])
    args = parser.parse_args()
    params = read_section(args.params, "measure", MeasureParams)
    paths = sorted(path / args.seed for path in args.network.iterdir() if path.name.isdecimal())
    folds = [Fold(open_embeddings(path), params) for path in paths]
    rows = []
    with threadpool_limits(1):
        for metric in progress(args.metrics, total=len(args.metrics), what="combine", unit="score"):
            rows += tabulated(metric, list(compare(folds, metric)))
    print(tabulate(rows, headers=HEADERS, tablefmt="pipe", disable_numparse=True))


def tabulated(metric: str, found: Sequence[tuple[str, Scaled, float]]) -> list[list[str]]:
    """One row for each kind: its mean over the folds left out, and its differences from the single layer's.

    Differences are means over folds ± their standard deviation; `better in` counts folds against the scaled layer.
    """
    values: dict[str, list[float]] = {}
    chosen: dict[str, dict[str, None]] = {}
    for kind, layers, value in found:
        values.setdefault(kind, []).append(value)
        chosen.setdefault(kind, {})[" + ".join(filter(None, layers)) if kind != "all" else "all"] = None
    rows = []
    for kind, each in values.items():
        less = [np.array(each) - np.array(values[other]) for other in (SINGLE, SCALED)]
        differences = [f"{of.mean():+.3f} ± {of.std(ddof=1):.3f}" for of in less]
        better = f"{(less[1] > 0).sum()} of {len(each)}"
        rows.append([metric, kind, f"{np.mean(each):.3f}", *differences, better, "; ".join(chosen[kind])])
    return rows


if __name__ == "__main__":
    main()
