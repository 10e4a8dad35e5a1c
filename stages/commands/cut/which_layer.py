"""Which layer of a network is meant: a name, or what the workflow's results say of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stages.aggregate.curves import MEAN
from stages.aggregate.recommend.schema import read_recommendations
from stages.aggregate.tables.summary import read_summary
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.runtime.errors import UserError, nearest

LAST = "last"


@dataclass(frozen=True)
class Choice:
    """A module's output under a pooling.

    Attributes:
        module: its path.
        pooling: of its embedding; a curve's may join several, `class_token+mean`.
        step: the checkpoint at which it was chosen; None: whichever is asked for.
    """

    module: str
    pooling: str
    step: int | None = None


def choose_layer(store: Embeddings, wanted: str, results: Path) -> tuple[Layer, int | None]:
    """Find the layer of an embedding store that is meant, and the checkpoint if it was chosen with it.

    Args:
        store: of the cell.
        wanted: `recommended` (layer and checkpoint of recommendation.json), `best` (the best by the main score over all
            folds, at the last checkpoint, as summary.csv says), `last` (in its main pooling), or the name of a layer in
            the store.
        results: the folder that the aggregate stage wrote.

    Raises:
        UserError: there is no such layer, or there are no results that say which.
    """
    layers = {layer.name: layer for layer in store.layers if layer.module}  # not the raw pixels
    if wanted in layers:
        return layers[wanted], None
    if wanted == LAST:
        return min(layers.values(), key=lambda layer: -layer.depth), None  # the first of its poolings
    if wanted not in CHOOSE:
        raise UserError(
            f"--layer: {wanted!r} must be {', '.join(CHOOSE)}, {LAST} or a layer of {store.dataset}, {store.model}: "
            f"{nearest(wanted, layers)}"
        )
    choice = CHOOSE[wanted](results, store.dataset, store.model)
    return _embedding(list(layers.values()), choice), choice.step


def best_layer(results: Path, dataset: str, model: str) -> Choice:
    """Read which layer is best by the main score, over all folds, at the last checkpoint."""
    rows = [
        row
        for row in read_summary(results / "summary.csv")
        if (row.dataset, row.model, row.main, row.fold) == (dataset, model, True, MEAN)
    ]
    if not rows:
        raise _not_in("summary.csv", dataset, model)
    row = max(rows, key=lambda row: -row.unseen if row.lower_is_better else row.unseen)
    return Choice(row.best_layer, row.pooling)


def recommended_layer(results: Path, dataset: str, model: str) -> Choice:
    """Read which layer is recommended, at which checkpoint."""
    path = results / "recommendation.json"
    found = [each for each in read_recommendations(path) if (each.dataset, each.model) == (dataset, model)]
    if not found:
        raise _not_in(path.name, dataset, model)
    (recommendation,) = found
    chosen = recommendation.recommended
    if chosen is None:
        raise UserError(f"no layer of {dataset}, {model} is recommended: {recommendation.reason}; name one (--layer)")
    return Choice(chosen.layer, chosen.pooling, chosen.step)


CHOOSE: dict[str, Callable[[Path, str, str], Choice]] = {"recommended": recommended_layer, "best": best_layer}


def _not_in(table: str, dataset: str, model: str) -> UserError:
    return UserError(
        f"{table} must say which layer of {dataset}, {model} to take, but does not have them: run `dvc repro` with "
        "both in the grid, or name a layer (--layer)"
    )


def _embedding(layers: list[Layer], choice: Choice) -> Layer:
    found = [layer for layer in layers if layer.module == choice.module]
    named = [layer for layer in found if layer.pooling in choice.pooling.split("+")]
    if not found:
        raise UserError(
            f"layer {choice.module!r}, which the results name, is not in the embedding store: the layers have changed "
            "since; run `dvc repro`"
        )
    return (named or found)[0]
