"""What a larger input, a chosen layer and a chosen representation gain by kind of images: tables and sentences.

Reads by_axis.csv and by_axis_candidates.csv (`by_axis.py`) and prints Markdown.

    python -m docs.study.kinds

Steps follow each other: the last layer at a small input, the last layer at the network's own size, there the layer and
there the representation chosen on other classes. A kind's score in a network is the mean of its datasets. Means over
kinds are of each kind's mean over networks, so that a kind counts once.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from docs.study.tables import joined, markdown, signed, unsigned

HERE = Path(__file__).parent
TITLE = "Enlarge the input, then join and whiten layers"
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

NETWORKS = ("Lite0", "MobileNetV2")
"""Networks that were run on all images at both sizes."""

RANDOM, VIT, VIT_SMALL = "Lite0, random weights", "ViT-S, fewer images", 56
"""Networks that stand apart, and pixels of a small input of the last."""

STEPS = {
    "small": f"last layer, {SMALL} px",
    "habit": f"last layer, {OWN} px",
    "layer": f"chosen layer, {OWN} px",
    "representation": f"chosen representation, {OWN} px",
}
FAIR = {"within": f"last layer within, {OWN} px"}
"""A baseline beside the steps: the last layer with the recipe of the best joins, without any choice."""
SHORT = {
    "small": f"last layer, {SMALL} px",
    "habit": f"last layer, {OWN} px",
    "layer": "chosen layer",
    "within": "last layer, whitened within classes",
    "representation": "chosen representation",
}
"""The steps and the baseline, as the short table names them."""
GAINS = {"enlarging": ("small", "habit"), "layer": ("habit", "layer"), "representation": ("layer", "representation")}
"""Step -> the columns between which it lies."""

UNLABELLED = ("plain", "centred", "whitened")
"""Recipes that are fitted to images without labels."""

RULES: dict[str, Callable[[pd.DataFrame], "pd.Series[bool]"]] = {
    "best plain layer of other kinds": lambda rows: (rows["join"] == "single") & (rows["recipe"] == "plain"),
    "best of other kinds, without labels": lambda rows: rows["recipe"].isin(UNLABELLED),
    "last layer, centred": lambda rows: (
        (rows["join"] == "single")
        & (rows["recipe"] == "centred")
        & (rows["layer"] == rows.groupby("network")["layer"].transform("max"))
    ),
    "best of other kinds": lambda rows: rows["recipe"] != "",
}
"""Rule -> which representations it is made of; the last one alone takes labels."""


def read(name: str = "by_axis.csv") -> pd.DataFrame:
    """Read a table, with the kind of each row."""
    kinds = {dataset: kind for kind, datasets in KINDS.items() for dataset in datasets}
    rows = pd.read_csv(HERE / name)
    return rows.assign(kind=pd.Categorical(rows["dataset"].map(kinds), [*KINDS]))


def steps(score: str, networks: Sequence[str] = NETWORKS) -> pd.DataFrame:
    """Return a row for each dataset and network that was run at both sizes: what every step reaches."""
    rows = read().query("score == @score and network in @networks").set_index(["dataset", "network"])
    small, own = rows[rows["size"].isin([SMALL, VIT_SMALL])], rows[rows["size"] == OWN]
    found = own.join([small["habit"].rename("small"), last_within()], how="inner").reset_index()
    return found.sort_values(["kind", "dataset", "network"], ignore_index=True)


def last_within() -> "pd.Series[float]":
    """Return MAP@R of the last layer, whitened within other classes, at the own size by dataset and network."""
    rows = read("by_axis_candidates.csv").query("size == @OWN and join == 'single' and recipe == 'within'")
    rows = rows[~rows["layer"].str.contains("@")].sort_values("layer")
    return rows.groupby(["dataset", "network"])["map_at_r"].last().rename("within")


def by_kind(found: pd.DataFrame) -> pd.DataFrame:
    """Average the steps over datasets, by kind and network."""
    return found.groupby(["kind", "network"], observed=True)[[*STEPS, *FAIR]].mean()


def gains(found: pd.DataFrame) -> pd.DataFrame:
    """Return what every step gains over the one before."""
    return pd.DataFrame({name: found[after] - found[before] for name, (before, after) in GAINS.items()})


def kind_gains(score: str, networks: Sequence[str] = NETWORKS) -> pd.DataFrame:
    """Return what every step gains, mean over networks, by kind."""
    return gains(by_kind(steps(score, networks))).groupby("kind", observed=True).mean()


def spread(values: pd.Series) -> str:
    """Write the range over networks."""
    ends = [unsigned(each) for each in (values.min(), values.max())]
    return ends[0] if ends[0] == ends[1] else "–".join(ends)


def kinds_table(score: str, networks: Sequence[str] = NETWORKS, small: int = SMALL) -> str:
    """Tabulate what every step reaches by kind, as ranges over networks, and the mean gain of every step."""
    found, mean = steps(score, networks), kind_gains(score, networks)
    rows = []
    for kind, own in by_kind(found).groupby("kind", observed=True):
        classes = found[found["kind"] == kind].groupby("dataset", sort=False)["classes"].first()
        cells = [spread(own[step]) for step in STEPS]
        rows.append([str(kind), ", ".join(map(str, classes)), *cells, *(signed(each) for each in mean.loc[str(kind)])])
    rows.append(["mean of kinds", "", *[""] * len(STEPS), *(signed(each) for each in mean.mean())])
    heads = [f"last layer, {small} px", *[*STEPS.values()][1:]]
    heads += ["larger input gains", "layer gains", "representation gains"]
    return markdown(["images", "classes", *heads], rows, texts=2)


def short_table() -> str:
    """Tabulate MAP@R of every step, narrow enough for a phone: strokes, photos, and all other kinds together."""
    means = by_kind(steps("map_at_r")).groupby("kind", observed=True).mean()
    others = [kind for kind in KINDS if kind not in ("strokes", "photos")]
    columns = {"strokes": means.loc["strokes"], "photos": means.loc["photos"], "other": means.loc[others].mean()}
    rows = [[words, *(unsigned(own[step]) for own in columns.values())] for step, words in SHORT.items()]
    lost = joined([str(kind) for kind, each in kind_gains("map_at_r")["layer"].items() if each < -0.0005])
    larger, single, several = (signed(each) for each in kind_gains("probe_accuracy").mean())
    notes = [
        f"In probe accuracy, a larger input gains {larger}, a single layer {single} more, joins {several} more.",
        f"On {lost}, a chosen layer has a lower MAP@R than the last.",
        "All are means over kinds or datasets and two frozen networks ([study](docs/study/README.md)).",
        f"*Strokes* are handwriting, *other* the remaining kinds. Rows 2 to 5 are at {OWN} px.",
    ]
    return f"{markdown(['MAP@R', *columns], rows)}\n\n{' '.join(notes)}"


def datasets_table() -> str:
    """Tabulate MAP@R of every dataset and network, by more and more candidates."""
    columns = {step: STEPS[step] for step in ("small", "habit", "layer")}
    columns |= {"join": "or joined", "whitened": "or whitened", "representation": "or within"} | FAIR
    rows = []
    for own in steps("map_at_r").to_dict("records"):
        counts = f"{own['classes']} in {own['folds']}"
        cells = [unsigned(own[step]) for step in columns]
        rows.append([str(own["dataset"]), str(own["network"]), counts, *cells, words_of(str(own["chosen"]))])
    heads = ["dataset", "network", "classes in folds", *columns.values(), "chosen on all classes"]
    return markdown(heads, rows, texts=3)


def words_of(chosen: str) -> str:
    """Write which representation was chosen."""
    layers, recipe = chosen.rsplit(" ", 1)
    if layers.startswith("layer_"):
        layers = f"layer {int(layers.split('_')[1]) + 1}"
    return f"{layers}, {recipe}".replace("_", " ")


def small_table() -> str:
    """Tabulate MAP@R by kind at small inputs, and of Lite0 at all: last layer → chosen layer → representation."""
    rows = read().query("score == 'map_at_r' and (size < @OWN or network.str.startswith('Lite0')) and network != @VIT")
    networks = rows.groupby(["network", "size", "kind"], observed=True)[["habit", "layer", "representation"]].mean()
    columns = {f"{name}, {size} px": own.loc[name, size] for (name, size), own in networks.groupby(level=[0, 1])}
    lines = [[kind, *(" → ".join(map(unsigned, own.loc[kind])) for own in columns.values())] for kind in KINDS]
    means = [" → ".join(map(unsigned, own.mean())) for own in columns.values()]
    return markdown(["images", *columns], [*lines, ["mean of kinds", *means]])


def random_answer() -> str:
    """Say on which kinds a representation of random weights beats what the pre-trained network reaches, by size."""
    parts = []
    for size in (SMALL, OWN):
        rows = read().query("score == 'map_at_r' and size == @size")
        means = rows.groupby(["network", "kind"], observed=True)[["habit", "layer", "representation"]].mean()
        random, trained = means.loc[RANDOM, "representation"], means.loc[NETWORKS[0]]
        above = {step: joined([*random.index[random > trained[step]]]) or "no kind" for step in trained}
        subject = "it" if parts else f"the representation chosen in a random {NETWORKS[0]}"
        parts.append(
            f"At {size} px {subject} beats the pre-trained one on {above['representation']}, its last layer on "
            f"{above['habit']}."
        )
    return f"**Random weights.** {' '.join(parts)}"


def headline() -> str:
    """Say what every step gains, and where."""
    found, mean = steps("map_at_r"), kind_gains("map_at_r")
    photos, overall = (["**" + signed(each) + "**" for each in row] for row in (mean.loc["photos"], mean.mean()))
    kinds = by_kind(found).groupby("kind", observed=True).mean()
    alone = (kinds["within"] - kinds["habit"]).mean()
    return (
        f"On {found['dataset'].nunique()} datasets of {len(mean)} kinds a network's own input size ({OWN} px instead "
        f"of {SMALL} px) gains {overall[0]} MAP@R, choosing a layer a further {overall[1]}, and joining and whitening "
        f"layers a further {overall[2]}. On photos the three steps gain {photos[0]}, {photos[1]} and {photos[2]}. "
        f"Part of the last step needs no join and no choice: the last layer alone, whitened within classes, gains "
        f"**{signed(alone)}** over the last layer."
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
        if len(lost := mean[step][mean[step] < -0.0005]):
            where = joined([f"{kind} ({signed(value)})" for kind, value in lost.items()])
            parts.append(f"{subject} loses on {where}.")
    behind = found[each["representation"] < -0.01]
    lowest = found.loc[each["representation"].idxmin()]
    wins = int((each["representation"] > 0).sum())
    parts.append(
        f"The chosen representation beats the chosen layer in {wins} of {len(found)} pairs of dataset and network. "
        f"Its smallest gain is {signed(each['representation'].min())} ({lowest['dataset']}, {lowest['network']})."
    )
    if len(behind):
        pairs = joined([f"{row['dataset']} ({row['network']})" for _, row in behind.iterrows()])
        parts.append(f"It loses more than 0.010 on {pairs}.")
    return " ".join(parts)


def rule_rows() -> pd.DataFrame:
    """Return what rules reach that were made on the other kinds, by rule, dataset and network, at the own size.

    A rule takes, of some representations, the best mean over the other kinds, each the mean of its datasets.
    """
    values = read("by_axis_candidates.csv").query("size == @OWN and network in @NETWORKS")
    values = values.assign(name=values["join"] + " " + values["layer"] + " " + values["recipe"])
    rows = []
    for (rule, is_candidate), network in product(RULES.items(), values["network"].unique()):
        own = values[is_candidate(values) & (values["network"] == network)]
        by_dataset = own.pivot_table("map_at_r", "name", "dataset")
        by_kind = own.pivot_table("map_at_r", "name", ["kind", "dataset"], observed=True).T.groupby(
            "kind", observed=True
        )
        for kind, datasets in KINDS.items():
            best = by_kind.mean().drop(kind).mean().idxmax()
            keys = {"rule": rule, "network": network, "kind": kind, "name": best}
            rows += [keys | {"dataset": each, "value": by_dataset.loc[best, each]} for each in datasets]
    return pd.DataFrame(rows)


def rule_gains() -> pd.DataFrame:
    """Return what rules, and the choice last, gain over the last layer and lose to the choice, as `rule_rows` does."""
    found = steps("map_at_r")[["dataset", "network", "kind", "habit", "representation"]]
    chosen = found.assign(rule="chosen on other classes of the dataset", name="", value=found["representation"])
    both = pd.concat([rule_rows().merge(found, on=["dataset", "network", "kind"]), chosen])
    return both.assign(gain=both["value"] - both["habit"], loss=both["representation"] - both["value"])


def of_kinds(own: pd.DataFrame) -> pd.DataFrame:
    """Average gain and loss over datasets, then networks, by kind."""
    return own.groupby(["kind", "network"])[["gain", "loss"]].mean().groupby("kind").mean()


def taken_by(own: pd.DataFrame) -> list[str]:
    """List what a rule takes on most kinds, of each network, all of a tie; empty texts if it is no rule."""
    by_network = own.drop_duplicates(["network", "kind"]).groupby("network")["name"]
    return [" or ".join(rule_words(name) for name in names.mode() if name) for _, names in by_network]


def rules_answer() -> str:
    """Say which rule to take for a dataset of an unknown kind, without labels and with labels of some classes."""
    both, (*free, fitted) = rule_gains(), RULES
    each = {str(rule): of_kinds(own) for rule, own in both.groupby("rule")}
    safe = max(free, key=lambda rule: each[rule]["gain"].min())
    gain, most = each[safe]["gain"], each[fitted]
    taken = " or ".join(f"*{words}*" for words in taken_by(both[both["rule"] == fitted]))
    return (
        f"Without labels take the {safe}: it gains {signed(gain.mean())} MAP@R and at worst {signed(gain.min())} "
        f"({gain.idxmin()}). With labels of other classes take {taken}: it gains "
        f"{signed(most['gain'].mean())}, at worst {signed(most['gain'].min())} ({most['gain'].idxmin()}), and falls "
        f"{unsigned(most['loss'].mean())} short of the choice."
    )


def rules_table() -> str:
    """Tabulate what rules gain over the last layer and lose to the choice, mean over kinds and the worst kind."""
    both, rows = rule_gains(), []
    for rule, own in both.groupby("rule", sort=False):
        each = of_kinds(own)
        taken = taken_by(own)
        cells = [words or "–" for words in taken]
        least = f"{signed(each['gain'].min())} ({each['gain'].idxmin()})"
        losses = [signed(each["loss"].mean()), f"{signed(each['loss'].max())} ({each['loss'].idxmax()})"]
        rows.append([str(rule), *cells, signed(each["gain"].mean()), least, *(losses if any(taken) else ["–", "–"])])
    takes = [f"takes mostly, {network}" for network in both["network"].unique()]
    heads = ["rule", *takes, "gain over the last layer", "least gain", "loss to the choice", "largest loss"]
    return markdown(heads, rows, texts=1 + len(takes))


def rule_words(name: str) -> str:
    """Write which representation a rule takes."""
    join, layer, recipe = name.split(" ")
    return words_of(f"{layer if join == 'single' else join} {recipe}")


def regions() -> Iterator[tuple[str, str]]:
    """Yield every table and paragraph with its heading."""
    yield "headline", headline()
    yield "steps", short_table()
    yield "kinds by MAP@R", kinds_table("map_at_r")
    yield "failures", failures()
    yield "kinds by probe", kinds_table("probe_accuracy")
    yield "datasets", datasets_table()
    yield "small inputs", small_table()
    yield "random weights", random_answer()
    yield "ViT-S", kinds_table("map_at_r", [VIT], VIT_SMALL)
    yield "rules", f"{rules_answer()}\n\n{rules_table()}"


if __name__ == "__main__":
    for heading, words in regions():
        print(f"## {heading}\n\n{words}\n")
