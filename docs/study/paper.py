"""The paper, number by number: every table of docs/paper.md and docs/paper-tables.md, and what they state.

Reads docs/paper.json and docs/published_curves.json (what the authors published) and replication.csv, switches.csv,
agreement.csv, pilot.csv and tuned.csv beside it (what was measured here). It imports nothing of the project, so that
its numbers are an independent computation.

    python -m docs.study.paper    # prints the tables, then which statements the pages lack

A published curve is compared by its best layer and by the sign of its lead, never by its height: networks, pixels and
numbers of images differ. The lead of a curve is its best layer's score less its last layer's.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from docs.study import tables as gains

HERE = Path(__file__).parent
DOCS = HERE.parent
NAMES = {"calligraphy": "calligraphy", "cifar100": "CIFAR-100"}
LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
NETWORKS = (*LITES, "efficientnet_lite0_scratch", "swin_small_scratch")
LAST_STEP = 500
SCORES = {"NMI": "nmi", "kNN": "knn_purity", "probe": "probe_accuracy"}
"""Names in the published curves -> columns of the study."""

TITLES = {"nmi": "NMI", "knn_purity": "k-NN purity", "nn1_accuracy": "1-NN", "probe_accuracy": "linear probe"}
ROWS = {"default": "unnormalized", "none": "unnormalized", "l2": "L2-normalized"}
"""Names in the studies' tables -> the embeddings that scores are of."""

CHOICES = {
    "default": "as in the study",
    "augment": "random rotation when embedding",
    "kmeans_and_k": "one K-means start; one k for both splits",
    "token0": "token 0 (a corner patch) instead of the mean",
    "l2": "L2-normalized embeddings (not the paper's)",
    "all": "all of the paper's choices",
}
"""Choices of switches.csv and what they are."""

COLUMNS = {"accuracy": "accuracy"} | {
    f"{metric} {split}": f"{TITLES[metric]} {split}" for metric in SCORES.values() for split in ("seen", "unseen")
}
"""Numbers of a network and their titles; a number is a mean and its standard deviation, NaN where it is not known."""

Numbers = dict[str, dict[str, Any]]
"""Network -> `n`, `best` and the numbers of `COLUMNS`."""


class Curve(NamedTuple):
    """One score of one network over its layers, as published or as measured."""

    values: Sequence[float]

    @property
    def best(self) -> int:
        """The best layer, counted from 1; the first of a tie."""
        return int(np.argmax(self.values)) + 1

    @property
    def lead(self) -> float:
        """The best layer's score less the last layer's."""
        return float(max(self.values) - self.values[-1])

    @property
    def last_is_best(self) -> bool:
        """Whether no earlier layer has a higher score."""
        return self.best == len(self.values)


Key = tuple[str, str, str]
"""Dataset, network and score."""


def read_curves(release: str) -> dict[Key, Curve]:
    """Read one release's curves over depth, by the study's names of scores."""
    found = json.loads((DOCS / "published_curves.json").read_text())[release]
    return {
        (dataset, network, SCORES[score]): Curve(values)
        for dataset, networks in found.items()
        for network, scores in networks.items()
        for score, values in scores.items()
    }


PAPER, ONE_TRIAL = read_curves("paper_step_500"), read_curves("iclr_one_trial")
"""The paper's curves (means of three trials, six networks), and those of its first release (one trial, seven)."""


def read_paper() -> dict[str, Any]:
    """Read the published table."""
    found: dict[str, Any] = json.loads((DOCS / "paper.json").read_text())
    return found


def read_steps() -> dict[tuple[str, str], list[float]]:
    """Read g over steps of the first release, by dataset and network; the first value is before fine-tuning."""
    found = json.loads((DOCS / "published_curves.json").read_text())["g_unseen_over_steps"]
    return {(dataset, network): values for dataset, networks in found.items() for network, values in networks.items()}


def read_cells() -> pd.DataFrame:
    """Read the study's scores before and after fine-tuning, of unnormalized embeddings, and the accuracies."""
    return pd.read_csv(HERE / "replication.csv")


def read_switches() -> pd.DataFrame:
    """Read the scores of two networks at the last step under each choice, by seed, split and depth."""
    scores = pd.read_csv(HERE / "switches.csv")
    return scores.assign(rows=scores["choice"].map(ROWS), split=scores["split"].replace("test", "seen"))


def of_unseen(
    cells: pd.DataFrame, dataset: str, model: str, metric: str = "nmi", step: int = LAST_STEP
) -> pd.DataFrame:
    """One score of unseen classes by depth and layer (rows) and seed, of one network without the raw pixels."""
    own = cells[(cells["dataset"] == dataset) & (cells["model"] == model) & (cells["metric"] == metric)]
    own = own[(own["split"] == "unseen") & (own["step"] == step) & (own["depth"] >= 0)]
    return own.pivot(index=["depth", "layer"], columns="seed", values="value")


def measured_curves() -> dict[tuple[Key, str], Curve]:
    """The study's curves at the last step, means over seeds, by key and rows; the probe's are of both."""
    cells, switches = read_cells(), read_switches().query("split == 'unseen'")
    found = {}
    for dataset, model, metric in product(NAMES, NETWORKS, TITLES):
        key = dataset, model, metric
        found[key, "unnormalized"] = Curve([*of_unseen(cells, *key).mean(axis=1)])
        scaled = switches[
            (switches["dataset"] == dataset) & (switches["model"] == model) & (switches["metric"] == metric)
        ]
        unit = scaled[scaled["rows"] == "L2-normalized"].groupby("depth")["value"].mean()
        if metric == "probe_accuracy":
            found[key, "L2-normalized"] = found[key, "unnormalized"]
        elif len(unit):
            found[key, "L2-normalized"] = Curve([*unit])
    return found


# ---- tables


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def place(curve: Curve | None) -> str:
    """Write which layer is best, of how many."""
    return f"{curve.best} of {len(curve.values)}" if curve else "–"


def number(value: float | None) -> str:
    """Write a score or a lead; never -0.000."""
    return "–" if value is None else f"{value:.3f}".replace("-0.000", "0.000")


def published_table() -> str:
    """Tabulate every published curve: its best layer and lead in both releases."""
    rows = []
    for dataset, metric in product(NAMES, SCORES.values()):
        for network in dict.fromkeys(name for d, name, _ in ONE_TRIAL if d == dataset):
            key = dataset, network, metric
            curves = PAPER.get(key), ONE_TRIAL.get(key)
            if any(curves):
                cells = [
                    cell for curve in curves for cell in (place(curve), *(number(curve and v) for v in _heights(curve)))
                ]
                rows.append([NAMES[dataset], network, TITLES[metric], *cells])
    heads = ["best layer", "its score", "last layer", "lead"]
    return table(["dataset", "network", "score", *heads, *(f"{head}, one trial" for head in heads)], rows)


def measured_table() -> str:
    """Tabulate the study's curves in the same way: unnormalized, and L2-normalized where that was measured."""
    found = measured_curves()
    rows = []
    for dataset, metric, model in product(NAMES, TITLES, NETWORKS):
        curves = (found.get(((dataset, model, metric), kind)) for kind in ("unnormalized", "L2-normalized"))
        cells = [cell for curve in curves for cell in (place(curve), *map(number, _heights(curve)))]
        rows.append([NAMES[dataset], f"`{model}`", TITLES[metric], *cells])
    heads = ["best layer", "its score", "last layer", "lead"]
    return table(["dataset", "network", "score", *heads, *(f"{head}, L2-normalized" for head in heads)], rows)


def _heights(curve: Curve | None) -> tuple[float | None, float | None, float | None]:
    return (max(curve.values), curve.values[-1], curve.lead) if curve else (None, None, None)


def agreement_table() -> str:
    """Count, by score, where the last layer is best, and average the leads: published, and of the Lites here."""
    here = measured_curves()
    rows = []
    for metric in SCORES.values():
        published = [curve for (_, _, name), curve in PAPER.items() if name == metric]
        of_lites = {
            kind: [here[key] for key in here if key[1] == kind and key[0][2] == metric and key[0][1] in LITES]
            for kind in ("unnormalized", "L2-normalized")
        }
        rows.append([TITLES[metric], *map(_summary, (published, *of_lites.values()))])
    return table(["score", "published, 6 networks", "here, 3 networks, unnormalized", "here, L2-normalized"], rows)


def _summary(curves: Sequence[Curve]) -> str:
    leads = [curve.lead for curve in curves]
    best = sum(curve.last_is_best for curve in curves)
    return f"{best} of {len(curves)}; {np.mean(leads):.3f} ({max(leads):.3f})"


def fine_tuning_table() -> str:
    """Tabulate g before fine-tuning and after it, published (first release) and here."""
    cells = read_cells()
    rows = [
        [NAMES[dataset], f"{network} (published)", number(g[0]), number(g[-1]), f"{g[-1] - g[0]:+.3f}"]
        for (dataset, network), g in read_steps().items()
    ]
    for dataset, model in product(NAMES, NETWORKS):
        before, after = (of_unseen(cells, dataset, model, step=step).mean(axis=1).max() for step in (0, LAST_STEP))
        rows.append([NAMES[dataset], f"`{model}`", number(before), number(after), f"{after - before:+.3f}"])
    rows.sort(key=lambda row: row[0])
    return table(["dataset", "network", "g before", "g after", "change"], rows)


def replication_table() -> str:
    """Tabulate every network of the study by NMI."""
    cells = read_cells()
    rows = []
    for dataset, model in product(NAMES, NETWORKS):
        trained, before = of_unseen(cells, dataset, model), of_unseen(cells, dataset, model, step=0)
        own = cells[(cells["dataset"] == dataset) & (cells["model"] == model) & (cells["metric"] == "accuracy")]
        depth, layer = trained.mean(axis=1).idxmax()
        best, last = trained.loc[(depth, layer)], trained.iloc[-1]
        where = f"{int(depth) + 1} of {len(trained)} (`{layer}`)"
        means = (own[own["step"] == LAST_STEP]["value"], best)
        leads = best.mean() - last.mean(), before.mean(axis=1).max()
        rows.append([NAMES[dataset], f"`{model}`", *map(spread, means), where, spread(last), *map(number, leads)])
    head = ["dataset", "network", "accuracy", "g", "best layer", "last layer", "best - last", "g before training"]
    return table(head, rows)


def spread(values: "pd.Series[float]") -> str:
    """Write a mean and its standard deviation."""
    return f"{values.mean():.3f} ± {values.std():.3f}"


def comparison_tables() -> str:
    """Tabulate published and measured networks, dataset after dataset."""
    sections = []
    for dataset, name in NAMES.items():
        networks = {f"{network} (published)": row for network, row in published(dataset).items()}
        scaled = of_unit_rows(dataset)
        for network, row in measured(dataset).items():
            networks[network] = row
            if network in scaled:
                networks[f"{network}, L2-normalized"] = row | scaled[network]
        rows = [
            [network, str(row["n"]), *(_number(*row[column]) for column in COLUMNS), row["best"]]
            for network, row in networks.items()
        ]
        sections.append(f"**{name}**\n\n" + table(["network", "n", *COLUMNS.values(), "best layer (NMI)"], rows))
    return "\n\n".join(sections)


def correlation_table() -> str:
    """Tabulate Spearman's correlation of accuracy and g on unseen classes over networks."""
    rows = []
    for dataset, name in NAMES.items():
        theirs, ours = published(dataset), measured(dataset)
        pretrained = {network: row for network, row in ours.items() if network in LITES}
        for metric in SCORES.values():
            rows.append(
                [name, TITLES[metric], *(f"{rho(networks, metric):+.2f}" for networks in (theirs, ours, pretrained))]
            )
    head = ["dataset", "score", f"published, {len(theirs)} networks", f"here, all {len(ours)}"]
    return table([*head, f"here, the {len(pretrained)} with ImageNet weights"], rows)


def published(dataset: str) -> Numbers:
    """Read the paper's table: accuracies of the last step's trials; g, which has no deviation; layers of its curves."""
    paper = read_paper()
    return {
        model: {
            "n": len(accuracies[dataset][-1]),
            "best": place(PAPER[dataset, model, "nmi"]),
            "accuracy": (np.mean(accuracies[dataset][-1]), np.std(accuracies[dataset][-1], ddof=1)),
        }
        | {
            f"{metric} {split}": (paper["g"][dataset][split][metric][model], float("nan"))
            for metric in SCORES.values()
            for split in ("seen", "unseen")
        }
        for model, accuracies in paper["accuracy"].items()
    }


def measured(dataset: str) -> Numbers:
    """Read the study's networks, by name."""
    cells = read_cells()
    networks = {}
    for model in sorted(NETWORKS):
        own = cells[(cells["dataset"] == dataset) & (cells["model"] == model) & (cells["step"] == LAST_STEP)]
        accuracy = own[own["metric"] == "accuracy"]["value"]
        networks[model] = {"n": len(accuracy), "accuracy": (accuracy.mean(), accuracy.std())}
        networks[model] |= best_of_seeds(own[own["depth"] >= 0])
    return networks


def best_of_seeds(scores: pd.DataFrame) -> dict[str, Any]:
    """Return mean and deviation over seeds at the layer of the best mean, by score and split, and NMI's layer."""
    numbers: dict[str, Any] = {}
    for (metric, split), own in scores.groupby(["metric", "split"]):
        curves = own.pivot(index="depth", columns="seed", values="value")
        best = curves.mean(axis=1).idxmax()
        numbers[f"{metric} {split}"] = curves.loc[best].mean(), curves.loc[best].std()
        if (metric, split) == ("nmi", "unseen"):
            numbers["best"] = f"{best + 1:.0f} of {len(curves)}"
    return numbers


def of_unit_rows(dataset: str) -> Numbers:
    """Read the scores of L2-normalized embeddings, of the networks of which they were measured, by name."""
    scores = read_switches().query("dataset == @dataset and rows == 'L2-normalized'")
    return {str(model): best_of_seeds(own) for model, own in scores.groupby("model")}


def rho(networks: Mapping[str, Mapping[str, Any]], metric: str) -> float:
    """Spearman's correlation of accuracy and a score of unseen classes over networks."""
    pairs = ((row["accuracy"][0], row[f"{metric} unseen"][0]) for row in networks.values())
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def _number(mean: float, deviation: float) -> str:
    return f"{mean:.2f}" if pd.isna(deviation) else f"{mean:.3f} ± {deviation:.3f}"  # published to two digits


def pilot_summary() -> pd.DataFrame:
    """Read the pilot's NMI, its intervals and what they say, by dataset and fold."""
    return pd.read_csv(HERE / "pilot.csv").query("seeds == '0 and 1'").set_index(["dataset", "fold"])


def fold_tables() -> str:
    """Tabulate NMI of the pilot's network, fold by fold, then the mean in both scopes."""
    tables = []
    for dataset, name in NAMES.items():
        rows = pilot_summary().loc[dataset]
        folds = [_fold(str(fold), row) for fold, row in rows.iterrows()]
        head = ["fold", "accuracy", "g", "best layer", "last layer", "lead"]
        tables += [f"**{name}**", table(head, [*folds, _over_classes(rows.loc["mean"])])]
    return "\n\n".join(tables)


def _fold(fold: str, row: "pd.Series[Any]") -> list[str]:
    g = f"{row.unseen:.3f} [{row.images_low:.3f}, {row.images_high:.3f}]"
    where = f"{row.best_depth + 1:.0f} of {row.last_depth + 1:.0f} (`{row.best_layer}`)"
    lead = f"{row.lead_images:+.3f}, {row.lead_images_at_least:+.3f} to {row.lead_images_at_most:+.3f}"
    shown = "mean, over images" if fold == "mean" else fold
    return [shown, f"{row.accuracy:.3f}", g, where, f"{row.last_value:.3f}", lead]


def _over_classes(row: "pd.Series[Any]") -> list[str]:
    accuracy, g = (f"[{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]" for name in ("accuracy", "classes"))
    ties = ", ".join(str(int(depth) + 1) for depth in row.tied_classes.split(";"))
    lead = f"{row.lead_classes:+.3f}, {row.lead_classes_at_least:+.3f} to {row.lead_classes_at_most:+.3f}"
    return ["mean, over classes", accuracy, g, f"{ties} tie", "", lead]


def read_agreement() -> pd.DataFrame:
    """Read every score of unseen classes at the last step of seed 0, by dataset, model and depth."""
    return pd.read_csv(HERE / "agreement.csv")


def best_depth(scores: pd.DataFrame) -> int:
    """Return the depth of the best value of one score of one network."""
    turned = turn(scores)
    return int(turned.idxmax())


def turn(scores: pd.DataFrame) -> "pd.Series[float]":
    """Return one score of one network by depth, turned so that higher is better."""
    signs = np.where(scores["better"] == "higher", 1, -1)
    return (scores["value"] * signs).set_axis(scores["depth"])


def choices_tables() -> str:
    """Tabulate g and its layer under each choice, with the deviation over seeds."""
    scores, sections = read_switches(), []
    for dataset, model in product(NAMES, ("efficientnet_lite0", "swin_small_scratch")):
        own = scores[(scores["dataset"] == dataset) & (scores["model"] == model)]
        columns = [*product(("nmi", "knn_purity", "nn1_accuracy"), ("seen", "unseen"))]
        rows = []
        for choice, words in CHOICES.items():
            chosen, cells = own[own["choice"] == choice], []
            for metric, split in columns if len(chosen) else ():
                part = chosen[(chosen["metric"] == metric) & (chosen["split"] == split)]
                curves = part.pivot(index="depth", columns="seed", values="value")
                best = curves.mean(axis=1).idxmax()
                cells.append(f"{spread(curves.loc[best])} ({best + 1})")
            if cells:
                rows.append([words, *cells])
        heads = [f"{TITLES[metric]} {split}" for metric, split in columns]
        sections.append(f"**{NAMES[dataset]}, {model}**\n\n" + table(["choice", *heads], rows))
    return "\n\n".join(sections)


def tables() -> Iterator[tuple[str, str]]:
    """Yield every table with its name on the pages."""
    yield "the last layer", agreement_table()
    yield "replication", replication_table()
    yield "published curves", published_table()
    yield "curves of the study", measured_table()
    yield "before and after fine-tuning", fine_tuning_table()
    yield "beside the published numbers", comparison_tables()
    yield "rank correlations", correlation_table()
    yield "pilot", fold_tables()
    yield "what each choice does", choices_tables()


# ---- what the pages state


def leads_of_both_releases() -> list[tuple[Key, Curve, Curve]]:
    """NMI of the networks that both releases have."""
    return [(key, PAPER[key], ONE_TRIAL[key]) for key in PAPER if key[2] == "nmi"]


def statements() -> Iterator[str]:
    """Yield the words with numbers that docs/paper.md or docs/paper-tables.md must have, computed from the files."""
    yield from _of_published_curves()
    yield from _of_the_study()
    yield from _of_fine_tuning()
    yield from _of_the_pilot()
    yield from _of_detection()
    yield from _of_frozen_networks()


def _of_published_curves() -> Iterator[str]:
    both = leads_of_both_releases()
    same = sum(first.best == second.best for _, first, second in both)
    signs = sum((first.lead > 0) == (second.lead > 0) for _, first, second in both)
    apart = [second.lead - first.lead for _, first, second in both]
    yield f"in NMI agrees in {same} of {len(both)} cases, the sign of the lead in all {signs}"
    yield f"differ by {np.sqrt(np.mean(np.square(apart))):.3f} (root mean square), by up to {max(np.abs(apart)):.3f}"
    of = {metric: [curve for key, curve in PAPER.items() if key[2] == metric] for metric in SCORES.values()}
    best = {metric: sum(curve.last_is_best for curve in curves) for metric, curves in of.items()}
    probe, nmi = best["probe_accuracy"], best["nmi"]
    yield f"in NMI in {nmi} of {len(of['nmi'])} cases, and in probe accuracy in {probe} of"
    probes = [curve.lead for curve in of["probe_accuracy"]]
    yield f"the last layer falls {np.mean(probes):.3f} short on average and {max(probes):.3f} at most"
    for dataset, name in NAMES.items():
        last = [key[1] for key, curve in PAPER.items() if key[0] == dataset and key[2] == "nmi" and curve.last_is_best]
        yield {
            ("CvT", "ConvNeXtV2", "Swin"): f"Swin, CvT and ConvNeXtV2 on {name}",
            ("CvT", "ConvNeXtV2"): f"CvT and ConvNeXtV2 on {name}",
        }[tuple(last)]


def _of_the_study() -> Iterator[str]:
    cells, here = read_cells(), measured_curves()
    nmi = [of_unseen(cells, dataset, model) for dataset, model in product(NAMES, LITES)]
    leads = [here[(dataset, model, "nmi"), "unnormalized"].lead for dataset, model in product(NAMES, LITES)]
    yield f"mean lead over seeds is {min(leads):.3f} to {max(leads):.3f} in NMI"
    of_folds = pilot_summary().drop("mean", level="fold")["best_depth"]
    best = [*of_folds + 1, *(depth + 1 for scores in nmi for depth, _ in scores.idxmax())]
    yield f"The best layer of the three EfficientNet-Lites is {min(best):.0f} to {max(best):.0f} of 9, never the last"
    seen = cells.query("model in @LITES and metric == 'nmi' and split == 'seen' and step == @LAST_STEP and depth >= 0")
    means = seen.groupby(["dataset", "model", "depth"])["value"].mean()
    (layer,) = {depth + 1 for _, _, depth in means.groupby(["dataset", "model"]).idxmax()}
    yield f"and layer {layer:.0f} on *seen* classes"
    probe = [here[(dataset, model, "probe_accuracy"), "unnormalized"] for dataset, model in product(NAMES, LITES)]
    yield f"Here layers {min(each.best for each in probe)} to {max(each.best for each in probe)} are the best"
    yield f"the last layer falls {min(each.lead for each in probe):.3f} to {max(each.lead for each in probe):.3f} short"
    lite0 = {
        (metric, kind): [here[(dataset, LITES[0], metric), kind].lead for dataset in NAMES]
        for metric, kind in product(("nmi", "knn_purity"), ("unnormalized", "L2-normalized"))
    }
    unit, purity, raw = (
        lite0["nmi", "L2-normalized"],
        lite0["knn_purity", "L2-normalized"],
        lite0["knn_purity", "unnormalized"],
    )
    yield f"leads in NMI by {unit[0]:.3f} on calligraphy and {unit[1]:.3f} on CIFAR-100"
    yield f"lead in k-NN purity is {purity[0]:.3f} and {purity[1]:.3f}, unnormalized {raw[0]:.3f} and {raw[1]:.3f}"
    over = {}
    for dataset in NAMES:
        own = cells[(cells["dataset"] == dataset) & (cells["model"] == LITES[0]) & (cells["metric"] == "accuracy")]
        g = [of_unseen(cells, dataset, LITES[0], step=step).mean(axis=1).max() for step in (0, LAST_STEP)]
        over[dataset] = own[own["step"] == LAST_STEP]["value"].mean(), g
    (first, g), (second, other) = over.values()
    yield f"to {first:.2f} on calligraphy and {second:.2f} on CIFAR-100"
    yield f"from {g[0]:.3f} to {g[1]:.3f} on calligraphy, but only from {other[0]:.3f} to {other[1]:.3f} on CIFAR-100"
    rhos = [rho(published(dataset), "nmi") for dataset in NAMES]
    yield f"published numbers ({rhos[0]:+.2f} and {rhos[1]:+.2f} for NMI)"


def _of_fine_tuning() -> Iterator[str]:
    changes: dict[str, list[float]] = {dataset: [] for dataset in NAMES}
    for (dataset, _), g in read_steps().items():
        changes[dataset].append(g[-1] - g[0])
    up, mixed = changes.values()
    raised = {7: "all seven"}[sum(c > 0 for c in up)]
    yield f"raises g in {raised} published networks, by {min(up):.2f} to {max(up):.2f}"
    yield f"published median is {np.median(mixed):+.2f}, and the ViT's g falls by {-min(mixed):.2f}"
    cells = read_cells()
    here = {
        dataset: [
            np.subtract(*(of_unseen(cells, dataset, model, step=s).mean(axis=1).max() for s in (LAST_STEP, 0)))
            for model in NETWORKS
        ]
        for dataset in NAMES
    }
    up, mixed = here.values()
    yield f"in all five here, by {min(up):.2f} to {max(up):.2f}"
    yield f"the changes lie between {min(mixed):.2f} and {max(mixed):+.2f}"
    one, other = (pilot_summary().loc[(dataset, "mean")] for dataset in NAMES)
    yield f"{one.change:+.3f} [{one.change_low:.3f}, {one.change_high:.3f}] on calligraphy"
    yield f"and {other.change:+.3f} [{other.change_low:+.3f}, {other.change_high:+.3f}] on CIFAR-100"


def _of_the_pilot() -> Iterator[str]:
    rows = pilot_summary()
    means = [rows.loc[(dataset, "mean")] for dataset in NAMES]
    bounds = [mean["lead_classes_at_least"] for mean in means]
    yield f"over classes: by at least {bounds[0]:.3f} on calligraphy and {bounds[1]:.3f} on CIFAR-100 (95% bounds"
    g = [rows.loc[dataset].drop("mean")["unseen"] for dataset in NAMES]
    yield f"from {g[0].min():.2f} to {g[0].max():.2f} on calligraphy and from {g[1].min():.2f} to {g[1].max():.2f} on"
    ratios = [(m.classes_high - m.classes_low) / (m.images_high - m.images_low) for m in means]
    yield {(12, 14): "twelve to fourteen times as wide over classes"}[tuple(sorted(round(ratio) for ratio in ratios))]
    ties = [[int(depth) + 1 for depth in mean.tied_classes.split(";")] for mean in means]
    yield f"Layers {ties[0][0]} to {ties[0][-1]} tie on calligraphy, {ties[1][0]} and {ties[1][-1]} on CIFAR-100"
    bounds = pd.read_csv(HERE / "pilot.csv").query("fold == 'mean'").set_index(["seeds", "dataset"])
    earlier, *each = (bounds.loc[seeds, "lead_classes_at_least"] for seeds in ("0 and 1, earlier training", "0", "1"))
    yield f"gave at least {earlier['calligraphy']:.3f} and {earlier['cifar100']:.3f}"
    (a, b), (c, d) = ([own[dataset] for own in each] for dataset in NAMES)
    yield f"at least {a:.3f} and {b:.3f} on calligraphy, {c:.3f} and {d:.3f} on CIFAR-100"


def _of_detection() -> Iterator[str]:
    scores = read_agreement().query("model in @LITES and metric.str.startswith('ood')", engine="python")
    rows = pd.DataFrame(
        {"metric": metric, "layer": best_depth(own) + 1, "unseen": own.set_index("depth")["value"][best_depth(own)]}
        for (metric, *_), own in scores.groupby(["metric", "dataset", "model"])
    )
    layers = {metric: sorted({*own["layer"]}) for metric, own in rows.groupby("metric")}
    last, inner = layers["ood_auroc_knn"], layers["ood_auroc_mahalanobis"]
    if last == [9]:
        yield f"at the last layer and Mahalanobis distances at layers {inner[0]} to {inner[-1]} of 9"
    ranges = rows.groupby(rows["metric"].str[:9])["unseen"].agg(["min", "max"])
    (auroc, fpr95) = (f"{low:.2f} to {high:.2f}" for low, high in ranges.to_numpy())
    yield f"at the best layers AUROC is {auroc} and FPR95 is {fpr95}"


def _of_frozen_networks() -> Iterator[str]:
    curves = gains.curves_of(gains.read_scores("frozen.csv"), "probe_accuracy", "raw")
    of_vit: dict[bool, list[float]] = {True: [], False: []}
    for (_, network), each in curves.items():
        of_vit[network == "ViT-S"].append(gains.RULES["last"](each))
    yield f"gains {np.mean(of_vit[True]):.3f} in a small vision transformer at 98 px"
    yield f"and {np.mean(of_vit[False]):.3f} in four convolutional networks at 64 px"


def read_pages() -> str:
    """Read docs/paper.md and docs/paper-tables.md without their line breaks."""
    text = "".join((DOCS / name).read_text() for name in ("paper.md", "paper-tables.md"))
    return " ".join(text.replace("\n>", "\n").split())


if __name__ == "__main__":
    for name, text in tables():
        print(f"## {name}\n\n{text}\n")
    pages = read_pages()
    missing = [words for words in statements() if words not in pages]
    print("the pages lack:", *(missing or ["nothing"]), sep="\n  ")
