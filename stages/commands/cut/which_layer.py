"""Which layer of a network is meant, at which checkpoint and how scaled: as asked for, or as the results recommend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stages.aggregate.facts import FILE, read_facts
from stages.aggregate.recommend.schema import Recommendation, best_network
from stages.aggregate.words.formatting import joined
from stages.aggregate.words.recommendation import reason
from stages.commands.grid import cell_name
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.runtime.errors import UserError, did_you_mean
from stages.shared.tables.metric_table import Scaling

RECOMMENDED, LAST = "recommended", "last"
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        layers: `recommended`, `last` (in its main pooling) or the name of a layer in the embedding store each; none:
            the recommended one.
        step: of the checkpoint; None: the one that is recommended for the first layer, else for its network, else the
            last.
        use: what features are for; None: that of the study.
        scale: how vectors are scaled; None: to length 1 in each of several layers, else as it is recommended for this
            layer at this checkpoint.
    """

    layers: Sequence[str] = ()
    step: int | None = None
    use: str | None = None
    scale: Scaling | None = None


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


def choose(store: Embeddings, results: Path, wanted: Wanted) -> tuple[list[Layer], int, Scaling]:
    """Find layers of an embedding store, the step of the checkpoint, and how their vectors are scaled.

    Args:
        store: of the cell.
        results: the folder that the aggregate stage wrote, or would; read where something is not given.
        wanted: what is.

    Raises:
        UserError: there is no such layer or step, a layer is named twice, or the results leave open which is meant.
    """
    names = wanted.layers or [RECOMMENDED]
    asked = RECOMMENDED in names or (None in (wanted.step, wanted.scale) and (results / FILE).is_file())
    found = read_facts(results).of_use(wanted.use) if asked else []
    found = [each for each in found if (each.dataset, each.model) == store.cell[:2]]
    useful = [each for each in found if each.recommended is not None]
    layers = [_recommended(store, found) if name == RECOMMENDED else _named(store, name) for name in names]
    if len({layer.name for layer in layers}) < len(layers):
        raise UserError(
            f"--layer: several layers must differ, found {', '.join(layer.name for layer in layers)}; name each once"
        )
    of_layer = [each for each in useful if each.best.layer == layers[0].module]
    step = wanted.step
    if step is None:
        step = _agreed("step", {each.use: each.best.step for each in of_layer or useful})
    step = _check_step(store, store.steps[-1] if step is None else step)
    scale: Scaling | None = wanted.scale or ("l2" if len(layers) > 1 else None)
    if scale is None:
        taken = [each for each in of_layer if each.best.step == step]
        scalings: dict[str, Scaling] = {
            each.use: each.scaling.recommended if each.scaling else "none" for each in taken
        }
        scale = _agreed("scale", scalings)
    return layers, step, scale or "none"


def _agreed(option: str, by_use: Mapping[str, T]) -> T | None:
    """Return what all uses have in common; None if there are none."""
    if len(set(by_use.values())) > 1:
        named = joined([f"{use} {value}" for use, value in by_use.items()])
        raise UserError(f"--{option}: must be given, or what features are for (--use), since the results have {named}")
    return next(iter(by_use.values()), None)


def _recommended(store: Embeddings, found: Sequence[Recommendation]) -> Layer:
    """Find the recommended layer by its module and the poolings of its curve, which may be joined."""
    network = f"{store.dataset}, {store.model}"
    if not found:
        raise UserError(
            f"{FILE} must say which layer of {network} to take, but does not have them: run `dvc repro` with both in "
            "the grid, or name a layer (--layer)"
        )
    chosen: dict[str, str] = {
        each.use: f"{each.best.layer} ({each.best.pooling})" for each in found if each.recommended is not None
    }
    if not chosen:
        raise UserError(f"no layer of {network} is recommended: {reason(found[0])}; name one (--layer)")
    _agreed("layer", chosen)
    best = next(each.best for each in found if each.use in chosen)
    of_module = [layer for layer in store.layers if layer.module == best.layer]
    if not of_module:
        raise UserError(
            f"layer {best.layer!r}, which the results name, is not in the embedding store: the layers have changed "
            "since; run `dvc repro`"
        )
    return next((layer for layer in of_module if layer.pooling in best.pooling.split("+")), of_module[0])


def _named(store: Embeddings, name: str) -> Layer:
    layers = {layer.name: layer for layer in store.layers if layer.module}  # not the raw pixels
    if name != LAST and name not in layers:
        raise UserError(
            f"--layer: {name!r} must be {RECOMMENDED}, {LAST} or a layer of {store.dataset}, {store.model}: "
            f"{did_you_mean(name, layers)}"
        )
    return layers[name] if name in layers else max(layers.values(), key=lambda layer: layer.depth)


def _check_step(store: Embeddings, step: int) -> int:
    if step in store.steps:
        return step
    name = cell_name(store.cell)
    remedy = (
        "a frozen network has step 0 alone"
        if store.frozen
        else f"put it into finetune.steps, with finetune.keep: all, and run `dvc repro embed@{name}`"
    )
    steps = ", ".join(map(str, store.steps))
    raise UserError(f"--step: the embeddings of {name} have the steps {steps}, not {step}; {remedy}")
