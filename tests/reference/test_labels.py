"""The bench of few labels: its scores against scikit-learn and plain loops, and what its tables make of its files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import normalized_mutual_info_score
from sklearn.preprocessing import StandardScaler

from docs.study import label_tables, labels
from docs.tools import sources

IMAGES = 12


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    """Six classes of twelve images, which overlap."""
    random = np.random.default_rng(0)
    centres = np.repeat(random.standard_normal((6, 8)), IMAGES, axis=0)
    return (centres + 1.1 * random.standard_normal((6 * IMAGES, 8))).astype(np.float32)


def drawn(C: int, n: int) -> NDArray[np.int64]:
    return (np.arange(C)[:, None] * IMAGES + np.arange(n)).reshape(-1)


@pytest.mark.parametrize(("C", "n"), [(2, 2), (3, 5), (6, 12)])
def test_neighbour_scores_are_those_of_a_plain_loop(images: NDArray[np.float32], C: int, n: int):
    rows = labels.unit_rows(images)
    own, y = drawn(C, n), np.repeat(np.arange(C), n)
    distances = labels.marked_distances(rows, np.repeat(np.arange(6), IMAGES))
    (map_at_r,), (nn1,) = labels.neighbour_scores(distances[np.ix_(own, own)][None], n)
    similarity = rows[own].astype(float) @ rows[own].T
    np.fill_diagonal(similarity, -np.inf)
    right = y[np.argsort(-similarity, axis=1)[:, : n - 1]] == y[:, None]
    precisions = right * right.cumsum(axis=1) / np.arange(1, n)
    assert map_at_r == pytest.approx(precisions.mean())
    assert nn1 == pytest.approx(right[:, 0].mean())


def test_a_layer_that_maps_all_images_to_one_point_scores_no_more_than_chance():
    point = labels.unit_rows(np.full((24, 5), 0.3, np.float32))
    distances = labels.marked_distances(point, np.repeat(np.arange(3), 8))
    (map_at_r,), (nn1,) = labels.neighbour_scores(distances[None], 8)
    assert map_at_r <= 1 / 3
    assert nn1 <= 1 / 3
    assert labels.few_shot(point[None], 8)[0] == pytest.approx(1 / 3)
    assert labels.clustering_scores(point[None], 8, np.random.default_rng(0))[0] == pytest.approx(0)
    assert labels.probe(point.reshape(1, 3, 8, 5), 4, 50)[0] == pytest.approx(1 / 3)


def test_few_shot_is_leave_one_number_out(images: NDArray[np.float32]):
    rows = labels.unit_rows(images)[drawn(4, 3)]
    right = 0
    for index in range(12):
        c, i = divmod(index, 3)
        centroids = [rows[[3 * k + j for j in range(3) if j != i]].mean(axis=0) for k in range(4)]
        right += int(np.argmin([np.linalg.norm(rows[index] - centroid) for centroid in centroids])) == c
    assert labels.few_shot(rows[None], 3)[0] == pytest.approx(right / 12)


def test_k_means_finds_what_scikit_learn_finds(images: NDArray[np.float32]):
    rows = labels.unit_rows(images)
    y = np.repeat(np.arange(6), IMAGES)
    found = labels.clustering_scores(np.stack([rows] * 8), IMAGES, np.random.default_rng(0))
    fits = [KMeans(6, n_init=4, random_state=seed).fit(rows) for seed in range(8)]
    assert found.mean() == pytest.approx(
        np.mean([normalized_mutual_info_score(y, fit.labels_) for fit in fits]), abs=0.06
    )
    perfect = np.repeat(np.eye(3, 4, dtype=np.float32), 5, axis=0)
    assert labels.clustering_scores(perfect[None], 5, np.random.default_rng(0))[0] == pytest.approx(1)


@pytest.mark.parametrize("D", [4, 8, 60])
def test_the_probe_is_logistic_regression(images: NDArray[np.float32], D: int):
    X = np.concatenate([images] * 8, axis=1)[:, :D] + np.random.default_rng(1).standard_normal((72, D)).astype("f4") / 2
    y, fold = np.repeat(np.arange(6), IMAGES), np.tile(np.arange(IMAGES) % 4, 6)
    right = 0
    for held_out in range(4):
        train, test = fold != held_out, fold == held_out
        scaler = StandardScaler().fit(X[train])
        fit = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(scaler.transform(X[train]), y[train])
        right += (fit.predict(scaler.transform(X[test])) == y[test]).sum()
    found = labels.probe(X.reshape(1, 6, IMAGES, D), 4, 400)[0]
    assert abs(found - right / 72) < 1.5 / 72  # one prediction may lie on the border


def test_draws_choose_on_classes_that_do_not_judge():
    found = labels.draw(25, 20, seed=3)
    assert found.judging.shape == (10, 10, 20)
    assert found.choosing.shape == (10, 20, 15, 20)
    for judging, choosing in zip(found.judging, found.choosing, strict=True):
        assert not set(judging.reshape(-1) // 20) & set(choosing.reshape(-1) // 20)
        for each in choosing:
            assert len(set(each.reshape(-1))) == each.size
            assert (np.diff(each // 20, axis=1) == 0).all()
    assert (8, 20) in found.cells
    assert (2, 50) not in found.cells
    assert len(np.unique(labels.draw(20, 60, seed=0).judging // 60)) == 20


def test_losses_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(label_tables, "HERE", tmp_path)
    pair = {"dataset": "a", "network": "n", "score": "nmi"}
    judged = [pair | {"set": 0, "values": "0.5 0.9 0.6"}, pair | {"set": 1, "values": "0.2 0.4 0.3"}]
    judged.append(pair | {"dataset": "b", "set": 0, "values": "0.1 0.1 0.5"})
    pd.DataFrame(judged).to_csv(tmp_path / "labels_judged.csv", index=False)
    chosen = [
        pair | {"classes": 2, "images": 5, "layers": "abcb", "deepest": "bbcb"},
        pair | {"dataset": "b", "classes": 2, "images": 5, "layers": "ccca", "deepest": "cccb"},
    ]
    pd.DataFrame(chosen).to_csv(tmp_path / "labels_chosen.csv", index=False)
    losses = label_tables.read_losses()["nmi", (2, 5)]
    assert losses["a", "n"] == pytest.approx([0.4, 0.0, 0.1, 0.0])
    assert losses["b", "n"] == pytest.approx([0, 0, 0, 0.4])
    assert label_tables.read_losses("deepest")["nmi", (2, 5)]["a", "n"] == pytest.approx([0, 0, 0.1, 0])
    found = label_tables.summarize(losses)
    assert found.mean == pytest.approx((0.125 + 0.1) / 2)
    assert found.high - found.mean == pytest.approx(12.706 * 0.0125, rel=1e-3)
    assert (found.in_19_of_20, found.worst, found.pairs) == (pytest.approx(0.4), pytest.approx(0.125), 2)
    last = label_tables.rule_losses("nmi", "last layer")
    assert last["a", "n"] == pytest.approx([0.3, 0.1])
    before = label_tables.rule_losses("nmi", "two thirds")
    assert before["a", "n"] == pytest.approx([0, 0])


def test_the_recorded_numbers_are_those_of_the_draws():
    assert label_tables.json_text() == (label_tables.HERE / "labels.json").read_text()
    page = " ".join((label_tables.HERE.parent / "five-datasets.md").read_text().split())
    assert [words for words in label_tables.statements() if words not in page] == []
    assert sources.is_current(sources.ROOT / "docs/images/few_labels.png")
