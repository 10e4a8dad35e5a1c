import numpy as np
import pytest

from stages.core.scores import few_shot
from stages.core.scores.catalogue import LAYER_SCORES
from stages.core.scores.few_shot import EPISODES, draw_episodes, mean_correctness, usable_classes
from tests.measure.synthetic import blobs, embedded


def slow_correctness(X, y, shots, seed):
    """One query at a time, in double precision, over the same episodes."""
    X = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    F = X / np.linalg.norm(X, axis=1, keepdims=True)
    episodes = draw_episodes(usable_classes(y, shots), shots=shots, seed=seed)
    outcomes = {i: [] for i in range(len(y))}
    for support, queries in zip(episodes.support, episodes.queries, strict=True):
        means = [F[rows].mean(axis=0) for rows in support]
        for way, rows in enumerate(queries):
            for row in rows[rows >= 0]:
                nearest = min(range(len(means)), key=lambda w: np.linalg.norm(F[row] - means[w]))
                outcomes[row].append(nearest == way)
    return np.array([np.mean(outcomes[i]) for i in range(len(y))])


@pytest.mark.parametrize(("sizes", "shots"), [([20, 25, 15], 1), ([20, 25, 15], 5), ([9] * 7, 1)])
def test_images_are_classified_as_in_a_slow_loop(sizes, shots):
    X, y = blobs(sizes, 7, spread=2)
    found = mean_correctness(embedded(X, y).centred_directions, y, shots=shots, seed=3)
    assert found == pytest.approx(slow_correctness(X, y, shots, 3), abs=1e-12)
    assert 0.3 < found.mean() < 0.95


def test_batches_do_not_change_the_result(monkeypatch):
    X, y = blobs([20, 25, 15], 7, spread=2)
    F = embedded(X, y).centred_directions
    whole = mean_correctness(F, y, shots=5, seed=0)
    monkeypatch.setattr(few_shot, "BATCH_BYTES", 1)
    assert np.array_equal(mean_correctness(F, y, shots=5, seed=0), whole)


@pytest.mark.parametrize("shots", [1, 5])
def test_an_episode_draws_its_images_once_from_the_right_classes(shots):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(7), [40, 40, 30, 30, 17, 8, 6]))
    members = usable_classes(y, shots)
    episodes = draw_episodes(members, shots=shots, seed=0)
    assert episodes.support.shape == (EPISODES, 5, shots)
    assert episodes.queries.shape == (EPISODES, 5, 15)
    for support, queries in zip(episodes.support, episodes.queries, strict=True):
        drawn = np.concatenate([support.ravel(), queries[queries >= 0]])
        assert len(set(drawn.tolist())) == len(drawn)
        classes = y[support[:, 0]]
        assert len(set(classes.tolist())) == 5
        assert (y[support] == classes[:, None]).all()
        asked = (queries >= 0).sum(axis=1)
        assert asked.tolist() == np.minimum(15, np.bincount(y)[classes] - shots).tolist()
        assert (np.where(queries >= 0, y[queries], classes[:, None]) == classes[:, None]).all()


def test_classes_and_images_are_drawn_about_equally_often():
    y = np.repeat(np.arange(6), 40)
    episodes = draw_episodes(usable_classes(y, 1), shots=1, seed=0)
    classes = np.bincount(y[episodes.support[..., 0]].ravel())
    assert classes == pytest.approx(np.full(6, 500), abs=5 * np.sqrt(600 * 5 / 36))
    queries = np.bincount(episodes.queries.ravel(), minlength=240)
    assert queries.mean() == 600 * 5 * 15 / 240
    assert queries.std() < 15  # 187 draws each: of independent draws it would be 14 within classes alone
    support = np.bincount(episodes.support.ravel(), minlength=240)
    assert 0 < support.min() < support.max() < 40


@pytest.mark.parametrize(("K", "expected"), [(2, 600), (3, 600), (100, 600), (101, 606), (1000, 6000)])
def test_there_are_more_episodes_of_many_classes(K, expected):
    rows = np.arange(2 * K).reshape(K, 2)
    assert len(draw_episodes(list(rows), shots=1, seed=0).support) == expected


def test_of_many_small_classes_every_image_is_asked():
    X, y = blobs([8] * 1000, 3)
    found = LAYER_SCORES["few_shot_accuracy_1"].score(embedded(X, y))
    assert not np.isnan(found.per_image).any()
    assert found.left_out == 0
    queries = draw_episodes(usable_classes(y, 1), shots=1, seed=0).queries
    assert np.bincount(y[queries[queries >= 0]]).min() > 5 * 7  # more than five episodes of each class


def test_episodes_depend_on_the_seed_and_the_shots_and_not_on_the_names_of_classes():
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 30))
    first = draw_episodes(usable_classes(y, 1), shots=1, seed=0)
    renamed = draw_episodes(usable_classes(np.array([2, 0, 1])[y], 1), shots=1, seed=0)
    assert np.array_equal(renamed.queries, first.queries)
    assert not np.array_equal(draw_episodes(usable_classes(y, 1), shots=1, seed=1).queries, first.queries)


def test_ways_are_at_most_the_classes():
    X, y = blobs([20, 20, 20], 4)
    assert LAYER_SCORES["few_shot_accuracy_1"].score(embedded(X, y)).chance == 1 / 3
    X, y = blobs([10] * 8, 4)
    assert LAYER_SCORES["few_shot_accuracy_1"].score(embedded(X, y)).chance == 1 / 5


def test_classes_without_a_query_are_left_out():
    X, y = blobs([20, 20, 5, 6], 4)
    one, five = (LAYER_SCORES[f"few_shot_accuracy_{shots}"].score(embedded(X, y)) for shots in (1, 5))
    assert (one.left_out, five.left_out) == (0, 5)
    assert np.array_equal(np.isnan(five.per_image), y == 2)
    assert five.value == pytest.approx(five.per_image[y != 2].mean())
    assert five.chance == 1 / 3


def test_fewer_than_two_usable_classes_have_no_score():
    X, y = blobs([20, 5], 4)
    found = LAYER_SCORES["few_shot_accuracy_5"].score(embedded(X, y))
    assert np.isnan([found.value, found.chance, *found.per_image]).all()
    assert found.left_out == 25


def test_an_image_that_is_never_asked_has_its_classs_mean(monkeypatch):
    monkeypatch.setattr(few_shot, "QUERIES", 2)
    X, y = blobs([2000, 2100], 3, spread=3)
    queries = draw_episodes(usable_classes(y, 1), shots=1, seed=0).queries
    found = mean_correctness(embedded(X, y).centred_directions, y, shots=1, seed=0)
    asked = np.isin(np.arange(len(y)), queries)
    assert 0.3 < asked.mean() < 0.9
    for c in (0, 1):
        assert found[(y == c) & ~asked] == pytest.approx(found[(y == c) & asked].mean())


def test_more_shots_help():
    X, y = blobs([40] * 5, 8, spread=2)
    assert LAYER_SCORES["few_shot_accuracy_5"].score(embedded(X, y)).value > (
        LAYER_SCORES["few_shot_accuracy_1"].score(embedded(X, y)).value + 0.03
    )
