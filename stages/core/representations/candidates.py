"""Representations that can be chosen: a layer or a join of layers, and a recipe for its rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
class Candidate:
    """One representation.

    Attributes:
        arrays: names of the arrays that are joined, from input to output.
        join: which layers these are.
        recipe: of their rows.
    """

    arrays: tuple[str, ...]
    join: Join
    recipe: Recipe


def list_candidates(
    networks: Mapping[str, str], joins: Collection[Join] = JOINS, recipes: Collection[Recipe] = RECIPES
) -> list[Candidate]:
    """List what can be made of some arrays; a join crosses neither networks nor input sizes nor poolings.

    Args:
        networks: array, from input to output -> the network, input size and pooling that it is of.
        joins: those that are considered.
        recipes: those that are considered.

    Returns:
        The candidates by network, size and pooling, then by recipe, then single layers first. Layers that two joins
        have in common, such as all of two, count once.

    Raises:
        UserError: a join or a recipe is unknown.
    """
    check_names(joins, recipes)
    return [
        Candidate(arrays, join, recipe)
        for source in sources(networks)
        for recipe in RECIPES
        if recipe in recipes
        for arrays, join in _joined(source)
        if join in joins
    ]


def check_names(joins: Collection[str], recipes: Collection[str]) -> None:
    """Raise a `UserError` if a join or a recipe is unknown."""
    for join in joins:
        check_known(join, JOINS, f"joins must be known ones, found {join!r}")
    for recipe in recipes:
        check_known(recipe, RECIPES, f"recipes must be known ones, found {recipe!r}")


def sources(networks: Mapping[str, str]) -> list[list[str]]:
    """Divide arrays into those of one network, input size and pooling, from input to output."""
    found: dict[str, list[str]] = {}
    for name, network in networks.items():
        found.setdefault(network, []).append(name)
    return list(found.values())


def _joined(source: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Join]]:
    """Yield the single layers and the joins of one source."""
    yield from (((name,), "single") for name in source)
    L = len(source)
    sizes: dict[int, Join] = {L - L // 2: "upper_half", 4: "last_4", 2: "last_2", L: "all"}  # the later name counts
    for size in sorted(sizes):
        if 1 < size <= L:
            yield tuple(source[L - size :]), sizes[size]
