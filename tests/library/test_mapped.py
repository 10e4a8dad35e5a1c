"""Rows of files that are mapped to memory."""

from pathlib import Path

import numpy as np

from stages.library.checks import MAPPED_ROWS, take_rows


def test_rows_of_a_mapped_file_and_of_its_parts_are_those_of_an_array(tmp_path: Path):
    X = np.random.default_rng(0).standard_normal((3 * MAPPED_ROWS, 4)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    rows = np.arange(0, len(X) - 5, 2)
    for mode in ("r", "r+", "c"):
        mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
        for own, expected in ((mapped, X), (mapped[5:], X[5:]), (np.asarray(mapped), X), (mapped.T[1:].T, X[:, 1:])):
            np.testing.assert_array_equal(take_rows(own, rows), expected[rows])


def test_what_was_changed_in_a_writable_file_is_kept(tmp_path: Path):
    np.save(tmp_path / "X.npy", np.zeros((1000, 2), np.float32))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r+")
    mapped[3] = 7
    take_rows(mapped, np.arange(500))
    assert mapped[3].tolist() == [7, 7]
