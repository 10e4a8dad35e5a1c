"""Populations of images whose scores have a known expectation: embeddings of several layers, drawn anew at will.

A fold is one choice of K classes, n images of each, and S trained networks: (S, L, N, D) embeddings. Where classes are
fixed every fold has the same ones, and only images are new.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

REAL_LAYERS = Path(__file__).with_name("real_layers.npz")

COMMON = 2.0
"""Length of what all images have in common, over that of the noise, where some of them are hubs: in the frozen
EfficientNet-Lite0 it is 1.1 to 2.9 at layers 4 to 9 on calligraphy, 0.6 to 1.2 on CIFAR-100."""


class Population(Protocol):
    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Any:
        """Draw one fold, (S, L, K n, D) float32, images in order of classes; `tau` is the training noise of layers."""
        ...


def training(rng: np.random.Generator, seeds: int, tau: Any, networks: int = 1) -> Any:
    """Factors of the layers' class separation, (S, L): exp(tau z), z correlated along a network's depth."""
    tau = np.asarray(tau, float)
    z = rng.normal(size=(seeds, networks, len(tau) // networks))
    for layer in range(1, z.shape[2]):
        z[..., layer] = 0.7 * z[..., layer - 1] + np.sqrt(1 - 0.7**2) * z[..., layer]
    return np.exp(tau * z.reshape(seeds, -1))


@dataclass(frozen=True)
class Mixture:
    """Fixed Gaussian classes; `effects` are the distances of class means over the noise's spread, one for each layer.

    Layers share half of the noise's variance.
    """

    effects: tuple[float, ...]
    D: int = 8

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Any:
        centres = np.random.default_rng(7).normal(size=(K, self.D)) / np.sqrt(2 * self.D)
        y, layers = np.repeat(np.arange(K), n), len(self.effects)
        noise = rng.normal(size=(layers, K * n, self.D))
        if layers > 1:
            noise = (noise + rng.normal(size=(1, K * n, self.D))) / np.sqrt(2)
        means = np.array(self.effects)[:, None, None] * centres[y]
        return (means + noise)[None].astype(np.float32)


@dataclass(frozen=True)
class Hubs:
    """Fixed classes in many dimensions whose images lie near what all have in common, or far: near ones are hubs.

    Attributes:
        effects: of each layer.
        spread: of the logarithm of how far they lie.
        common: length of what all have in common, over that of the noise.
    """

    effects: tuple[float, ...]
    D: int = 256
    spread: float = 0.4
    common: float = COMMON

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Any:
        centres = np.random.default_rng(13).normal(size=(K, self.D))
        y = np.repeat(np.arange(K), n)
        length = np.exp(self.spread * rng.normal(size=(K * n, 1)))
        noise = rng.normal(size=(len(self.effects), K * n, self.D)) + rng.normal(size=(1, K * n, self.D))
        means = np.array(self.effects)[:, None, None] * centres[y]
        return (self.common + length * (means + noise / np.sqrt(2)))[None].astype(np.float32)


@dataclass(frozen=True)
class Domain:
    """Classes drawn anew from a domain with families of look-alikes, unlike in easiness, spread and shape.

    The structure of classes is correlated by 0.6 across layers, the noise of images by 0.5. Images show one of six
    words, common to all classes, and each class falls into one to three sub-clusters.

    Attributes:
        quality: how far the class means lie apart in each layer; of several networks one after the other.
        families: number of families; the fewer, the more classes look alike.
        kinship: share of the variance of class means that a family has in common.
        networks: number of networks whose layers these are.
    """

    quality: tuple[float, ...]
    families: int = 8
    kinship: float = 0.4
    word: float = 0.35
    networks: int = 1
    D: int = 12

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Any:
        L, y = len(self.quality), np.repeat(np.arange(K), n)
        means = self._class_means(rng, K)  # (L, K, D)
        separation = training(rng, seeds, np.broadcast_to(tau, L), self.networks) * np.array(self.quality)  # (S, L)
        noise = np.sqrt(0.5) * (rng.normal(size=(L, K * n, self.D)) + rng.normal(size=(1, K * n, self.D)))
        noise *= np.exp(0.2 * rng.normal(size=K))[y][:, None]
        noise += self._within(rng, y)
        return (separation[:, :, None, None] * means[:, y] + noise).astype(np.float32)

    def _class_means(self, rng: np.random.Generator, K: int) -> Any:
        L, fixed = len(self.quality), np.random.default_rng(17)
        families = _correlated(fixed, 0.6, L, self.families, self.D)
        own = _correlated(rng, 0.6, L, K, self.D)
        means = (
            np.sqrt(self.kinship) * families[:, rng.integers(self.families, size=K)] + np.sqrt(1 - self.kinship) * own
        )
        return np.exp(0.25 * rng.normal(size=K))[:, None] * means

    def _within(self, rng: np.random.Generator, y: Any) -> Any:
        """Words and sub-clusters, (L, N, D)."""
        L, N, K = len(self.quality), len(y), int(y.max()) + 1
        words = _correlated(np.random.default_rng(19), 0.6, L, 6, self.D)
        parts = _correlated(rng, 0.6, L, 3 * K, self.D)
        part = 3 * y + (rng.random(N) * rng.integers(1, 4, size=K)[y]).astype(int)
        return self.word * words[:, rng.integers(6, size=N)] + 0.5 * parts[:, part]


def _correlated(rng: np.random.Generator, share: float, L: int, *shape: int) -> Any:
    """Normal variables of every layer that have a share of their variance in common, (L, ...)."""
    return np.sqrt(share) * rng.normal(size=(1, *shape)) + np.sqrt(1 - share) * rng.normal(size=(L, *shape))


@dataclass(frozen=True)
class RealLayers:
    """A smoothed population after real classes at the nine layers of EfficientNet-Lite0 with ImageNet weights.

    A class is the mean of all classes, 0.6 of a real class's deviation from it and 0.8 of a normal draw with the real
    covariance between classes; its images are the real class's deviations from its own mean, smoothed by a normal
    kernel. Written by `real_layers.py`, from rows of length 1.

    Attributes:
        name: `calligraphy` (20 artists) or `cifar100` (25 classes).
        fixed: whether classes are the same in every fold.
    """

    name: str
    fixed: bool = False
    bandwidth: float = field(default=0.5)

    @cached_property
    def stored(self) -> tuple[Any, Any]:
        """Class means (C, L, D) and deviations (C, M, L, D)."""
        with np.load(REAL_LAYERS) as arrays:
            means, scale = arrays[f"{self.name}_means"].astype(float), arrays[f"{self.name}_scale"].astype(float)
            return means, arrays[f"{self.name}_deviations"] * scale

    def fold(self, rng: np.random.Generator, K: int, n: int, seeds: int, tau: Any) -> Any:
        means, deviations = self.stored
        C, M, L, D = deviations.shape
        choice = np.random.default_rng(23) if self.fixed else rng
        real, common = choice.choice(C, K, replace=False), means.mean(axis=0)
        drawn = np.einsum("kc,cld->kld", choice.normal(size=(K, C)), means - common) / np.sqrt(C - 1)
        centres = 0.6 * (means[real] - common) + 0.8 * drawn  # (K, L, D)
        pool = deviations[real]  # (K, M, L, D)
        picked = pool[np.arange(K)[:, None], rng.integers(M, size=(K, n))]
        kernel = np.einsum("knm,kmld->knld", rng.normal(size=(K, n, M)), pool) / np.sqrt(M)
        images = (picked + self.bandwidth * kernel) / np.sqrt(1 + self.bandwidth**2)
        separation = training(rng, seeds, np.broadcast_to(tau, L))  # (S, L)
        embedded = common + separation[:, None, None, :, None] * centres[:, None] + images  # (S, K, n, L, D)
        return embedded.reshape(seeds, K * n, L, D).transpose(0, 2, 1, 3).astype(np.float32)
