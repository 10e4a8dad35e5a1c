"""Few-shot classification by the nearest class mean (SimpleShot, Wang et al. 2019), in random episodes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...shared.workflow.seeding import child_seed
from .arrays import Classes, Float32, Float64, Rows, blocks

EPISODES = 600
"""Number of episodes; more where there are many classes."""

APPEARANCES = 30
"""Least number of episodes that a class takes part in, on average."""

WAYS = 5
QUERIES = 15
"""Images of each class that are classified in an episode."""

BATCH_BYTES = 2 * 2**20
"""Memory for the embeddings of a batch of episodes: they stay near the processor's cache."""


def mean_correctness(F: Float32, y: Classes, *, shots: int, seed: int) -> Float64:
    """Say for every image in which share of its episodes it is nearest to the mean of its own class's support.

    An episode draws min(5, K) classes, and of each `shots` images of support and 15 queries. There are 600, of more
    than 100 classes 6 K: that a class is never drawn has a probability below 1e-9 up to 10,000 classes. Episodes depend
    on the classes and the seed alone, so that all layers are measured in the same.

    Args:
        F: (N, D) float32, centred, of length 1.
        y: (N,) classes 0 ... K - 1, each occurring.
        shots: images of support of each class.
        seed: of the episodes.

    Returns:
        (N,); NaN of images in classes of `shots` images or fewer, which are left out, and of all if fewer than two
        classes are left. An image that no episode drew as a query has the mean of its class.
    """
    members = usable_classes(y, shots)
    if len(members) < 2:
        return np.full(len(y), np.nan)
    episodes = _episodes(y.astype(np.int64).tobytes(), shots, seed)
    asked, right = np.zeros(len(y)), np.zeros(len(y))
    for queries, correct in classify(F, episodes):
        asked += np.bincount(queries, minlength=len(y))
        right += np.bincount(queries[correct], minlength=len(y))
    return _shares(right, asked, members)


def _shares(right: Float64, asked: Float64, members: list[Rows]) -> Float64:
    shares = np.full(len(asked), np.nan)
    for rows in members:
        share = right[rows] / np.maximum(asked[rows], 1)
        shares[rows] = np.where(asked[rows] > 0, share, share[asked[rows] > 0].mean())
    return shares


def usable_classes(y: Classes, shots: int) -> list[Rows]:
    """Rows of every class of more than `shots` images, in the order in which the classes first appear.

    Args:
        y: (N,) classes.
        shots: images of support of each class.
    """
    classes, first = np.unique(y, return_index=True)
    members = [np.flatnonzero(y == c) for c in classes[np.argsort(first)]]
    return [rows for rows in members if len(rows) > shots]


@lru_cache(maxsize=2)  # layers of a split come one after the other, each for two numbers of shots
def _episodes(y: bytes, shots: int, seed: int) -> "Episodes":
    return draw_episodes(usable_classes(np.frombuffer(y, np.int64), shots), shots=shots, seed=seed)


@dataclass(frozen=True)
class Episodes:
    """E episodes of W ways.

    Attributes:
        support: (E, W, shots) rows of the images whose mean stands for a class.
        queries: (E, W, Q) rows of the images that are classified; -1 where a class has fewer.
    """

    support: Rows
    queries: Rows


def draw_episodes(members: list[Rows], *, shots: int, seed: int) -> Episodes:
    """Draw classes at random, and images of each class from shuffled decks, so that all are drawn about equally often.

    Within an episode no image is drawn twice. A class of fewer than `shots` + 15 images has fewer queries.

    Args:
        members: rows of every class, more than `shots` each.
        shots: images of support of each class.
        seed: of the draws.
    """
    rng = np.random.default_rng(child_seed(seed, "few-shot episodes", shots))
    ways = min(WAYS, len(members))
    episodes = max(EPISODES, math.ceil(APPEARANCES * len(members) / ways))
    chosen = np.stack([rng.random(len(members)).argsort()[:ways] for _ in range(episodes)])  # (E, W)
    support = np.empty((episodes, ways, shots), dtype=np.int64)
    queries = np.full((episodes, ways, QUERIES), -1)
    for number, rows in enumerate(members):
        slots = chosen == number
        asked = min(QUERIES, len(rows) - shots)
        drawn = _deal(rows, int(slots.sum()), shots + asked, rng)
        support[slots] = drawn[:, :shots]
        queries[slots, :asked] = drawn[:, shots:]
    return Episodes(support, queries)


def _deal(rows: Rows, episodes: int, size: int, rng: np.random.Generator) -> Rows:
    """Deal every episode different rows, from as many shuffled decks as it takes, (episodes, size)."""
    per_deck = len(rows) // size
    decks = rng.permuted(np.tile(rows, (math.ceil(episodes / per_deck), 1)), axis=1)
    return decks[:, : per_deck * size].reshape(-1, size)[:episodes]


def classify(F: Float32, episodes: Episodes) -> Iterator[tuple[Rows, NDArray[np.bool_]]]:
    """Classify every query by the nearest of its episode's class means, the first of equally near ones.

    The means are those of vectors of length 1 and are not scaled again, as in SimpleShot.

    Args:
        F: (N, D) float32.
        episodes: E episodes.

    Yields:
        For a batch of episodes, rows of the queries, and whether each is classified right.
    """
    count, ways, shots = episodes.support.shape
    images = ways * (shots + episodes.queries.shape[2])
    own = np.arange(ways)[:, None]
    for batch in blocks(count, BATCH_BYTES // (4 * images * F.shape[1])):
        support, queries = episodes.support[batch], episodes.queries[batch]
        means = F[support].mean(axis=2)  # (B, W, D)
        embedded = F[queries.reshape(len(queries), -1)]  # (B, W * Q, D)
        closeness = embedded @ means.transpose(0, 2, 1)
        closeness -= np.einsum("bwd,bwd->bw", means, means)[:, None] / 2  # (B, W * Q, W)
        correct = closeness.argmax(axis=2).reshape(queries.shape) == own
        yield queries[queries >= 0], correct[queries >= 0]
