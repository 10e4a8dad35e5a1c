"""What habits reach beside the choice: layers and joins by number, and the table by plain loops."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from docs.study import habits, kinds
from docs.study.by_axis import Embedded

LAYERS = {"Lite0": 9, "MobileNetV2": 19}


def read_candidates(size: str) -> dict[tuple[str, str], dict[tuple[str, str, int], float]]:
    """Read MAP@R by dataset and network, then by join, recipe and number of the last layer."""
    found = defaultdict[tuple[str, str], dict[tuple[str, str, int], float]](dict)
    with (kinds.HERE / "by_axis_candidates.csv").open() as file:
        for row in csv.DictReader(file):
            if row["size"] == size and row["network"] in LAYERS:
                key = row["join"], row["recipe"], int(row["layer"].split("_")[1]) + 1
                found[row["dataset"], row["network"]][key] = float(row["map_at_r"])
    return found


def row_of(habit: str) -> list[str]:
    """Return the cells of one row of the table."""
    line = next(line for line in habits.habits_table().splitlines() if line.startswith(f"| {habit} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


@pytest.mark.parametrize(
    ("habit", "join", "recipe", "numbers"),
    [
        ("second-to-last layer", "single", "plain", (8, 18)),
        ("layer at two thirds of the depth", "single", "plain", (6, 13)),
        ("all, joined", "all", "plain", (9, 19)),
        ("last layer, within", "single", "within", (9, 19)),
    ],
)
@pytest.mark.parametrize("size", ["64", "224"])
def test_a_habit_by_plain_loops(habit: str, join: str, recipe: str, numbers: tuple[int, int], size: str):
    gains = {}
    scores = read_candidates(size)
    for kind, datasets in kinds.KINDS.items():
        own, last = (
            [
                np.mean([scores[name, network][key[0], key[1], key[2][i]] for name in datasets])
                for i, network in enumerate(LAYERS)
            ]
            for key in ((join, recipe, numbers), ("single", "plain", tuple(LAYERS.values())))
        )
        gains[kind] = np.mean(own) - np.mean(last)
    strokes, photos, others, mean, small = row_of(habit)
    assert (mean if size == "224" else small) == f"{np.mean([*gains.values()]):+.3f}"
    if size == "224":
        assert (strokes, photos) == (f"{gains.pop('strokes'):+.3f}", f"{gains.pop('photos'):+.3f}")
        assert others == f"{min(gains.values()):+.3f} to {max(gains.values()):+.3f}"


def test_habits_agree_with_the_steps_of_the_study():
    steps = kinds.kind_gains("map_at_r").mean()
    own, small = (float(cell) for cell in row_of("last layer (MAP@R)")[3:])
    assert own - small == pytest.approx(steps["enlarging"], abs=0.0011)
    assert row_of("chosen layer")[3] == f"{steps['layer']:+.3f}"
    assert row_of("chosen representation")[3] == f"{steps['layer'] + steps['representation']:+.3f}"
    assert f"gains **{row_of('last layer, within')[3]}** over the last layer" in kinds.headline()


def test_the_best_habit_without_labels_is_that_of_the_table():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in habits.habits_table().splitlines()[3:]]
    labelled = ("chosen layer", "chosen representation", "last layer, within")
    gains = {row[0]: float(row[4]) for row in rows if row[0] not in labelled and row[4] != "–"}
    best = max(gains, key=gains.__getitem__)
    assert f"gains more than {gains[best]:+.3f} MAP@R ({best})" in habits.habits_answer()


def test_random_weights_stand_beside_the_same_network():
    rows = habits.reached().query("size == 64 and habit.str.startswith('last layer')")
    each = rows.groupby(["network", "habit", "kind"], observed=True)["map_at_r"].mean()
    last, random = (each["Lite0", habit].mean() for habit in (habits.LAST, habits.UNTRAINED))
    assert row_of(habits.UNTRAINED)[-1] == f"{random - last:+.3f}"


def test_a_mean_over_one_network_is_compared_with_this_network():
    rows = habits.reached().query("size == 224 and network == 'Lite0'")
    each = rows.groupby(["habit", "kind"], observed=True)["map_at_r"].mean().unstack().mean(axis=1)
    assert row_of(habits.LOGITS)[3] == f"{each[habits.LOGITS] - each[habits.LAST]:+.3f}"


def test_logits_and_a_token_beside_the_mean_are_made_of_the_last_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(0)
    token, mean = random.standard_normal((2, 6, 3)).astype(np.float32)
    np.savez(
        tmp_path / "own.npz",
        labels=np.array(["a", "b"] * 3), groups=np.full(6, ""), layer_00_x=token, **{"layer_00_x@mean": mean},
    )  # fmt: skip
    own = Embedded(tmp_path / "own.npz")
    np.testing.assert_array_equal(habits.beside(own), np.concatenate([token, mean], axis=1))
    weights, biases = random.standard_normal((4, 3)), np.arange(4.0)
    monkeypatch.setattr(habits, "head", lambda: (weights, biases))
    np.testing.assert_allclose(habits.logits(own)[2], weights @ token[2] + biases)
