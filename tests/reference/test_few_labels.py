"""The test of MAP@R as the rule for few labels: what draws hold, what choices lose, and when the rule is adopted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from docs.study import few_labels
from stages.aggregate.words.labels import FELL_SHORT


@pytest.mark.parametrize(("K", "C", "judged"), [(20, 5, 10), (12, 8, 4), (8, 5, 3)])
def test_classes_that_judge_are_not_in_the_draw(K: int, C: int, judged: int):
    found = few_labels.draw(np.arange(K * 30).reshape(K, 30), C, np.random.default_rng(0))
    assert found.unseen
    assert found.judging.shape == (10, judged, 30)
    assert found.choosing.shape == (10, 6, C, 10)
    for judges, draws in zip(found.judging, found.choosing, strict=True):
        assert not {*(judges.reshape(-1) // 30)} & {*(draws.reshape(-1) // 30)}
        assert (np.diff(draws // 30, axis=2) == 0).all()
        assert all(len({*each.reshape(-1)}) == each.size for each in draws)


def test_where_too_few_classes_are_left_other_images_judge():
    found = few_labels.draw(np.arange(10 * 30).reshape(10, 30), 8, np.random.default_rng(0))
    assert not found.unseen
    assert found.judging.shape == (10, 10, 15)
    for judges, draws in zip(found.judging, found.choosing, strict=True):
        assert not {*judges.reshape(-1)} & {*draws.reshape(-1)}


def test_the_span_of_rows_keeps_their_distances():
    rows = np.random.default_rng(0).standard_normal((3, 7, 40)).astype(np.float32)
    spanned = few_labels.own_span(rows)
    assert spanned.shape == (3, 7, 7)
    before, after = (np.linalg.norm(X[:, :, None] - X[:, None], axis=3) for X in (rows, spanned))
    np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """Twelve classes of 20 images in tracks of two, which the second of three layers separates."""
    random = np.random.default_rng(0)
    labels = np.repeat([f"{c:02d}" for c in range(12)], 40)
    noise = random.standard_normal((3, 480, 16)).astype(np.float32)
    centres = np.repeat(np.eye(12, 16, dtype=np.float32), 40, axis=0) * 40
    layers = {f"layer_{i:02d}_x": noise[i] + (centres if i == 1 else 0) for i in range(3)}
    path = tmp_path / "trafficsigns-efficientnet_lite0-64.npz"
    groups = np.repeat([f"{track:03d}" for track in range(240)], 2)
    np.savez(path, labels=labels, groups=groups, paths=labels, **layers)  # type: ignore[arg-type]
    return path


def test_one_image_of_each_track_is_taken(embeddings: Path):
    layers, rows = few_labels.read_layers(embeddings, "trafficsigns")
    assert rows.shape == (12, 20)
    assert len(few_labels.read_layers(embeddings, "textures")[1][0]) == 40
    assert (layers[1].argmax(axis=1) == np.repeat(np.arange(12), 20)).all()


def test_a_layer_that_separates_loses_nothing_and_is_missed_only_where_another_ties(embeddings: Path):
    table = pd.DataFrame(few_labels.of_file(embeddings, "trafficsigns"))
    assert len(table) == 3 * sum(map(len, few_labels.CELLS.values()))
    assert set(table["draws"]) == {60}
    assert table["best"].to_numpy() == pytest.approx(1)
    assert table["map_at_r"].to_numpy() == pytest.approx(0)
    assert table.loc[table["classes"] > 2, "own"].to_numpy() == pytest.approx(0)
    assert table.loc[0, ["use", "classes", "images"]].tolist() == ["probe_accuracy", 2, 5]
    assert table.loc[0, "own"] > table.loc[0, "own_then_map_at_r"]  # noise before it may separate ten images, too


def test_ties_go_to_the_first_layer_or_as_said():
    own = np.array([[0.5, 0.1], [0.5, 0.4], [0.5, 0.4], [0.2, 0.2]])
    map_at_r = np.array([[0.1, 0.9], [0.3, 0.2], [0.2, 0.3], [0.8, 0.1]])
    found = {rule: layers.tolist() for rule, layers in few_labels.choices(own, map_at_r).items()}
    assert found == {"own": [0, 1], "map_at_r": [3, 0], "own_deepest": [2, 2], "own_then_map_at_r": [1, 2]}


def test_the_rule_is_adopted_if_it_saves_on_most_datasets_by_two_standard_errors():
    saved = {
        "probe_accuracy": [0.01] * 3 + [-0.001] * 3,
        "nn1_accuracy": [0.02, 0.02, 0.03, 0.03, 0.02, 0.0],
        "nmi": [0.3] + [0.001] * 5,
    }
    rows = [
        {
            "use": use,
            "dataset": f"set{i}",
            "own": 0.4,
            "map_at_r": 0.4 - value,
            "own_deepest": 0.4,
            "own_then_map_at_r": 0.39,
            "last": 0.5,
        }
        for use, values in saved.items()
        for i, value in enumerate(values)
    ]
    lines = few_labels.decision_table(pd.DataFrame(rows)).splitlines()
    assert [line.rstrip(" |").rpartition(" ")[2] for line in lines[2:]] == ["no", "yes", "no"]
    assert lines[3] == "| 1-NN | 0.400 | 0.400 | 0.390 | 0.380 | 0.500 | +0.0200 | 0.0045 | 5 of 6 | yes |"


def test_the_recorded_losses_are_of_all_datasets_and_networks():
    table = pd.read_csv(few_labels.TABLE)
    each = table.groupby("use")[["dataset", "network", "input"]].apply(lambda own: len(own.drop_duplicates()))
    assert set(each) == {len(few_labels.SETS) * len(few_labels.NETWORKS) * len(few_labels.SIZES)}
    assert (table[["own", "map_at_r", "last"]] >= 0).all(axis=None)


def test_the_sentence_about_few_labels_has_the_table_s_numbers():
    draws = pd.read_csv(few_labels.TABLE)
    of_nmi = draws[draws["use"] == "nmi"].groupby("dataset")[["own", "map_at_r"]].mean().mean()
    assert {"nmi": round(of_nmi["own"], 3), "map_at_r": round(of_nmi["map_at_r"], 3)} == FELL_SHORT
