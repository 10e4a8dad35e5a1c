"""The sentences of docs/paper.md say what the committed study and pilot say."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.reference.replication import NAMES, read_cells, replication_table, rows_table, unseen_nmi

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
    differences, of_seeds, best = [], [], []
    for dataset in NAMES:
        for model in LITES:
            scores = study(dataset, model)
            best += [depth + 1 for depth, _ in scores.idxmax()]
            of_seeds += list(scores.max() - scores.iloc[-1])
            means = scores.mean(axis=1)
            differences.append(means.max() - means.iloc[-1])
    for dataset in NAMES:
        best += list(pilot(dataset).drop("mean")["best_depth"] + 1)
    assert f"by mean NMI {min(differences):.3f} to {max(differences):.3f} above the last layer" in PAGE
    assert f"seed by seed {min(of_seeds):.3f} to {max(of_seeds):.3f}." in PAGE
    assert f"the best layer by NMI is {min(best):.0f} to {max(best):.0f} of 9, never the last" in PAGE


def test_leads_in_rows_of_length_1():
    table = [line.strip("| ").split(" | ") for line in rows_table(DOCS).splitlines()]
    leads = {tuple(row[:3]): (row[5], row[8]) for row in table if "lite0`, study" in row[1]}
    (nmi, purity) = (
        [leads[name, "`efficientnet_lite0`, study", score] for name in NAMES.values()]
        for score in ("NMI", "k-NN purity")
    )
    assert f"by NMI is {nmi[0][1]} on calligraphy and {nmi[1][1]} on CIFAR-100" in PAGE
    (raw, unit), (other_raw, other_unit) = purity
    assert f"by k-NN purity {unit} and {other_unit} where raw rows give {raw} and {other_raw}" in PAGE
    switches = pd.read_csv(DOCS / "study/switches.csv").query(
        "metric == 'nmi' and split == 'unseen' and choice == 'l2'"
    )
    own = switches.query("dataset == 'cifar100' and model == 'efficientnet_lite0'").groupby("depth")["value"].mean()
    assert nmi[1][1] == f"{own.max() - own[8]:.3f}"


def test_the_bounds_over_other_classes():
    bounds = [pilot(dataset).loc["mean", "lead_classes_at_least"] for dataset in NAMES]
    assert f"at least {bounds[0]:.3f} on calligraphy and {bounds[1]:.3f} on CIFAR-100 (95 % bounds)" in PAGE


def test_each_seed_alone_shows_a_lead():
    rows = pd.read_csv(DOCS / "pilot/seeds.csv").query("metric == 'nmi'").set_index(["dataset", "seed"])
    bounds = {name: rows.loc[name, "lead_classes_at_least"] for name in NAMES}
    (a, b), (c, d) = bounds["calligraphy"], bounds["cifar100"]
    assert min(a, b, c, d) > 0
    assert f"at least {a:.3f} and {b:.3f} on calligraphy, {c:.3f} and {d:.3f} on CIFAR-100" in PAGE
    earlier = pd.read_csv(DOCS / "pilot/earlier_training.csv").query("metric == 'nmi'")
    found = earlier.set_index(["seeds", "dataset"])["lead_classes_at_least"]
    a, b = found["0 and 1"]
    assert f"gave {a:.3f} and {b:.3f} in an [earlier training]" in PAGE
    assert f"and {found['0', 'cifar100']:.3f} on CIFAR-100 with seed 0 alone" in PAGE


def test_the_last_layer_is_the_best_in_some_of_the_papers_own_cases():
    figures = json.loads((DOCS / "paper.json").read_text())["best_depth_read_off_the_figure_unseen_nmi"]
    cases = [(dataset, name, *depths) for dataset in figures for name, depths in figures[dataset].items()]
    of_last = [(dataset, name) for dataset, name, best, last in cases if best == last]
    assert set(of_last) == {
        *(("calligraphy", name) for name in ("Swin", "CvT", "ConvNeXtV2")),
        *(("cifar100", name) for name in ("CvT", "ConvNeXtV2")),
    }
    assert f"the best in {len(of_last)} of {len(cases)} cases: Swin, CvT and ConvNeXtV2 on" in PAGE


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
    assert [round(ratio) for ratio in ratios] == [12, 14]
    assert "twelve to fourteen times as wide" in PAGE
    tied = [[int(depth) + 1 for depth in m.tied_classes.split(";")] for m in means]
    assert (
        f"layers {tied[0][0]} to {tied[0][-1]} tie on calligraphy, {tied[1][0]} and {tied[1][-1]} on CIFAR-100" in PAGE
    )


def test_what_fine_tuning_did_in_the_pilot():
    records = json.loads((DOCS / "pilot/results/recommendation.json").read_text())
    changes = {record["dataset"]: record["fine_tuning"] for record in records if record["use"] == "discovery"}
    one, other = changes["calligraphy"], changes["cifar100"]
    assert (one["status"], other["status"]) == ("raised", "not_distinguishable")
    assert f"raised g on calligraphy by {one['change']:.3f} [{one['low']:.3f}, {one['high']:.3f}]" in PAGE
    assert f"from none, {other['change']:+.3f} [{other['low']:+.3f}, {other['high']:+.3f}]" in PAGE


def test_which_layers_detect_unseen_classes_depends_on_the_measure():
    summary = pd.read_csv(DOCS / "study/seed0/results/summary.csv")
    rows = summary[summary["metric"].str.startswith("ood") & summary["model"].isin(LITES)].assign(
        layer=lambda table: table["best_depth"] + 1
    )
    layers = rows.groupby(["metric", "dataset"])["layer"].agg(set)
    assert layers["ood_auroc_knn"].tolist() == [{9}, {9}]
    assert set.union(*layers["ood_auroc_mahalanobis"]) == {3, 4, 5}
    assert layers["ood_fpr95_knn"].tolist() == [{9}, {1}]
    assert layers["ood_fpr95_mahalanobis"].tolist() == [{2, 4}, {1}]
    best = rows.groupby(rows["metric"].str[:9])["unseen"].agg(["min", "max"])
    (auroc, fpr95) = (f"{low:.2f} to {high:.2f}" for low, high in best.to_numpy())
    assert f"at the best layers AUROC is {auroc} and FPR95 is {fpr95}." in PAGE


@pytest.mark.parametrize("dataset", NAMES)
def test_seen_classes_are_best_at_layer_8(dataset: str):
    summary = pd.read_csv(DOCS / "study/results/summary.csv")
    rows = summary[(summary["dataset"] == dataset) & summary["model"].isin(LITES) & (summary["metric"] == "nmi")]
    assert set(rows["seen_depth"] + 1) == {8}
    assert "On *seen* classes it is layer 8" in PAGE
