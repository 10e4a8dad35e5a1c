"""A row of zeros has no direction: scaled to length 1 it is at a right angle to all others, and nobody's neighbour."""

import numpy as np
from sklearn.metrics.pairwise import cosine_distances

from stages.core.scores.embedded_split import scaled, unit_rows
from stages.core.scores.neighbours import scan
from tests.measure.synthetic import blobs


def test_neighbours_are_those_by_cosine_similarity():
    X, y = blobs([12] * 4, 16, spread=1.5)
    X -= X.mean(axis=0)
    X[3] = 0
    found = scan(scaled(X, "l2"), y, 1, kept=12)
    distances = cosine_distances(X.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    others = np.arange(len(X)) != 3
    assert np.array_equal(found.nearest[others], distances.argsort(axis=1, kind="stable")[others, :12])
    assert not (found.nearest[others] == 3).any()


def test_rows_without_zeros_keep_their_bytes():
    X, _ = blobs([5, 6], 3)
    assert scaled(X, "l2").tobytes() == unit_rows(X).tobytes()
    X[2] = 0
    assert scaled(X, "none") is X
    assert scaled(X, "l2").shape == (11, 4)
