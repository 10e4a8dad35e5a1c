"""The sentences of docs/paper.md say what the committed study and pilot say."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.reference.replication import NAMES, read_cells, replication_table, unseen_nmi

DOCS = Path(__file__).parents[2] / "docs"
PAGE = " ".join((DOCS / "paper.md").read_text().replace("\n>", "\n").split())
LITES = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
CELLS = read_cells(DOCS / "study")
PILOT = pd.read_csv(DOCS / "pilot/results/summary.csv")


def study(dataset: str, model: str, step: int = 500) -> pd.DataFrame:
    return unseen_nmi(CELLS[(CELLS["dataset"] == dataset) & (CELLS["model"] == model)], step)


def pilot(dataset: str, metric: str = "nmi") -> pd.DataFrame:
    return PILOT[(PILOT["dataset"] == dataset) & (PILOT["metric"] == metric)].set_index("fold")


def test_a_row_of_the_table_by_hand(tmp_path: Path):
    rows = [
        {"split": "unseen", "step": step, "depth": depth, "layer": f"b{depth}", "seed": seed, "metric": "nmi"}
        | {"value": value + seed / 10}
        for step, values in {0: (0.9, 0.1, 0.3), 500: (0.9, 0.5, 0.4)}.items()
        for depth, value in zip((-1, 0, 1), values, strict=True)
        for seed in (0, 1)
    ]
    rows.append({"split": "test", "step": 500, "depth": None, "layer": "head", "seed": 0, "metric": "accuracy"})
    cells = pd.DataFrame(rows).assign(dataset="cifar100", model="m")
    cells.loc[len(rows) - 1, "value"] = 0.75
    head = cells.iloc[[-1]].assign(seed=1, value=0.85)
    (tmp_path / "cells").mkdir()
    pd.concat([cells, head, cells.assign(dataset="calligraphy"), head.assign(dataset="calligraphy")]).to_csv(
        tmp_path / "cells/all.csv", index=False
    )
    expected = "| CIFAR-100 | `m` | 0.800 ± 0.071 | 0.550 ± 0.071 | 1 of 2 (`b0`) | 0.450 ± 0.071 | 0.100 | 0.350 |"
    assert replication_table(tmp_path).splitlines()[-1] == expected


def test_a_layer_before_the_last_is_best_in_every_case_and_seed():
    differences, best = [], []
    for dataset in NAMES:
        for model in LITES:
            scores = study(dataset, model)
            best += [depth + 1 for depth, _ in scores.idxmax()]
            means = scores.mean(axis=1)
            differences.append(means.max() - means.iloc[-1])
    for dataset in NAMES:
        best += list(pilot(dataset).drop("mean")["best_depth"] + 1)
    assert f"NMI {min(differences):.2f} to {max(differences):.2f} above the last layer, in each of three seeds" in PAGE
    assert f"the best layer is {min(best):.0f} to {max(best):.0f} of 9, never the last" in PAGE


def test_the_bounds_over_other_classes():
    bounds = [pilot(dataset).loc["mean", "lead_classes_at_least"] for dataset in NAMES]
    assert f"at least {bounds[0]:.3f} on calligraphy and {bounds[1]:.3f} on CIFAR-100 (95 % bounds)" in PAGE


def test_accuracy_and_g_over_training():
    found = {}
    for dataset in NAMES:
        own = CELLS[(CELLS["dataset"] == dataset) & (CELLS["model"] == LITES[0]) & (CELLS["metric"] == "accuracy")]
        accuracy = own[own["step"] == 500]["value"].mean()
        found[dataset] = accuracy, *(study(dataset, LITES[0], step).mean(axis=1).max() for step in (0, 500))
    first, second = found["cifar100"], found["calligraphy"]
    assert (
        f"accuracy from chance to {first[0]:.2f}, NMI of unseen classes from {first[1]:.3f} to {first[2]:.3f}" in PAGE
    )
    assert f"from chance to {second[0]:.2f}, from {second[1]:.3f} to {second[2]:.3f}" in PAGE


def test_the_linear_probe_leads_at_earlier_layers():
    summary = pd.read_csv(DOCS / "study/results/summary.csv")
    probe = summary[summary["model"].isin(LITES) & (summary["metric"] == "probe_accuracy")]
    layers, loss = probe["best_depth"] + 1, probe["unseen"] - probe["last_value"]
    assert f"is best at layers {layers.min()} to {layers.max()}" in PAGE
    assert f"its last layer loses {loss.min():.3f} to {loss.max():.3f}" in PAGE


def test_folds_of_the_pilot():
    ranges = {dataset: pilot(dataset).drop("mean")["unseen"] for dataset in NAMES}
    first, second = (f"from {values.min():.2f} to {values.max():.2f}" for values in ranges.values())
    assert f"g ranges {first} on calligraphers and {second} on CIFAR-100" in PAGE
    assert ranges["cifar100"].idxmin() == "0"  # the paper's flowers
    accuracies = [pilot(dataset).drop("mean")["accuracy"] for dataset in NAMES]
    spans = [values.max() - values.min() for values in accuracies]
    assert f"accuracy ranges over {min(spans):.2f} to {max(spans):.2f} only" in PAGE
    means = [pilot(dataset).loc["mean"] for dataset in NAMES]
    ratios = [(m.ci_classes_high - m.ci_classes_low) / (m.ci_images_high - m.ci_images_low) for m in means]
    assert [round(ratio) for ratio in ratios] == [15, 12]
    assert "twelve to fifteen times as wide" in PAGE
    tied = [[int(depth) + 1 for depth in m.tied_classes.split(";")] for m in means]
    assert (
        f"layers {tied[0][0]} to {tied[0][-1]} tie on calligraphy, {tied[1][0]} and {tied[1][-1]} on CIFAR-100" in PAGE
    )


def test_what_fine_tuning_did_in_the_pilot():
    records = json.loads((DOCS / "pilot/results/recommendation.json").read_text())
    changes = {record["dataset"]: record["fine_tuning"] for record in records}
    one, other = changes["calligraphy"], changes["cifar100"]
    assert (one["status"], other["status"]) == ("raised", "not distinguishable")
    assert f"raised g on calligraphy by {one['change']:.3f} [{one['low']:.3f}, {one['high']:.3f}]" in PAGE
    assert f"{other['change']:+.3f} [{other['low']:+.3f}, {other['high']:+.3f}], for other classes" in PAGE


@pytest.mark.parametrize("dataset", NAMES)
def test_seen_classes_are_best_at_layer_8(dataset: str):
    summary = pd.read_csv(DOCS / "study/results/summary.csv")
    rows = summary[(summary["dataset"] == dataset) & summary["model"].isin(LITES) & (summary["metric"] == "nmi")]
    assert set(rows["seen_depth"] + 1) == {8}
    assert "On *seen* classes it is layer 8" in PAGE
