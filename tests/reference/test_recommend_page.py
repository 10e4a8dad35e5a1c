"""The numbers of docs/recommend.md are those of the committed pilot."""

from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
PILOT, PAGE = ROOT / "docs/pilot/results", ROOT / "docs/recommend.md"


def test_the_tables_have_the_regret_of_the_recommendation_on_each_dataset():
    means = pd.read_csv(PILOT / "regret.csv").query("fold == 'mean' and candidates == 'layers_and_checkpoints'")
    own = means.query("criterion == 'other_folds'").set_index(["dataset", "metric"])
    own = own[["regret_at_least", "regret_at_most"]]
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| other folds (recommended)")]
    for row, dataset in zip(rows[:2], ("calligraphy", "cifar100"), strict=True):
        at_most = own.at[(dataset, "probe_accuracy"), "regret_at_most"]
        assert (f" ≤ {at_most:.3f} ±" if at_most >= 0.0005 else " none seen |") in row
        assert " {:.3f}–{:.3f} ±".format(*own.loc[dataset, "nmi"]) in row


USES = {
    "linear probe": "probe_accuracy",
    "1-NN accuracy": "nn1_accuracy",
    "k-NN purity": "knn_purity",
    "MAP@R": "map_at_r",
    "NMI": "nmi",
}


def test_the_page_has_what_rules_lose_by_each_score():
    cells = pd.concat(map(pd.read_csv, sorted((ROOT / "docs/pilot/cells").glob("*.csv"))))
    cells = cells.query("split == 'unseen' and step == 500 and depth >= 0")
    curves = cells.pivot_table(index=["metric", "dataset", "fold"], columns="depth", values="value")
    chosen = pd.Series(
        {
            (metric, dataset, fold): curves.loc[metric, dataset].drop(fold).mean().idxmax()
            for metric, dataset, fold in curves.index
        }
    )
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(tuple(f"| {name} | 0." for name in USES))]
    assert len(rows) == len(USES)
    for line, (name, metric) in zip(rows, USES.items(), strict=True):
        own = curves.loc[metric]
        choices = [chosen[metric], 7, round(2 / 3 * 8), 8, chosen["nmi"]]
        losses = []
        for choice in choices:
            layers = pd.Series(choice, index=own.index)
            losses.append((own.max(axis=1) - [own.at[fold, layer] for fold, layer in layers.items()]).mean())
        assert line == f"| {name} | " + " | ".join(f"{loss:.3f}" for loss in losses) + " |"


LABEL_FREE = {
    "the other folds": "other_folds",
    "last layer": "last_layer",
    "layer before the last": "penultimate",
    "two thirds of the depth": "two_thirds",
    "random layer": "random_layer",
    "alpha-ReQ nearest to 1": "nearest_to_one_alpha_req",
    "highest participation ratio": "highest_participation_ratio",
    "highest RankMe": "highest_rankme",
    "highest intrinsic dimension": "highest_intrinsic_dimension",
    "lowest intrinsic dimension": "lowest_intrinsic_dimension",
    "highest agreement of k-means starts": "highest_start_agreement",
    "highest silhouette of k-means clusters": "highest_cluster_silhouette",
    "control: best on seen classes": "seen_score",
    "control: 95 % of the seen accuracy": "tunnel",
}


def test_the_page_has_what_label_free_choices_cost_in_the_pilots_first_seed():
    table = pd.read_csv(ROOT / "docs/pilot/seed_0/regret.csv").query("fold == 'mean' and candidates == 'layers'")
    costs = table.pivot_table(index="criterion", columns="dataset", values="regret")
    section = PAGE.read_text().partition("## What label-free scores say")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert {name for name, *_ in rows[2:]} == set(LABEL_FREE)
    for name, *_, calligraphy, cifar100 in rows[2:]:
        found = costs.loc[LABEL_FREE[name]]
        assert (calligraphy, cifar100) == (f"{found['calligraphy']:.3f}", f"{found['cifar100']:.3f}"), name


def test_the_page_has_what_frozen_networks_lose():
    layers = pd.read_csv(ROOT / "docs/frozen/layers.csv", dtype={"fold": str}).query("metric == 'nmi' and depth >= 0")
    lost = {"the score on other folds": [], "the last layer": []}
    for (_, _, fold), here in layers.groupby(["dataset", "model", "fold"]):
        same = layers[(layers["dataset"] == here["dataset"].iloc[0]) & (layers["model"] == here["model"].iloc[0])]
        mean = same[same["fold"] != fold].groupby("layer", sort=False)["value"].sum()
        own = here.set_index("layer")["value"]
        lost["the score on other folds"].append(own.max() - own[mean.idxmax()])
        lost["the last layer"].append(own.max() - own.iloc[-1])
    for rule, values in lost.items():
        line = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| discovery  | {rule}"))
        assert line.split("|")[-2].strip() == f"{sum(values) / 32:.3f}"
