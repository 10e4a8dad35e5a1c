"""Representations that can be chosen: a layer or a join of layers, and a recipe for its rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal, get_args

from ...shared.runtime.errors import check_known

Join = Literal["single", "last_2", "last_4", "upper_half", "all"]
"""Which layers of one network, input size and pooling stand side by side."""

Recipe = Literal["plain", "centred", "whitened", "within", "whitened_within"]
"""What is done with rows before they are compared (`fitting`)."""

JOINS: tuple[Join, ...] = get_args(Join)
RECIPES: tuple[Recipe, ...] = get_args(Recipe)

FITTED: tuple[Recipe, ...] = ("whitened", "within", "whitened_within")
"""Recipes that fit axes to reference images, which takes many classes; a mean takes few."""


@dataclass(frozen=True)
class LayerAxes:
    """Where the embeddings of one array come from.

    Attributes:
        network: the network or checkpoint.
        image_size: its input height and width in pixels; 0: unknown.
        pooling: how a layer's output became a vector.
        layer: the layer's name; empty: that of the array.
        operations: multiply-adds per image up to this layer.
    """

    network: str = ""
    image_size: int = 0
    pooling: str = ""
    layer: str = ""
    operations: float = nan


@dataclass(frozen=True)
class Candidate:
    """One representation.

    Attributes:
        arrays: names of the arrays that are joined, from input to output.
        join: which layers these are.
        recipe: of their rows.
        axes: of the deepest of them.
    """

    arrays: tuple[str, ...]
    join: Join
    recipe: Recipe
    axes: LayerAxes


def list_candidates(
    axes: Mapping[str, LayerAxes], joins: Collection[Join] = JOINS, recipes: Collection[Recipe] = RECIPES
) -> list[Candidate]:
    """List what can be made of some arrays; a join crosses neither networks nor input sizes nor poolings.

    Args:
        axes: of every array, from input to output.
        joins: those that are considered.
        recipes: those that are considered.

    Returns:
        The candidates by network, size and pooling, then by recipe, then single layers first. Layers that two joins
        have in common, such as all of two, count once.

    Raises:
        UserError: a join or a recipe is unknown.
    """
    for join in joins:
        check_known(join, JOINS, f"joins must be known ones, found {join!r}")
    for recipe in recipes:
        check_known(recipe, RECIPES, f"recipes must be known ones, found {recipe!r}")
    return [
        Candidate(arrays, join, recipe, axes[arrays[-1]])
        for source in sources(axes)
        for recipe in RECIPES
        if recipe in recipes
        for arrays, join in _joined(source)
        if join in joins
    ]


def sources(axes: Mapping[str, LayerAxes]) -> list[list[str]]:
    """Divide arrays into those of one network, input size and pooling, from input to output."""
    found: dict[tuple[str, int, str], list[str]] = {}
    for name, each in axes.items():
        found.setdefault((each.network, each.image_size, each.pooling), []).append(name)
    return list(found.values())


def _joined(source: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Join]]:
    """Yield the single layers and the joins of one source."""
    yield from (((name,), "single") for name in source)
    L = len(source)
    sizes: dict[int, Join] = {L - L // 2: "upper_half", 4: "last_4", 2: "last_2", L: "all"}  # the later name counts
    for size in sorted(sizes):
        if 1 < size <= L:
            yield tuple(source[L - size :]), sizes[size]
