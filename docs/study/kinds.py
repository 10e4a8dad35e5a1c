"""What a larger input, a chosen layer and a chosen representation gain by kind of images: tables and sentences.

Reads by_axis.csv and by_axis_candidates.csv (`by_axis.py`) and prints Markdown.

    python -m docs.study.kinds

Steps follow each other: the last layer at a small input, the last layer at the network's own size, there the layer and
there the representation chosen on other classes. A kind's score in a network is the mean of its datasets. Means over
kinds are of each kind's mean over networks, so that a kind counts once.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from docs.study.tables import markdown, signed, unsigned

HERE = Path(__file__).parent
KINDS = {
    "strokes": ("handwriting", "calligraphy", "omniglot"),
    "photos": ("cifar100", "tinyimagenet"),
    "hand signs": ("handsigns",),
    "traffic signs": ("trafficsigns",),
    "textures": ("textures",),
    "blood cells": ("bloodcells",),
    "seedlings": ("seedlings",),
    "spoken digits": ("spokendigits",),
}
"""Kind -> datasets."""

SMALL, OWN = 64, 224
"""Pixels of a small input, and of that of pre-training."""

STEPS = {
    "small": f"last layer, {SMALL} px",
    "habit": f"last layer, {OWN} px",
    "layer": f"chosen layer, {OWN} px",
    "representation": f"chosen representation, {OWN} px",
}
GAINS = {"enlarging": ("small", "habit"), "layer": ("habit", "layer"), "representation": ("layer", "representation")}
"""Step -> the columns between which it lies."""

UNLABELLED = ("plain", "centred", "whitened")
"""Recipes that are fitted to images without labels."""


def read(name: str = "by_axis.csv") -> pd.DataFrame:
    """Read a table, with the kind of each row."""
    kinds = {dataset: kind for kind, datasets in KINDS.items() for dataset in datasets}
    rows = pd.read_csv(HERE / name)
    return rows.assign(kind=pd.Categorical(rows["dataset"].map(kinds), [*KINDS]))


def steps(score: str) -> pd.DataFrame:
    """Return a row for each dataset and network that was run at both sizes: what every step reaches."""
    rows = read().query("score == @score").set_index(["dataset", "network"])
    small, own = (rows[rows["size"] == size] for size in (SMALL, OWN))
    found = own.join(small["habit"].rename("small"), how="inner").reset_index()
    order = [dataset for datasets in KINDS.values() for dataset in datasets]
    return found.sort_values(["dataset", "network"], key=lambda c: c.map(order.index) if c.name == "dataset" else c)


def by_kind(found: pd.DataFrame) -> pd.DataFrame:
    """Average the steps over datasets, by kind and network."""
    return found.groupby(["kind", "network"], observed=True)[[*STEPS]].mean()


def gains(found: pd.DataFrame) -> pd.DataFrame:
    """Return what every step gains over the one before."""
    return pd.DataFrame({name: found[after] - found[before] for name, (before, after) in GAINS.items()})


def kind_gains(score: str) -> pd.DataFrame:
    """Return what every step gains, mean over networks, by kind."""
    return gains(by_kind(steps(score))).groupby("kind", observed=True).mean()


def spread(values: pd.Series) -> str:
    """Write the range over networks."""
    ends = [unsigned(each) for each in (values.min(), values.max())]
    return ends[0] if ends[0] == ends[1] else "–".join(ends)


def kinds_table(score: str) -> str:
    """Tabulate what every step reaches by kind, as ranges over networks, and the mean gain of every step."""
    found, mean = steps(score), kind_gains(score)
    rows = []
    for kind, own in by_kind(found).groupby("kind", observed=True):
        classes = found[found["kind"] == kind].groupby("dataset", sort=False)["classes"].first()
        cells = [spread(own[step]) for step in STEPS]
        rows.append([str(kind), ", ".join(map(str, classes)), *cells, *(signed(each) for each in mean.loc[str(kind)])])
    rows.append(["mean of kinds", "", *[""] * len(STEPS), *(signed(each) for each in mean.mean())])
    heads = ["images", "classes", *STEPS.values(), "larger input gains", "layer gains", "representation gains"]
    return markdown(heads, rows, texts=2)


def datasets_table() -> str:
    """Tabulate MAP@R of every dataset and network, by more and more candidates."""
    columns = {**STEPS, "representation": "all"}
    del columns["representation"]
    rows = []
    for _, own in steps("map_at_r").iterrows():
        cells = [unsigned(own[step]) for step in ("small", "habit", "layer", "join", "whitened", "representation")]
        counts = f"{own['classes']} in {own['folds']}"
        rows.append([own["dataset"], own["network"], counts, *cells, words_of(str(own["chosen"]))])
    heads = [*columns.values(), "or joined", "or whitened", "or within", "on all classes"]
    return markdown(["dataset", "network", "classes in folds", *heads], rows, texts=3)


def words_of(chosen: str) -> str:
    """Write which representation was chosen."""
    layers, recipe = chosen.rsplit(" ", 1)
    if layers.startswith("layer_"):
        layers = f"layer {int(layers.split('_')[1]) + 1}"
    return f"{layers}, {recipe}".replace("_", " ")


def small_table() -> str:
    """Tabulate MAP@R at small inputs by kind and network: last layer → chosen layer → chosen representation."""
    rows = read().query("score == 'map_at_r' and size < @OWN")
    means = rows.groupby(["kind", "network"], observed=True)[["habit", "layer", "representation"]].mean()
    sizes = rows.groupby("network")["size"].first()
    lines = []
    for kind in KINDS:
        cells = [
            " → ".join(unsigned(each) for each in means.loc[kind, name]) if (kind, name) in means.index else "–"
            for name in sizes.index
        ]
        lines.append([kind, *cells])
    return markdown(["images", *(f"{name}, {size} px" for name, size in sizes.items())], lines)


def headline() -> str:
    """Say what every step gains, and where."""
    found, mean = steps("map_at_r"), kind_gains("map_at_r")
    photos, overall = (["**" + signed(each) + "**" for each in row] for row in (mean.loc["photos"], mean.mean()))
    return (
        f"On {found['dataset'].nunique()} datasets of {len(mean)} kinds a network's own input size ({OWN} px instead "
        f"of {SMALL} px) gains {overall[0]} MAP@R, choosing a layer a further {overall[1]}, and joining and whitening "
        f"layers a further {overall[2]}. On photos the three steps gain {photos[0]}, {photos[1]} and {photos[2]}."
    )


def failures() -> str:
    """Say where a step loses."""
    found = steps("map_at_r")
    each, mean = gains(found), kind_gains("map_at_r")
    verbs = {
        "enlarging": "A larger input",
        "layer": "Choosing a layer",
        "representation": "Choosing a representation instead of a layer",
    }
    parts = []
    for step, subject in verbs.items():
        lost = mean[step][mean[step] < -0.0005]
        where = listed([f"{kind} ({signed(value)})" for kind, value in lost.items()])
        parts.append(f"{subject} loses on {where}." if where else f"{subject} loses on no kind.")
    behind = found[each["representation"] < -0.01]
    lowest = found.loc[each["representation"].idxmin()]
    wins = int((each["representation"] > 0).sum())
    parts.append(
        f"In {wins} of {len(found)} pairs of a dataset and a network the chosen representation beats the chosen layer. "
        f"Its smallest gain is {signed(each['representation'].min())} ({lowest['dataset']}, {lowest['network']})."
    )
    if len(behind):
        pairs = listed([f"{row['dataset']} ({row['network']})" for _, row in behind.iterrows()])
        parts.append(f"It loses more than 0.010 on {pairs}.")
    return " ".join(parts)


def listed(words: list[str]) -> str:
    """Write words in a row, the last after "and"."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def rule_rows() -> pd.DataFrame:
    """Return what rules reach that were made on the other kinds, by rule, dataset and network, at the own size.

    A rule takes, of some representations, the best mean over the other kinds, each the mean of its datasets.
    """
    values = read("by_axis_candidates.csv").query("size == @OWN")
    values = values.assign(name=values["join"] + " " + values["layer"] + " " + values["recipe"])
    is_single = values["join"] == "single"
    plain = values["recipe"] == "plain"
    pools = {
        "best plain layer elsewhere": is_single & plain,
        "best elsewhere, no labels": values["recipe"].isin(UNLABELLED),
        "best elsewhere": values["recipe"] != "",
    }
    rows = []
    for (rule, keep), (network, _) in ((pool, own) for pool in pools.items() for own in values.groupby("network")):
        own = values[keep & (values["network"] == network)]
        table = own.pivot_table("map_at_r", "name", "dataset")
        kinds = own.groupby(["name", "kind"], observed=True)["map_at_r"].mean().unstack()
        for kind, datasets in KINDS.items():
            best = kinds.drop(columns=kind).mean(axis=1).idxmax()
            rows += [
                {
                    "rule": rule,
                    "network": network,
                    "dataset": each,
                    "kind": kind,
                    "name": best,
                    "value": table.loc[best, each],
                }
                for each in datasets
            ]
    return pd.DataFrame(rows)


def rules_table() -> str:
    """Tabulate what rules gain over the last layer and lose to the choice, mean over kinds and the worst kind."""
    found = steps("map_at_r").set_index(["dataset", "network"])
    chosen = found.reset_index().assign(
        rule="chosen on the dataset's other classes", value=found["representation"].to_numpy(), name=""
    )
    both = pd.concat([rule_rows(), chosen[["rule", "network", "dataset", "kind", "name", "value"]]])
    keys = [(row["dataset"], row["network"]) for _, row in both.iterrows()]
    both = both.assign(
        gain=both["value"].to_numpy() - found.loc[keys, "habit"].to_numpy(),
        loss=found.loc[keys, "representation"].to_numpy() - both["value"].to_numpy(),
    )
    rows = []
    for rule, own in both.groupby("rule", sort=False):
        means = (
            own.groupby(["kind", "network"], observed=True)[["gain", "loss"]]
            .mean()
            .groupby("kind", observed=True)
            .mean()
        )
        worst = [
            f"{signed(means['gain'].min())} ({means['gain'].idxmin()})",
            f"{unsigned(means['loss'].max())} ({means['loss'].idxmax()})",
        ]
        if not own["name"].any():
            rows.append([str(rule), "–", signed(means["gain"].mean()), worst[0], "–", "–"])
            continue
        taken = [rule_words(each) for each in dict.fromkeys(own["name"])]
        rows.append(
            [
                str(rule),
                "; ".join(dict.fromkeys(taken)),
                signed(means["gain"].mean()),
                worst[0],
                unsigned(means["loss"].mean()),
                worst[1],
            ]
        )
    heads = ["rule", "takes", "gain over the last layer", "least gain", "loss to the choice", "largest loss"]
    return markdown(heads, rows, texts=2)


def rule_words(name: str) -> str:
    """Write which representation a rule takes."""
    join, layer, recipe = name.split(" ")
    return words_of(f"{layer if join == 'single' else join} {recipe}")


def regions() -> Iterator[tuple[str, str]]:
    """Yield every table and paragraph with its heading."""
    yield "headline", headline()
    yield "kinds by MAP@R", kinds_table("map_at_r")
    yield "failures", failures()
    yield "kinds by probe", kinds_table("probe_accuracy")
    yield "datasets", datasets_table()
    yield "small inputs", small_table()
    yield "rules", rules_table()


if __name__ == "__main__":
    for heading, words in regions():
        print(f"## {heading}\n\n{words}\n")
