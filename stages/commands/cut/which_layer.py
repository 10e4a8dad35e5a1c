"""Which layer of a network is meant: a name, or what the workflow's results say of it."""

from pathlib import Path

from stages.aggregate.facts import FILE, read_facts
from stages.aggregate.tables.summary import read_summary
from stages.aggregate.words.recommendation import reason
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.runtime.errors import UserError, did_you_mean

LAST = "last"

RESULTS = {"recommended": FILE, "best": "summary.csv"}
"""What of the workflow's results says which layer is meant."""


def choose_layer(store: Embeddings, wanted: str, results: Path) -> tuple[Layer, int | None]:
    """Find the layer of an embedding store that is meant, and the step of the checkpoint if it was chosen with it.

    Args:
        store: of the cell.
        wanted: `recommended` (layer and checkpoint of facts.json), `best` (the best by the main score over all
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
        return max(layers.values(), key=lambda layer: layer.depth), None  # the first of its poolings
    if wanted not in RESULTS:
        raise UserError(
            f"--layer: {wanted!r} must be {', '.join(RESULTS)}, {LAST} or a layer of {store.dataset}, {store.model}: "
            f"{did_you_mean(wanted, layers)}"
        )
    module, pooling, step = layer_of_results(wanted, results, store.dataset, store.model)
    of_module = [layer for layer in layers.values() if layer.module == module]
    if not of_module:
        raise UserError(
            f"layer {module!r}, which the results name, is not in the embedding store: the layers have changed since; "
            "run `dvc repro`"
        )
    return next((layer for layer in of_module if layer.pooling in pooling.split("+")), of_module[0]), step


def layer_of_results(wanted: str, results: Path, dataset: str, model: str) -> tuple[str, str, int | None]:
    """Read which layer is recommended, at which checkpoint, or the best by the main score at the last checkpoint.

    Returns:
        Its module's path, the pooling of its embedding (a curve's may join several, `class_token+mean`), and the step
        of the checkpoint that was chosen with it; None: none was.
    """
    if wanted == "best":
        for row in read_summary(results / "summary.csv"):
            if row.main and (row.dataset, row.model) == (dataset, model):
                return row.best_layer, row.pooling, None
    else:
        for recommendation in read_facts(results).recommendations:
            if (recommendation.dataset, recommendation.model) == (dataset, model):
                layer = recommendation.recommended
                if layer is None:
                    why = reason(recommendation)
                    raise UserError(f"no layer of {dataset}, {model} is recommended: {why}; name one (--layer)")
                return layer.layer, layer.pooling, layer.step
    raise UserError(
        f"{RESULTS[wanted]} must say which layer of {dataset}, {model} to take, but does not have them: run "
        "`dvc repro` with both in the grid, or name a layer (--layer)"
    )
