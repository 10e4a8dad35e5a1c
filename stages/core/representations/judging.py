"""MAP@R of representations on some classes, with recipes fitted to the images of others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scores.arrays import Classes, Float64, Rows
from ..scores.neighbours import others
from ..scores.retrieval import precisions
from .candidates import Candidate
from .fitting import (
    SCALINGS,
    WITHIN,
    Embedding,
    Scaling,
    Step,
    Within,
    column_slices,
    layer_step,
    principal_axes,
    within_classes,
)

RESOLUTION = 2.0**40
"""Steps of a cosine: neighbours whose cosines are in the same step come in an order of chance."""

BEHIND = 2**62
"""Added to the place of an image that is kept out."""

MAX_SPAN = 256
"""Columns in which axes are fitted again when few of the reference images are left out."""


AXES: frozenset[Scaling] = frozenset({"reduced", "whitened"})
"""Scalings that share the principal axes of a layer."""


class Gallery:
    """Images that are queries and neighbours of each other.

    Attributes:
        rows: (n,) which images.
        classes: (k,) their classes, ascending.
    """

    def __init__(self, rows: Rows, y: Classes, own_groups: NDArray[Any]) -> None:
        """Note which neighbours match and which are kept out.

        Args:
            rows: (n,) which images.
            y: (N,) classes of all images.
            own_groups: (N,) group of every image, none of whose images is its neighbour: at least itself.
        """
        self.rows, n = rows, len(rows)
        self.classes, own = np.unique(y[rows], return_inverse=True)
        members = np.eye(len(self.classes))[own]
        self._class_means = members / members.sum(axis=0)  # (n, k)
        groups = np.unique(own_groups[rows], return_inverse=True)[1]
        self._n_same_class = others(own, groups)[0]
        self._bits = int(2 * n - 1).bit_length()
        chance = np.random.default_rng(0).permutation(n)
        self._low = (chance[:, None] + chance) % n * 2 + (own[:, None] == own)
        self._low[groups[:, None] == groups] |= BEHIND
        self._places = np.empty_like(self._low)  # new memory for each score would take longer than the score

    def score(self, cosines: Float64) -> Float64:
        """Compute MAP@R of every class.

        Args:
            cosines: (n, n) of all rows; it is overwritten.

        Returns:
            (k,) mean over the images of each class, 0 of an image without another of its class outside its group.
        """
        deepest = int(self._n_same_class.max())
        cosines *= -RESOLUTION
        cosines += RESOLUTION
        np.rint(cosines, out=cosines)
        np.maximum(cosines, 0, out=cosines)
        cosines *= 2.0**self._bits
        places = self._places
        places[:] = cosines
        places += self._low
        if 0 < deepest < places.shape[1]:
            places.partition(deepest - 1, axis=1)
        nearest = np.sort(places[:, :deepest], axis=1)
        return np.asarray(precisions((nearest & 1).astype(bool), self._n_same_class)[1] @ self._class_means)


@dataclass(frozen=True)
class Source:
    """Layers of one network, input size and pooling, and what is made of them.

    Attributes:
        arrays: of every layer, (N, D), from input to output.
        spans: of every layer, rows of which the principal axes are found, (N, r): the arrays, or what
            `compressed` makes of them.
        y: (N,) classes.
        candidates: C representations.
        members: of each candidate, the numbers of its layers, which follow each other.
    """

    arrays: Sequence[Embedding]
    spans: Sequence[Embedding]
    y: Classes
    candidates: Sequence[Candidate]
    members: Sequence[range]

    @property
    def is_fitted(self) -> bool:
        """Whether any recipe is fitted to reference images."""
        return any(candidate.recipe != "plain" for candidate in self.candidates)

    def compressed(self, reference: Rows) -> "Source":
        """Turn wide layers into their leading principal axes, which are those of most of the reference as well.

        Args:
            reference: of which axes are to be fitted again without some.
        """
        wide = self.is_fitted and len(reference) > MAX_SPAN
        spans = [_compress(X, reference) if wide and X.shape[1] > MAX_SPAN else X for X in self.arrays]
        return replace(self, spans=spans)


def _compress(X: Embedding, reference: Rows) -> Float64:
    axes = principal_axes(X[reference], MAX_SPAN)
    return np.asarray((X - axes.mean) @ axes.directions)


class Fit:
    """All that the recipes of one source fit to reference images."""

    def __init__(self, source: Source, reference: Rows) -> None:
        """Fit the means and axes of every layer, and the covariances within classes of all of them joined.

        Args:
            source: the layers, and what is made of them.
            reference: the images that are looked at.
        """
        self.source = source
        recipes = {candidate.recipe for candidate in source.candidates}
        self._steps: dict[Scaling, list[Step]] = {}
        scalings = dict.fromkeys(SCALINGS[recipe] for recipe in sorted(recipes))
        axes = [principal_axes(X[reference]) for X in source.spans] if AXES & scalings.keys() else []
        for scaling in scalings:
            if scaling in AXES:
                self._steps[scaling] = [each.step(scaling) for each in axes]
            else:
                self._steps[scaling] = [layer_step(X[reference], scaling) for X in source.arrays]
        self._within: dict[Scaling, Within] = {}
        for scaling in {SCALINGS[recipe] for recipe in WITHIN if recipe in recipes}:
            self._within[scaling] = within_classes(np.hstack(self._blocks(scaling, reference)), source.y[reference])
        self._joined: dict[int, Step] = {}

    def cosines(self, rows: Rows) -> Iterator[tuple[int, Float64]]:
        """Compare images with each other in every representation.

        Args:
            rows: (n,) which images.

        Yields:
            The number of a candidate, and (n, n).
        """
        for scaling in self._steps:
            blocks, grams = self._blocks(scaling, rows), list[Float64]()
            joined = np.hstack(blocks) if scaling in AXES else blocks[0]
            for number, members in self._scaled(scaling):
                if self.source.candidates[number].recipe in WITHIN:
                    turned = self._turn(number, blocks, joined)
                    yield number, turned @ turned.T
                    continue
                grams = grams or [block @ block.T for block in blocks]
                total = grams[members[0]].copy()
                for layer in members[1:]:
                    total += grams[layer]
                total /= len(members)
                yield number, total

    def vectors(self, rows: Rows) -> Iterator[tuple[int, Float64]]:
        """Yield the number of every candidate, and some images, (n,), in this representation, (n, p)."""
        for scaling in self._steps:
            blocks = self._blocks(scaling, rows)
            joined = np.hstack(blocks)
            for number, members in self._scaled(scaling):
                if self.source.candidates[number].recipe in WITHIN:
                    yield number, self._turn(number, blocks, joined)
                else:
                    yield number, np.hstack([blocks[layer] for layer in members]) / len(members) ** 0.5

    def _scaled(self, scaling: Scaling) -> list[tuple[int, range]]:
        """Return the numbers of candidates and their layers that begin with a scaling."""
        both = enumerate(zip(self.source.candidates, self.source.members, strict=True))
        return [(number, members) for number, (each, members) in both if SCALINGS[each.recipe] == scaling]

    def _turn(self, number: int, blocks: Sequence[Float64], joined: Float64) -> Float64:
        """Take the rows of all layers, joined, on to those of a candidate that looks within classes."""
        columns, members = column_slices([block.shape[1] for block in blocks]), self.source.members[number]
        own = slice(columns[members[0]].start, columns[members[-1]].stop)
        if number not in self._joined:
            scaling = SCALINGS[self.source.candidates[number].recipe]
            self._joined[number] = self._within[scaling].step(own)
        return self._joined[number].rows(joined[:, own])

    def _blocks(self, scaling: Scaling, rows: Rows) -> list[Float64]:
        """Rows of every layer, each of length 1."""
        arrays = self.source.spans if scaling in AXES else self.source.arrays
        return [step.rows(X[rows]) for step, X in zip(self._steps[scaling], arrays, strict=True)]

    def score(self, gallery: Gallery) -> Float64:
        """Compute MAP@R of every representation on every class of a gallery, (C, k)."""
        scores = np.empty((len(self.source.candidates), len(gallery.classes)))
        for number, cosines in self.cosines(gallery.rows):
            scores[number] = gallery.score(cosines)
        return scores

    def score_parts(self, gallery: Gallery, parts: Sequence[Gallery]) -> list[Float64]:
        """Compute the same in galleries of some of the images only, which one comparison of all serves."""
        kept = [np.flatnonzero(np.isin(gallery.rows, part.rows)) for part in parts]
        scores = [np.empty((len(self.source.candidates), len(part.classes))) for part in parts]
        for number, cosines in self.cosines(gallery.rows) if parts else ():
            for table, part, rows in zip(scores, parts, kept, strict=True):
                table[number] = part.score(cosines[np.ix_(rows, rows)])
        return scores
