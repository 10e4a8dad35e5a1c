"""What habits reach beside the choice: layers and joins by number, and the table by plain loops."""

import csv
from collections import defaultdict

import numpy as np
import pytest

from docs.study import habits, kinds

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
    values, gains = [], {}
    scores = read_candidates(size)
    for kind, datasets in kinds.KINDS.items():
        own, last = (
            [
                np.mean([scores[name, network][key[0], key[1], key[2][i]] for name in datasets])
                for i, network in enumerate(LAYERS)
            ]
            for key in ((join, recipe, numbers), ("single", "plain", tuple(LAYERS.values())))
        )
        values.append(np.mean(own))
        gains[kind] = np.mean(own) - np.mean(last)
    mean, gain, least, _ = row_of(habit)[:4] if size == "64" else row_of(habit)[4:8]
    assert mean == f"{np.mean(values):.3f}"
    assert gain == f"{np.mean([*gains.values()]):+.3f}"
    worst = min(gains, key=gains.__getitem__)
    assert least == f"{gains[worst]:+.3f} ({worst})"


def test_habits_agree_with_the_steps_of_the_study():
    steps = kinds.kind_gains("map_at_r").mean()
    small, own = (float(row_of("last layer")[place]) for place in (0, 4))
    assert own - small == pytest.approx(steps["enlarging"], abs=0.0011)
    assert row_of("chosen layer")[5] == f"{steps['layer']:+.3f}"
    assert row_of("chosen representation")[5] == f"{steps['layer'] + steps['representation']:+.3f}"
    assert f"gains **{row_of('last layer, within')[5]}** over the last layer" in kinds.headline()
    assert float(row_of("last layer")[7]) == pytest.approx(float(row_of("chosen representation")[5]))


def test_the_best_habit_without_labels_is_that_of_the_table():
    rows = [line.split("|") for line in habits.habits_table().splitlines()[2:]]
    gains = {row[1].strip(): row[7].strip() for row in rows if not row[1].strip().startswith(("chosen", "last layer,"))}
    gains |= {habit: row_of(habit)[5] for habit in ("last layer, centred", "last layer, whitened")}
    best = max((gain for gain in gains.values() if gain != "–"), key=float)
    assert f"gains more than {best} MAP@R" in habits.habits_answer()


def test_random_weights_stand_beside_the_same_network():
    rows = habits.reached().query("size == 64 and habit == 'last layer'")
    each = rows.groupby(["network", "kind"], observed=True)["map_at_r"].mean().groupby("network").mean()
    random, trained = each["Lite0, random weights"], each["Lite0"]
    assert row_of("last layer, random weights (Lite0)")[:2] == [f"{random:.3f}", f"{random - trained:+.3f}"]
