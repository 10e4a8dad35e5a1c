"""The library: score embeddings, and embed images at every layer of a network.

import whichlayer as wl

layers = wl.embed("resnet18.a1_in1k", paths)     # {layer: (N, D)}; or your own embeddings
result = wl.score(layers, labels)
print(result)                                   # the verdict
result.recommend("retrieval")                   # also: result.table, result.gain("last"), result.plot()
vectors = result.fit(use="retrieval").transform(layers)  # from the best layer, or joined layers
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from numbers import Integral, Real
from os import PathLike
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..core.representations.candidates import JOINS, RECIPES
from ..core.scores.description import Neighbours, Normalize
from ..shared.runtime.errors import UserError as UserError
from ..shared.runtime.errors import check_known
from .checks import (
    MAX_IMAGES,
    SETTINGS,
    check_index,
    check_layers,
    check_probe,
    describe,
    draw_samples,
    parse_settings,
    tabulate,
)
from .compared import compare
from .result import Chart as Chart
from .result import Recommendation as Recommendation
from .result import Result as Result
from .scoring import score_arrays

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

    from .representing import RepresentationChoice

Pooling = Literal["auto", "mean", "token0", "max", "gem", "cls+mean"]
Bits = Literal[8, 10, 12, 14, 16]


Layers = Mapping[str, ArrayLike] | Mapping[str, Mapping[str, ArrayLike]]


def score(
    layers: Layers,
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    seen: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    metrics: Sequence[str] | None = None,
    normalize: Normalize = "l2",
    neighbours: Neighbours = "all",
    max_images: int = MAX_IMAGES,
    kmeans_starts: int = 50,
    kmeans_polished: int = 5,
    kmeans_seed: int = 0,
    probe_C: float = 1.0,
    probe_folds: int = 5,
    refits_metrics: Sequence[str] | None = None,
    refits_halves: int = 20,
    refits_starts: int = 15,
    refits_polished: int = 3,
    worthwhile_gain: float = 0.02,
    joins: Sequence[str] = JOINS,
    recipes: Sequence[str] = RECIPES,
    control: str | tuple[str, str] | None = None,
    ids: ArrayLike | None = None,
    dataset: str = "data",
    model: str = "embeddings",
    workers: int = 1,
    on_scores: Callable[[pd.DataFrame], None] | None = None,
) -> Result:
    """Score every layer by how well the classes separate there, and choose one for each use.

    The classes should be unseen: the network was not trained on them. Scores that use distances take L2-normalized
    embeddings, as in a search by cosine similarity. No file is read. Neither torch nor DVC is needed.

    Args:
        layers: name -> embedding (N, D), real numbers, a row per image (or text, or sound), from input to output: gains
            are over the last. An array called `pixels` is no layer but a baseline, the images themselves. For several
            networks or input sizes it is name -> such a dict, as `{"64": layers64, "224": layers224}`, whose
            layers are called `64 layer4` in tables.
        labels: (N,) classes, texts or whole numbers, at least two images per class, for the probe five.
        groups: (N,) groups whose images belong together, such as a writer's or a patient's. They change only
            intervals over images, whose halves keep groups whole. With few groups there is no such interval.
        seen: (N,) booleans, whether an image's class is one that the network was trained on; by default none is. Seen
            images are left out.
        folds: (N,) each image's fold, texts or whole numbers, where each fold has its own unseen classes; by default
            there is one fold.
        metrics: score names, the main score first, such as `["map_at_r", "nmi", "probe_accuracy"]`; by default all
            columns that Result.table has without it.
        normalize: `l2` L2-normalizes embeddings for scores that use distances; `none` takes them unchanged.
        neighbours: which images can be neighbours: `all`, or only those of `other_groups`.
        max_images: how many images per fold are scored, at most. From more, so many are drawn class by class, at least
            `probe_folds` per class, and `notes` and the verdict name it. Fewer images are easier to rank: compare only
            scores with equally many. Memory-mapped layers are read only in these rows.
        kmeans_starts, kmeans_polished, kmeans_seed: how many k-means starts, how many of the best go on in all
            features, and the seed.
        probe_C, probe_folds: the linear probe's inverse penalty and cross-validation folds.
        refits_metrics: scores to recompute on image subsets, for their intervals; by default all that can be,
            but for those whose intervals come from folds.
        refits_halves, refits_starts, refits_polished: how many halves (even), and k-means on halves. They are not
            computed where ten classes or more give intervals over classes, which are what is shown.
        worthwhile_gain: gain over the last layer up to which choosing does not pay.
        joins, recipes: what competes with single layers, in `Result.recommend` and `representation`, as
            for `choose_representation`; `joins=["single"], recipes=["plain"]`: nothing.
        control: the layer that gains are over, which then counts as the last and is listed there; for several networks
            `(network, layer)`, required. None: the only network's last layer.
        ids, dataset, model: (N,) image names, and names in the verdict. Ids and `dataset` seed the halves.
        workers: how many processes. More than one needs `if __name__ == "__main__":` in a script.
        on_scores: called with the table of scores before anything is recomputed for intervals: first without the
            linear probe, then with it.

    Raises:
        UserError: embeddings, labels or a setting are not as they must be, or a score is unknown.

    Source: Dyballa, Gerritz and Zucker, arXiv 2405.01524; docs/method.md for intervals and gains.
    """
    given = {name: value for name, value in locals().items() if name.partition("_")[0] in SETTINGS}
    compared = compare(layers, "score", joins=joins, recipes=recipes, control=control)
    check_index(compared.arrays, labels)
    if not isinstance(workers, Integral) or workers < 1:
        raise UserError(f"workers must be a whole number >= 1, found {workers!r}")
    for what, named in (("dataset", dataset), ("model", model)):
        if not isinstance(named, str) or not re.fullmatch("[A-Za-z0-9_]+", named):
            raise UserError(f"{what} may have only letters, digits and `_`, found {named!r}")
    measure = parse_settings(metrics, given)
    if not isinstance(worthwhile_gain, Real) or not worthwhile_gain >= 0:
        raise UserError(f"worthwhile_gain must be a number >= 0, found {worthwhile_gain!r}")
    samples = tabulate(labels, groups, ids, seen, folds)
    rows, drawn = draw_samples(samples, measure.max_images, measure.probe.folds)
    arrays = check_layers(compared.control_last, len(samples), rows)
    check_probe(samples["label"], measure)
    samples = samples if rows is None else samples.iloc[rows].reset_index(drop=True)
    try:
        scored = score_arrays(
            arrays,
            describe(compared.control_last, arrays),
            samples,
            measure,
            worthwhile=float(worthwhile_gain),
            dataset=dataset,
            model=model,
            workers=int(workers),
            on_scores=on_scores,
            drawn=drawn,
        )
    except UserError as error:
        ended = isinstance(error.__context__, BrokenProcessPool | EOFError | ConnectionError)
        if ended and workers > 1:  # killed, or ended while importing the script again
            guard = 'if __name__ == "__main__":'
            raise UserError(f"with {workers} workers a script must call score below `{guard}`; else, {error}") from None
        raise
    return Result(scored, replace(compared, arrays=arrays), samples)


def choose_representation(
    layers: Layers,
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    joins: Sequence[str] = JOINS,
    recipes: Sequence[str] = RECIPES,
    control: str | tuple[str, str] | None = None,
) -> "RepresentationChoice":
    """Choose what to store for each use: a layer or joined layers, and a recipe for the rows.

    Classes are divided into folds. Candidates are compared by MAP@R within a fold's classes, with means and axes fitted
    to images from the other folds. What was chosen without a fold is judged on it. For a classifier and for discovery,
    single layers, the best join of all layers and the best two candidates compete by the linear probe and by NMI.

    Args:
        layers: name -> embedding (N, D), from input to output, as for `score`, and `pixels` is no candidate; or
            several networks or input sizes, name -> such a dict. Layers from two of them are never joined.
        labels: (N,) classes; recipes that fit axes need eight.
        groups: (N,) groups whose images belong together, such as a writer's: they are not each other's neighbours.
        joins: which layers stand side by side: `single`, `last_2`, `last_4`, `upper_half`, `all`.
        recipes: for the rows: `plain` (L2-normalized), `centred`, `whitened`, `within` (the inverse root of the
            covariance within reference classes), `whitened_within`.
        control: the layer that gains are over, for several networks `(network, layer)`, required; None: the only
            network's last layer.

    Returns:
        The choice; `choice.fit(use="retrieval")` makes its transformer.

    Raises:
        UserError: embeddings or labels are not as they must be, or a name is unknown.
    """
    from .representing import choose

    compared = compare(layers, "choose_representation", joins=joins, recipes=recipes, control=control)
    check_index(compared.arrays, labels)
    return choose(compared, tabulate(labels, groups))


def embed(
    model: "str | nn.Module",
    images: "Iterable[str | PathLike[str] | Image] | NDArray[np.uint8]",
    layers: str | Sequence[str] = "default",
    transform: "Callable[[Image], Tensor] | None" = None,
    *,
    pooling: Pooling = "auto",
    image_size: int | None = None,
    batch_size: int = 128,
    bits: Bits | None = None,
    workers: int | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Embed images at every layer of a network, in one pass.

    Args:
        model: a network's name, or a module. A name is a model in params.yaml, or in timm with its weights, such as
            `resnet18.a1_in1k`. Images become squares and are normalized for these weights.
        images: paths, Pillow images, or an array (N, H, W, 3) uint8, RGB; for a network by name (N, S, S, 3).
        layers: `default` (stages or blocks in a known library's network; in another module its children, a head
            included), `inside_blocks` (in a vision transformer), or a list of module paths, as `model.named_modules()`
            names them. They are returned from input to output.
        transform: required for a module: from an RGB image (PIL) to its input (3, H, H), float32, such as
            `timm.data.create_transform(**timm.data.resolve_model_data_config(model))`.
        pooling: how a layer's output becomes a vector: `auto` (class token, else mean over space), `mean`, `max`,
            `token0`, `gem` (generalized mean) or `cls+mean` (class token beside the mean).
        image_size: input height and width for a network by name; by default those that its weights were trained at.
            Smaller images are enlarged, which raises scores, and the time.
        batch_size: images per forward pass, at most 10,000; fewer images are filled up to it.
        bits: how many bits 16-bit files use; with 12 bits, 4095 is white. By default the fewest into
            which all values fit, with a warning if these are fewer than 16: give it where images are embedded in parts.
        workers: threads that decode images while the network runs; by default one per processor, at most 8.

    Returns:
        Layer -> (N, D) float32, from input to output, as `score` takes it.

    Raises:
        UserError: the network, a layer or an image is not as it must be.
        ImportError: torch is not installed.
    """
    try:
        from ..embed.params import TapsParams
        from ..prepare.params import PrepareParams
        from ..shared.networks.network import at_trained_size
        from ..shared.networks.params import named_network
        from .embedding import Reading, check_images, embed_module, embed_named
    except ModuleNotFoundError as error:
        raise ImportError(f"embed needs {error.name}: pip install 'whichlayer[quick]'") from None
    from ..shared.runtime.package import PARAMS
    from ..shared.workflow.params import load, parse

    check_known(pooling, get_args(Pooling), f"pooling must be {', '.join(get_args(Pooling))}, found {pooling!r}")
    counts = (("batch_size", batch_size, 10_000), ("workers", 1 if workers is None else workers, 1000))
    for what, number, most in counts:
        if isinstance(number, bool) or not isinstance(number, Integral) or not 1 <= number <= most:
            raise UserError(f"{what} must be a whole number from 1 to {most}, found {number!r}")
    named = isinstance(layers, str) and layers in ("default", "inside_blocks")
    listed = isinstance(layers, Sequence) and not isinstance(layers, str) and all(isinstance(p, str) for p in layers)
    if not named and not (listed and layers):
        raise UserError(f"layers must be `default`, `inside_blocks` or a list of module paths, found {layers!r}")
    taps = parse({"layers": layers if isinstance(layers, str) else [*layers]}, TapsParams, where="")
    if bits not in (None, *get_args(Bits)):
        raise UserError(f"bits must be None, 8, 10, 12, 14 or 16, found {bits!r}")
    reading = Reading(parse(load(PARAMS)["prepare"], PrepareParams, where="prepare").max_pixels, bits, workers)
    if isinstance(model, str):
        if transform is not None:
            raise UserError("transform belongs to a module: a network by name has its own; leave it out")
        network = named_network(load(PARAMS)["models"], model, image_size)
        network = at_trained_size(network) if image_size is None else network
        images = check_images(images, square=True)
        pixels = reading.pixels(images, network.image_size)
        return embed_named(network, pixels, len(images), taps, [pooling], batch_size, name=model)[pooling]
    if isinstance(model, type) or not callable(getattr(model, "named_modules", None)):
        found = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise UserError(f"model must be a network's name or a torch module, found {found}")
    if image_size is not None:
        raise UserError("image_size is for a network by name: for a module, `transform` sets the size; leave it out")
    if not callable(transform):
        raise UserError(f"a module needs `transform`, from an RGB image to its input (3, H, H), found {transform!r}")
    return embed_module(model, images, taps, transform, pooling, batch_size, reading)
