"""Populations with structure that practice has: writers, copies, hubs, unequal classes, networks whose training fails.

Each is one draw of a fold, as in `populations`. Layers whose expected scores are equal by construction carry the same
label in `alike`, so that the truth of each is the mean over them.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tests.bench.simulation.populations import COMMON, training

NEIGHBOURING = 0.8
"""Correlation of the structure of neighbouring layers."""


class Fold(NamedTuple):
    """One fold: embeddings (S, L, N, D) float32, classes (N,), and groups (N,) of the images where they are known."""

    embedded: Any
    y: Any
    groups: Any = None


def along_depth(rng: np.random.Generator, L: int, *shape: int) -> Any:
    """Standard normal variables (L, ...) that change from layer to layer by little."""
    z = rng.normal(size=(L, *shape))
    for layer in range(1, L):
        z[layer] = NEIGHBOURING * z[layer - 1] + np.sqrt(1 - NEIGHBOURING**2) * z[layer]
    return z


@dataclass(frozen=True)
class Species:
    """Classes drawn anew of a domain: easy ones and hard ones, some best apart at an early layer, some at a late one.

    Images of a class stretch along a direction of its own. Every number is drawn per class from a distribution with
    heavy tails, whatever the depth, so that layers of equal quality are equally good on average.

    Attributes:
        quality: of each layer, how far its class means lie apart; of several networks one after the other.
        sizes: least and most images of a class, drawn by ratio; None: equal.
        failing: probability that the training of a fold fails and leaves its deep layers with little.
        networks: how many these are.
        kinship: share of the structure that the second network, another checkpoint, has from the first.
        repeat: layers that are put out, a layer twice if it stands twice; None: each once.
        hard: share of the classes whose means lie a third as far apart.
    """

    quality: tuple[float, ...]
    sizes: tuple[int, int] | None = None
    failing: float = 0.0
    networks: int = 1
    kinship: float = 0.0
    repeat: tuple[int, ...] | None = None
    hard: float = 0.0
    D: int = 10

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Fold:
        counts = np.full(K, n)
        if self.sizes:
            counts = np.exp(rng.uniform(*np.log([self.sizes[0], self.sizes[1] + 1]), size=K)).astype(int)
        y, L = np.repeat(np.arange(K), counts), len(self.quality)
        apart = training(rng, seeds, np.broadcast_to(tau, L), self.networks) * np.array(self.quality)  # (S, L)
        if rng.random() < self.failing:
            apart *= 1 - 0.8 * np.linspace(0, 1, L) ** 2
        direction = self._structure(rng, K, self.D) / np.sqrt(self.D)
        noise = self._structure(rng, len(y), self.D) + 1.5 * direction[:, y] * self._structure(rng, len(y), 1)
        noise *= np.exp(0.25 * rng.normal(size=K))[y][:, None]
        embedded = (apart[..., None, None] * self._means(rng, K)[:, y] + noise).astype(np.float32)
        return Fold(embedded if self.repeat is None else embedded[:, list(self.repeat)], y)

    def _means(self, rng: np.random.Generator, K: int) -> Any:
        """Class means by layer, (L, K, D)."""
        depth = np.tile(np.linspace(0, 1, len(self.quality) // self.networks), self.networks)
        easiness = np.clip(0.25 * rng.standard_t(4, size=K), -0.8, 0.8)
        suits = 0.3 * np.cos(2 * np.pi * (depth[:, None] - rng.random(K)))  # (L, K)
        apart = np.exp(easiness + suits) * np.where(rng.random(K) < self.hard, 1 / 3, 1.0)
        return apart[..., None] * self._structure(rng, K, self.D)

    def _structure(self, rng: np.random.Generator, *shape: int) -> Any:
        """Standard normal variables (L, ...) along the depth of each network, others akin to the first one's."""
        layers = len(self.quality) // self.networks
        first = along_depth(rng, layers, *shape)
        share = np.sqrt(self.kinship), np.sqrt(1 - self.kinship)
        others = [share[0] * first + share[1] * along_depth(rng, layers, *shape) for _ in range(1, self.networks)]
        return np.concatenate([first, *others])


@dataclass(frozen=True)
class Writers:
    """Fixed classes whose images come from writers drawn anew: each moves all its images, those of a class by more.

    A writer also draws the classes together or apart.

    Attributes:
        effects: distances of class means, of each layer.
        writers: their number; nested: of each class, else each writes all classes.
    """

    effects: tuple[float, ...]
    writers: int
    nested: bool = False
    D: int = 10

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Fold:
        L, y = len(self.effects), np.repeat(np.arange(K), n)
        writer = np.tile(np.arange(n) % self.writers, K) + (self.writers * y if self.nested else 0)
        W = int(writer.max()) + 1
        centres = along_depth(np.random.default_rng(29), L, K, self.D) / np.sqrt(2 * self.D)
        position = (0.5 * along_depth(rng, L, W, self.D))[:, writer]
        position += (0.3 * along_depth(rng, L, W, K, self.D))[:, writer, y]
        apart = np.array(self.effects)[:, None] * np.exp(0.25 * rng.normal(size=W))[writer]  # (L, N)
        embedded = apart[..., None] * centres[:, y] + position + along_depth(rng, L, len(y), self.D)
        return Fold(embedded[None].astype(np.float32), y, writer)


@dataclass(frozen=True)
class Pairs:
    """Fixed classes whose images come in pairs of near duplicates; `known` if the pairs are given as groups."""

    effects: tuple[float, ...]
    known: bool = False
    D: int = 10

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Fold:
        L, y, pair = len(self.effects), np.repeat(np.arange(K), n), np.arange(K * n) // 2
        centres = np.random.default_rng(31).normal(size=(K, self.D)) / np.sqrt(2 * self.D)
        noise = along_depth(rng, L, pair.max() + 1, self.D)[:, pair] + 0.4 * rng.normal(size=(L, K * n, self.D))
        embedded = np.array(self.effects)[:, None, None] * centres[y] + noise
        return Fold(embedded[None].astype(np.float32), y, pair if self.known else None)


@dataclass(frozen=True)
class Uneven:
    """Fixed classes of fixed, unequal sizes."""

    effects: tuple[float, ...]
    sizes: tuple[int, ...]
    D: int = 10

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Fold:
        L, y = len(self.effects), np.repeat(np.arange(K), self.sizes)
        centres = along_depth(np.random.default_rng(37), L, K, self.D) / np.sqrt(2 * self.D)
        embedded = np.array(self.effects)[:, None, None] * centres[:, y] + along_depth(rng, L, len(y), self.D)
        return Fold(embedded[None].astype(np.float32), y)


@dataclass(frozen=True)
class HubClasses:
    """Classes drawn anew in many dimensions, whose images lie near what all have in common, or a few of them far.

    Attributes:
        quality: of each layer.
        spread: of the logarithm of how far they lie.
        common: length of what all have in common, over that of the noise.
    """

    quality: tuple[float, ...]
    spread: float = 0.7
    D: int = 64
    common: float = COMMON

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Fold:
        L, y = len(self.quality), np.repeat(np.arange(K), n)
        apart = training(rng, seeds, np.broadcast_to(tau, L)) * np.array(self.quality)
        means, noise = along_depth(rng, L, K, self.D), along_depth(rng, L, K * n, self.D)
        length = np.exp(self.spread * along_depth(rng, L, K * n, 1))
        embedded = self.common + length * (apart[..., None, None] * means[:, y] + noise)
        return Fold(embedded.astype(np.float32), y)
