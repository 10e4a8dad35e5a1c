"""The library: score embeddings, and embed images at every layer of a network.

import whichlayer as wl

layers = wl.embed("resnet18.a1_in1k", paths)     # {layer: (N, D)}; or embeddings of your own
result = wl.score(layers, labels)
print(result)                                   # the verdict
result.recommend("retrieval").layer             # also: result.table, result.gain("last"), result.plot()
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from html import escape
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..aggregate.facts import Recommendation as Record
from ..aggregate.words.verdict import verdict
from ..core.scores.catalogue import LAYER_SCORES
from ..shared.embeddings.split_names import UNSEEN
from ..shared.runtime.errors import UserError as UserError
from ..shared.runtime.errors import check_known
from ..shared.workflow.params import load, parse
from .arrays import Scored, as_array, read_settings, score_arrays

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

    from ..shared.networks.params import NetworkParams

Pooling = Literal["auto", "mean", "token0", "max"]
Use = Literal["classifier", "retrieval", "discovery", "detection"]
Over = Literal["last", "before"]

PARAMS = Path(__file__).parents[2] / "params.yaml"
"""Of the project whose code this is."""

BLUE = "#0072B2"


@dataclass(frozen=True)
class Recommendation:
    """The layer to take for one use.

    Attributes:
        use: `classifier` (of labelled images), `retrieval` (nearest neighbours), `discovery` (clusters) or `detection`
            (of images of unknown classes).
        metric: the score that leads this use: `probe_accuracy`, `map_at_r`, `nmi` or `ood_auroc_knn`.
        layer: its best layer; the last one if choosing does not pay.
        score: score of that layer, corrected for the choice among layers, so it is below the mean in `table`. Report
            this score.
        low, high: 95 % interval of the score; None if there is none, as for fewer than ten classes without halves.
        gain: gain over the last layer, judged on images or classes that were not used to choose; None if the last
            layer itself is named, or if there is no estimate.
        gain_low, gain_high: 95 % interval of the gain.
        status: `pays` (the interval of the gain lies above 0), `does_not_pay` (no layer gains more than 0.02) or
            `undecided`.
        ties: layers that are not distinguishable from the named one, from input to output.
        scope: scope of the intervals: `classes` from ten classes on, else `images`; None if there are none.
        useful: whether any layer beats chance and raw pixels.
    """

    use: str
    metric: str
    layer: str
    score: float
    low: float | None
    high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    status: str
    ties: tuple[str, ...]
    scope: str | None
    useful: bool

    @classmethod
    def of(cls, record: Record) -> "Recommendation":
        """Take from a record of recommendation.json what a user asks first."""
        best, gain = record.best, record.gain_over_last
        score, low, high = best.estimate
        return cls(
            record.use,
            record.metric,
            best.layer,
            best.value if score is None else score,
            low,
            high,
            gain.estimate,
            gain.low,
            gain.high,
            str(gain.status),
            tuple(tie.layer for tie in record.ties),
            best.scope,
            record.unbeaten is None,
        )


class Result:
    """The scores of every layer, and the choice. Prints as the verdict.

    In a notebook it shows as the verdict, the table and a figure.
    """

    def __init__(self, scored: Scored) -> None:
        self._scored = scored

    @property
    def uses(self) -> tuple[str, ...]:
        """Uses for which a score was measured."""
        return tuple(dict.fromkeys(each.use for each in self._scored.results.facts.recommendations))

    @property
    def notes(self) -> list[str]:
        """Notes on the scoring, such as images that were left out, one sentence each."""
        return self._scored.notes

    def recommend(self, use: Use) -> Recommendation:
        """Return the layer to take for one use.

        Raises:
            UserError: no score was measured for this use.
        """
        [record] = self._scored.results.facts.of_use(use)
        return Recommendation.of(record)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Scores of unseen classes: a row per layer, from input to output, a column per score, mean over folds.

        Higher is better, but for `collapse`. `rankme`, `alpha_req`, `participation_ratio` and `intrinsic_dimension`
        describe a layer, and neither end is better.
        """
        rows = self._scored.results.layers
        rows = rows[(rows["split"] == UNSEEN) & rows["metric"].isin(LAYER_SCORES)]
        table = rows.pivot_table(index=["depth", "layer"], columns="metric", values="value", sort=False)
        return table.sort_index(level="depth").droplevel("depth").rename_axis(columns=None)

    def gain(self, over: Over = "last") -> pd.DataFrame:
        """Return the gain of choosing, by use, over the last layer or over the layer just before it.

        Args:
            over: `last` or `before`.

        Returns:
            One row per use: the named layer, `gain` (above 0: choosing is better; NaN if there is no estimate, or if
            the layer compared with is named itself), `low` and `high` (95 % interval), `at_most` (upper bound on the
            gain of any layer; below 0: none is better) and `status` of this comparison.
        """
        check_known(over, ("last", "before"), f"over must be `last` or `before`, found {over!r}")
        rows = {}
        for record in self._scored.results.facts.recommendations:
            gain = record.gain_over_last if over == "last" else record.gain_over_before
            numbers = {"gain": gain.estimate, "low": gain.low, "high": gain.high, "at_most": gain.at_most}
            numbers = {name: np.nan if value is None else value for name, value in numbers.items()}
            rows[record.use] = {"layer": record.best.layer, **numbers, "status": str(gain.status)}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("use")

    def plot(self, use: Use | None = None) -> "Chart":
        """Draw a use's score against the layers, with the intervals that there are.

        Args:
            use: by default the first one that was measured.

        Returns:
            A Vega-Lite chart, which notebooks draw. `json.dump(chart.spec, file)` keeps it, and
            `vl_convert.vegalite_to_png(chart.spec)` makes a picture.
        """
        return Chart(_layers_chart(self._scored, self.recommend(use or self.uses[0])))  # type: ignore[arg-type]

    def __str__(self) -> str:
        return verdict(self._scored.results.facts, embeds=False)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>{self.table.to_html(float_format='{:.3f}'.format)}"


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite chart.

    Attributes:
        spec: its specification, data included.
    """

    spec: dict[str, Any]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"application/vnd.vegalite.v5+json": self.spec, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"Chart({self.spec['title']!r})"


def score(
    layers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    seen: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    metrics: Sequence[str] | None = None,
    workers: int = 1,
) -> Result:
    """Score every layer by how well the classes separate there, and choose one for each use.

    The classes should be unseen: the network was not trained on them. Scores that use distances take rows of length 1,
    as in a search by cosine similarity. Settings come from params.yaml. Neither torch nor DVC is needed.

    Args:
        layers: name -> embedding (N, D) of the same N images (or texts, or sounds), real numbers, from input to output:
            gains are over the last. An array called `pixels` is no layer but a baseline, the images themselves.
        labels: (N,) classes, texts or whole numbers, at least two images of each, for the probe five.
        groups: (N,) groups of images that belong together, such as a writer's or a patient's. They change only
            intervals over images, whose halves keep groups whole. With few groups there is no such interval.
        seen: (N,) booleans, whether an image's class is one that the network was trained on; by default none is. Seen
            images are scored separately.
        folds: (N,) fold of every image, texts or whole numbers, where each fold has unseen classes of its own; by
            default there is one fold.
        metrics: names of scores, the main score first, such as `["map_at_r", "nmi", "probe_accuracy"]`; by default all
            columns that Result.table has without it.
        workers: number of processes. More than one needs `if __name__ == "__main__":` in a script.

    Raises:
        UserError: embeddings or labels are not as they must be, or a score is unknown.

    Source: Dyballa, Gerritz and Zucker, arXiv 2405.01524; docs/method.md for intervals and gains.
    """
    if not isinstance(layers, Mapping):
        raise UserError(f"layers must be a dict of embeddings, name -> (N, D), found {type(layers).__name__}")
    if metrics is not None and (isinstance(metrics, str) or not len(metrics)):
        raise UserError(f"metrics must be a list of names of scores, found {metrics!r}")
    if not isinstance(workers, Integral) or workers < 1:
        raise UserError(f"workers must be a whole number >= 1, found {workers!r}")
    measure, aggregate = read_settings(PARAMS, metrics)
    arrays = {name: as_array(f"embeddings of layer {name!r}", values) for name, values in layers.items()}
    sections: dict[str, Any] = {"measure": measure, "aggregate": aggregate}
    try:
        return Result(score_arrays(arrays, labels, groups, seen=seen, folds=folds, workers=workers, **sections))
    except UserError as error:
        ended = isinstance(error.__context__, BrokenProcessPool | EOFError | ConnectionError)
        if ended and workers > 1:  # killed, or ended while importing the script again
            guard = 'if __name__ == "__main__":'
            raise UserError(f"with {workers} workers a script must call score below `{guard}`; else, {error}") from None
        raise


def embed(
    model: "str | nn.Module",
    images: "Sequence[str | Path] | NDArray[np.uint8]",
    layers: str | Sequence[str] = "default",
    transform: "Callable[[Image], Tensor] | None" = None,
    *,
    pooling: Pooling = "auto",
    image_size: int | None = None,
    batch_size: int = 128,
) -> dict[str, NDArray[np.float32]]:
    """Embed images at every layer of a network, in one pass.

    Args:
        model: the name of a network, or a module. A name is a model of params.yaml, or of timm with its weights, such
            as `resnet18.a1_in1k`. Images become squares and are normalized for these weights.
        images: paths, or an array (N, H, W, 3) uint8, RGB; for a network by name (N, S, S, 3).
        layers: `default` (stages or blocks of a known library's network; of another module its children, a head
            included), `inside_blocks` (of a vision transformer), or a list of module paths, as `model.named_modules()`
            names them. They are returned from input to output.
        transform: required for a module: from an RGB image (PIL) to its input (3, H, H), float32, such as
            `timm.data.create_transform(**timm.data.resolve_model_data_config(model))`.
        pooling: how a layer's output becomes a vector: `auto` (class token, else mean over space), `mean`, `max` or
            `token0`.
        image_size: input height and width of a network by name; by default as in params.yaml, else 224.
        batch_size: images per forward pass.

    Returns:
        Layer -> (N, D) float32, from input to output, as `score` takes it.

    Raises:
        UserError: the network, a layer or an image is not as it must be.
        ImportError: torch is not installed.
    """
    try:
        from ..embed.params import TapsParams
        from ..shared.networks.hub import YOUR_OWN
        from .embedding import embed_module, embed_named
    except ModuleNotFoundError as error:
        raise ImportError(f"embed needs {error.name}: pip install 'whichlayer[quick]'") from None
    check_known(pooling, get_args(Pooling), f"pooling must be auto, mean, token0 or max, found {pooling!r}")
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, found {batch_size}")
    if isinstance(layers, str) and layers not in ("default", "inside_blocks"):
        raise UserError(f"layers must be `default`, `inside_blocks` or a list of module paths: [{layers!r}]")
    taps = parse({"layers": layers if isinstance(layers, str) else [*layers]}, TapsParams, where="")
    if isinstance(model, str):
        if transform is not None:
            raise UserError("transform belongs to a module: a network by name has its own; leave it out")
        try:
            return embed_named(_named_network(model, image_size), images, taps, pooling, batch_size)
        except UserError as error:
            entry = f"by the name of a model of params.yaml that has {YOUR_OWN}; efficientnet_lite0 needs no network"
            raise UserError(str(error).replace(YOUR_OWN, entry)) from error
    if not callable(getattr(model, "named_modules", None)):
        raise UserError(f"model must be the name of a network or a torch module, found {type(model).__name__}")
    if image_size is not None:
        raise UserError(
            "image_size is of a network by name: a module has the size that `transform` gives; leave it out"
        )
    if transform is None:
        raise UserError("a module needs `transform`, from an RGB image to its input (3, H, H), found none")
    return embed_module(model, images, taps, transform, pooling, batch_size)


def _named_network(name: str, image_size: int | None) -> "NetworkParams":
    """Return a model of params.yaml, or a network of timm."""
    from ..shared.networks.params import NetworkParams, WeightsParams

    known = load(PARAMS)["models"]
    if name in known:
        params = parse(known[name]["network"], NetworkParams, where=f"models.{name}.network")
        return params.model_copy(update={"image_size": image_size or params.image_size})
    return NetworkParams(library="timm", name=name, weights=WeightsParams(source="hub"), image_size=image_size or 224)


def _layers_chart(scored: Scored, named: Recommendation) -> dict[str, Any]:
    """Specify a line of one score against the layers, with intervals where there are any; the named layer is filled."""
    rows = scored.results.tables["depth.csv"]
    rows = rows[(rows["split"] == UNSEEN) & (rows["metric"] == named.metric)]
    rows = rows[rows["fold"] == rows["fold"].iloc[-1]].sort_values("depth")  # means over folds come last
    ends = {"low": f"ci_{named.scope}_low", "high": f"ci_{named.scope}_high"} if named.scope else {}
    values = rows[["layer", "value", *ends.values()]].rename(columns={name: end for end, name in ends.items()})
    values["named"] = values["layer"] == named.layer
    x = {"field": "layer", "type": "nominal", "sort": None, "title": "layer, from input to output"}
    y = {"type": "quantitative", "scale": {"zero": False}, "title": f"{named.metric} on unseen classes"}
    fill = {"condition": {"test": "datum.named", "value": BLUE}, "value": "white"}
    tooltip = [
        {"field": name, "format": ".3f"} if name != "layer" else {"field": name} for name in ("layer", "value", *ends)
    ]
    intervals = {
        "mark": {"type": "rule", "color": BLUE},
        "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}},
    }
    points = {"mark": {"type": "point", "size": 60, "color": BLUE, "opacity": 1}}
    points |= {"encoding": {"y": y | {"field": "value"}, "fill": fill, "tooltip": tooltip}}
    line = {"mark": {"type": "line", "color": BLUE}, "encoding": {"y": y | {"field": "value"}}}
    over = f"; 95 % intervals over {named.scope}" if ends else ""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": f"{named.use}: layer {named.layer}{over}",
        "width": 420,
        "height": 220,
        "data": {"values": values.astype(object).where(values.notna(), None).to_dict("records")},
        "encoding": {"x": x},
        "layer": [*([intervals] if ends else []), line, points],
    }
