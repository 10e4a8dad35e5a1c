"""What choosing a layer gains: the tables by hand and from the files by other code, and the cells they stand on."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from docs.study import collect, pictures, sentences, tables
from docs.tools import sources

CURVES = np.array([[0.1, 0.5, 0.4], [0.2, 0.3, 0.6], [0.1, 0.9, 0.5]])


def test_a_choice_by_hand():
    assert tables.chosen_elsewhere(CURVES).tolist() == [1, 1, 2]
    assert tables.reached(CURVES).tolist() == [0.5, 0.3, 0.5]
    assert tables.RULES["last"](CURVES) == pytest.approx((0.1 - 0.3 + 0.0) / 3)
    assert tables.regret(CURVES) == pytest.approx((0 + 0.3 + 0.4) / 3)
    assert tables.regret_at(CURVES, 0) == pytest.approx((0.4 + 0.4 + 0.8) / 3)
    assert tables.within(CURVES, 0.07).tolist() == [False, True, True]
    assert tables.height(CURVES, tables.LAYERS["last"]) == pytest.approx(0.5)


def test_the_best_layer_elsewhere_is_of_the_same_network():
    pairs = {("a", "n"): CURVES, ("b", "n"): CURVES[:, ::-1], ("a", "m"): CURVES}
    assert tables.best_elsewhere(pairs) == {("a", "n"): 1, ("b", "n"): 1}
    kinds = {(name, "n"): curves for name, curves in (("omniglot", CURVES), ("cifar100", CURVES[:, ::-1]))}
    assert tables.best_elsewhere(kinds, alike=True) == {}
    assert tables.best_elsewhere(kinds | {("tinyimagenet", "n"): CURVES}, alike=True) == {
        ("cifar100", "n"): 1, ("tinyimagenet", "n"): 1,
    }  # fmt: skip
    assert tables.best_elsewhere({("a", "n"): CURVES, ("b", "n"): CURVES[:, [1, 0, 2]]}) == {
        ("a", "n"): 0,
        ("b", "n"): 1,
    }


def rows_of(name: str, **wanted: str) -> dict[tuple[str, str], dict[str, list[float]]]:
    """Values of a file's rows with these entries, by dataset and network, then by fold in the order of depth."""
    found: dict[tuple[str, str], dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    with (tables.HERE / name).open() as file:
        for row in csv.DictReader(file):
            if all(row[key] == value for key, value in wanted.items()):
                own = found[row["dataset"], row["network"]][row["fold"]]
                own.setdefault(int(row["depth"]), []).append(float(row["value"]))
    return {
        pair: {fold: [sum(own[d]) / len(own[d]) for d in sorted(own)] for fold, own in folds.items()}
        for pair, folds in found.items()
    }


def gain(folds: dict[str, list[float]]) -> float:
    """Gain over the last layer by plain loops."""
    gains = []
    for fold, judged in folds.items():
        means = [sum(column) for column in zip(*(own for other, own in folds.items() if other != fold), strict=True)]
        gains.append(judged[means.index(max(means))] - judged[-1])
    return sum(gains) / len(gains)


def test_the_means_of_enlarged_networks_by_plain_loops():
    wanted = {"score": "map_at_r", "rows": "unit"}
    small = rows_of("frozen.csv", **wanted)
    large = rows_of("cells.csv", input="224", tuned="False", **wanted)
    (line,) = (line for line in tables.enlarged_table().splitlines() if line.startswith("| MAP@R "))
    cells = [cell.strip().split(" / ")[0] for cell in line.split("|")[2:4]]
    for found, cell in zip((small, large), cells, strict=True):
        by_dataset = [[gain(found[name, network]) for network in tables.SIZED] for name in tables.GLYPHS]
        assert cell == tables.signed(sum(map(sum, by_dataset)) / 9)


def test_gains_after_fine_tuning_by_plain_loops():
    found = rows_of("tuned.csv", network="Lite0", step="500", score="probe_accuracy")
    table = tables.tuned_table(tables.read_tuned())
    for dataset, network in found:
        (line,) = [line for line in table.splitlines() if line.startswith(f"| {dataset} | {network} |")]
        assert line.split("|")[4].strip().endswith(f"→ {gain(found[dataset, network]):+.3f}")


def write_cell(folder: Path, *, done: bool) -> None:
    """Write what the measure stage leaves of a cell, as far as it is read."""
    rows = [
        {"dataset": "d", "fold": 0, "seed": 0, "step": 500, "split": split, "layer": "l", "depth": depth,
         "metric": metric, "value": value}
        for split, depth, metric, value in (
            ("unseen", 0, "nmi", 0.5), ("unseen", -1, "nmi", 0.1), ("test", 0, "nmi", 0.2),
            ("unseen", 0, "collapse", 3), ("unseen", 0, "probe_accuracy", 0.75),
        )
    ]  # fmt: skip
    for kind in ("l2", "raw"):
        (folder / kind).mkdir(parents=True)
        pd.DataFrame(rows).to_csv(folder / kind / "layers.csv", index=False)
    if done:
        (folder / "done").touch()


def test_complete_cells_are_collected_and_earlier_ones_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collect, "CELLS", tmp_path / "cells.csv")
    write_cell(tmp_path / "one/tuned64/d/efficientnet_lite0/0/0", done=True)
    write_cell(tmp_path / "one/tuned64/d/efficientnet_lite0/1/0", done=False)
    write_cell(tmp_path / "two/frozen128/d/lite0_frozen_128/0/0", done=True)
    collect.main(tmp_path / "one")
    collect.main(tmp_path / "two")
    found = pd.read_csv(tmp_path / "cells.csv")
    assert len(found) == 2 * 3
    assert {*found[["input", "tuned"]].itertuples(index=False, name=None)} == {(64, True), (128, False)}
    assert {*found[["rows", "score"]].itertuples(index=False, name=None)} == {
        ("unit", "nmi"), ("raw", "nmi"), ("raw", "probe_accuracy"),
    }  # fmt: skip


def test_planned_cells_are_run_or_named():
    planned = sum(sum(folds.values()) for *_, folds, _ in sentences.PLAN)
    cells = pd.concat([tables.read_scores("cells.csv"), tables.read_tuned([64]).assign(tuned=True)])
    run = cells[["dataset", "network", "input", "tuned", "seed", "fold"]].drop_duplicates()
    named = [line.split("|")[3] for line in sentences.missing_table().splitlines()[2:-1]]
    assert 0 < planned - sum(int(cell.split(" of ")[0]) for cell in named) <= len(run)


def test_the_picture_of_input_sizes_is_of_the_study():
    assert sources.is_current(sources.ROOT / "docs/images/input_size.png")


def test_the_pictures_titles_hold_for_every_kind():
    labels, sizes = pictures.label_gains(), pictures.size_gains()
    assert [*labels] == [*sizes] == ["strokes", "photos", "six other kinds"]
    assert [own.shape[1] for own in labels.values()] == [own.shape[1] for own in sizes.values()] == [3, 2, 6]
    assert all((own.mean(axis=1).loc[5:] >= 0).all() for own in labels.values())
    assert all(own.mean(axis=1).is_monotonic_decreasing for own in sizes.values())
