"""Which layer of a network is meant: a name, or what the workflow's results say of it."""

from collections.abc import Sequence
from pathlib import Path

from stages.aggregate.facts import FILE, read_facts
from stages.aggregate.recommend.schema import Recommendation, best_network
from stages.aggregate.tables.summary import read_summary
from stages.aggregate.words.formatting import joined
from stages.aggregate.words.recommendation import reason
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.runtime.errors import UserError, did_you_mean
from stages.shared.tables.metric_table import Scaling

RECOMMENDED, BEST, LAST = "recommended", "best", "last"


def recommended_cell(results: Path, use: str | None) -> str:
    """Return the cell of the best network for a use, `<dataset>/<model>/<fold>/<seed>`.

    Args:
        results: the folder that the aggregate stage wrote.
        use: what features are for; None: that of the study.

    Raises:
        UserError: the results leave open which network that is.
    """
    facts = read_facts(results)
    found = facts.of_use(use)
    uses = dict.fromkeys(each.use for each in found)
    of_datasets = {each.dataset for each in found}
    best = [best_network([each for each in found if each.use == own]) for own in uses]
    models = {each.model for each in best if each is not None}
    if len(of_datasets) > 1 or len(models) != 1:
        named = f"{len(of_datasets)} datasets" if len(of_datasets) > 1 else f"{len(models)} best networks, by use"
        raise UserError(f"--from: must name a cell (dataset/model/fold/seed), since the results have {named}")
    return f"{found[0].dataset}/{models.pop()}/{facts.cell}"


def choose_layer(
    store: Embeddings, wanted: str, results: Path, *, use: str | None = None, step: int | None = None
) -> tuple[Layer, int | None]:
    """Find the layer of an embedding store that is meant, and the step of the checkpoint that goes with it.

    Args:
        store: of the cell.
        wanted: `recommended` (layer and checkpoint of facts.json), `best` (the best by the main score over all
            folds, at the last checkpoint, as summary.csv says), `last` (in its main pooling), or the name of a layer in
            the store. The last two go with the recommended checkpoint of their network.
        results: the folder that the aggregate stage wrote.
        use: what features are for; None: that of the study.
        step: of the checkpoint, where the user gave one.

    Returns:
        The step is None where there are no results, or for `best`, and none was given.

    Raises:
        UserError: there is no such layer, or the results leave open which layer or step it is.
    """
    layers = {layer.name: layer for layer in store.layers if layer.module}  # not the raw pixels
    if wanted == BEST:
        return _in_store(layers, *best_layer(results, store.dataset, store.model)), step
    if wanted == RECOMMENDED:
        found = recommendations_of(store, results, use)
        if not found:
            raise _not_in(FILE, store.dataset, store.model)
        chosen = [each.recommended for each in found if each.recommended is not None]
        if not chosen:
            why = reason(found[0])
            raise UserError(f"no layer of {store.dataset}, {store.model} is recommended: {why}; name one (--layer)")
        if len({(each.layer, each.step) for each in chosen}) > 1:
            raise UserError(f"--use: must say what features are for, since layers differ: {_named(found)}")
        return _in_store(layers, chosen[0].layer, chosen[0].pooling), chosen[0].step if step is None else step
    if wanted != LAST and wanted not in layers:
        raise UserError(
            f"--layer: {wanted!r} must be {RECOMMENDED}, {BEST}, {LAST} or a layer of {store.dataset}, {store.model}: "
            f"{did_you_mean(wanted, layers)}"
        )
    layer = layers[wanted] if wanted in layers else max(layers.values(), key=lambda layer: layer.depth)
    known = step is None and (results / FILE).is_file()
    return layer, recommended_step(results, store, layer, use) if known else step


def recommendations_of(store: Embeddings, results: Path, use: str | None) -> list[Recommendation]:
    """Return what is recommended of a store's network, for one use or for each."""
    return [each for each in read_facts(results).of_use(use) if (each.dataset, each.model) == store.cell[:2]]


def _in_store(layers: dict[str, Layer], module: str, pooling: str) -> Layer:
    """Find a layer by its module and the poolings of its curve, which may be joined: `class_token+mean`."""
    of_module = [layer for layer in layers.values() if layer.module == module]
    if not of_module:
        raise UserError(
            f"layer {module!r}, which the results name, is not in the embedding store: the layers have changed since; "
            "run `dvc repro`"
        )
    return next((layer for layer in of_module if layer.pooling in pooling.split("+")), of_module[0])


def best_layer(results: Path, dataset: str, model: str) -> tuple[str, str]:
    """Read which layer is best by the main score, over all folds, at the last checkpoint, and the curve's poolings."""
    for row in read_summary(results / "summary.csv"):
        if row.main and (row.dataset, row.model) == (dataset, model):
            return row.best_layer, row.pooling
    raise _not_in("summary.csv", dataset, model)


def recommended_step(results: Path, store: Embeddings, layer: Layer, use: str | None) -> int | None:
    """Return the recommended checkpoint of a network for a layer: of the uses that take this layer, else of all.

    Raises:
        UserError: these differ.
    """
    useful = [each for each in recommendations_of(store, results, use) if each.recommended is not None]
    taken = [each for each in useful if each.best.layer == layer.module] or useful
    steps = {each.best.step for each in taken if each.best.step in store.steps}
    if len(steps) > 1:
        raise UserError(f"--step: must be given, or what features are for (--use), since steps differ: {_named(taken)}")
    return steps.pop() if steps else None


def recommended_scaling(results: Path, store: Embeddings, layer: Layer, step: int, use: str | None) -> Scaling:
    """Return the scaling that is recommended for a layer at a checkpoint; `none` where another one is recommended.

    Raises:
        UserError: uses of this layer differ.
    """
    if not (results / FILE).is_file():
        return "none"
    useful = [each for each in recommendations_of(store, results, use) if each.recommended is not None]
    taken = [each for each in useful if (each.best.layer, each.best.step) == (layer.module, step)]
    scalings = {each.use: each.scaling.recommended if each.scaling else "none" for each in taken}
    if len(set(scalings.values())) > 1:
        named = joined([f"{use} {scaling}" for use, scaling in scalings.items()])
        raise UserError(f"--scale: must be given, or what features are for (--use), since scalings differ: {named}")
    return next(iter(scalings.values()), "none")


def _named(found: Sequence[Recommendation]) -> str:
    return joined([f"{each.use} {each.best.layer} at step {each.best.step}" for each in found if each.recommended])


def _not_in(table: str, dataset: str, model: str) -> UserError:
    return UserError(
        f"{table} must say which layer of {dataset}, {model} to take, but does not have them: run `dvc repro` with "
        "both in the grid, or name a layer (--layer)"
    )
