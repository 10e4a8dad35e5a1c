"""How many labelled images a representation takes: chosen and fitted on few, judged on other classes.

    python -m docs.study.few_references EMBEDDINGS OUT    # what is not in OUT yet, then few_references.csv
    python -m docs.study.few_references EMBEDDINGS OUT margins   # the same for few_references_margins.csv
    python -m docs.study.few_references                   # prints the tables

EMBEDDINGS holds `SET-NETWORK-SIZE.npz` of `embeddings.py`; OUT gets a file for each of them, so that a run can be cut
off and started again.

A draw takes five judging classes (of eight blood cells three), with 40 images each, and C of the other classes with n
images each, of different groups if there are as many. On these `stages.core.representations` chooses a representation
(with fewer than eight classes none that fits axes, with fewer than four only plain ones), and all are fitted to them.
The CSV has MAP@R in the gallery of the judging classes, means over draws: `habit`, the last layer; `layer`, the chosen
single layer; `chosen`, the chosen representation; `rule`, the upper half of the layers joined, *within*; `best_layer`
and `best`, the best on the judging images, which nobody can choose. `worse` is the share of draws in which the chosen
representation scores less than the last layer.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from docs.study.by_axis import DATASETS, NETWORKS, Embedded
from docs.study.kinds import KINDS
from docs.study.labels import Indices, Matrix
from docs.study.tables import markdown, signed
from stages.core.representations.candidates import FITTED, Candidate, list_candidates
from stages.core.representations.choice import Choice, choose_representation
from stages.core.representations.judging import Fit, Gallery, Source

TABLE = Path(__file__).with_name("few_references.csv")
CELLS = ("efficientnet_lite0-224", "vit_small_patch14_few-224")
"""Network and size of input."""

SHOWN = {"Lite0": "Lite0 at 224 px", "ViT-S, fewer images": "the ViT-S"}
"""What the page calls each network; its table has the first one."""

REACHED = ["habit", "layer", "chosen", "rule", "best_layer", "best", "worse"]

CLASSES, IMAGES = (2, 5, 10, 15), (2, 5, 10, 20)
DRAWS = 20
MOST_JUDGING, JUDGING_IMAGES = 5, 40
LEFT = 5
"""Classes that judging classes leave, at least."""

MARGINS = Path(__file__).with_name("few_references_margins.csv")
MARGIN_CELLS = ("efficientnet_lite0-64", "efficientnet_lite0-224")
MARGIN_CLASSES, MARGIN_IMAGES, FEWEST_JUDGING = (8, 10, 12, 14), (5, 20), 2
MAP_AT_R_MARGINS, ERROR_MARGINS = (0, 0.005, 0.01, 0.02, 0.05), (1, 2)
MOST_LOST = 0.01
"""Mean MAP@R that recipes that fit axes may lose on a dataset."""


def of_set(own: Embedded, draws: int = DRAWS) -> pd.DataFrame:
    """Return a row for each number of classes and images: what is reached on judging classes, means over draws."""
    rows = pd.DataFrame([row for number in range(draws) for row in of_draw(own, number)])
    return rows.groupby(["classes", "images"], as_index=False).mean().assign(draws=draws)


def of_draw(own: Embedded, number: int) -> Iterator[dict[str, float]]:
    """Yield a row for each number of classes and images: MAP@R on the judging classes of one draw."""
    for keys, by_candidate, choice in choices(own, number):
        yield keys | reached(by_candidate, choice)


def choices(
    own: Embedded, number: int, classes: Sequence[int] = CLASSES, images: Sequence[int] = IMAGES, left: int = LEFT
) -> Iterator[tuple[dict[str, int], dict[Candidate, float], Choice]]:
    """Yield for each number of classes and images what is chosen on them, and each candidate's judging MAP@R.

    Args:
        own: a dataset.
        number: of the draw.
        classes, images: numbers of reference classes, and of images of each.
        left: classes that judging classes leave, at least.
    """
    names, y = np.unique(own.labels, return_inverse=True)
    groups = np.arange(len(y)) if own.groups is None else np.unique(own.groups, return_inverse=True)[1]
    random = np.random.default_rng([2612, number])
    members = [random.permutation(np.flatnonzero(y == each)) for each in random.permutation(len(names))]
    judging = min(MOST_JUDGING, len(names) - left)
    gallery = Gallery(np.concatenate([each[:JUDGING_IMAGES] for each in members[:judging]]), y, groups)
    source = source_of(own.layers, y, own.poolings)
    references = [spread_groups(each, groups) for each in members[judging:]]
    fewest = min(map(len, members))
    for C, n in product([C for C in classes if len(references) >= C], [n for n in images if n <= fewest]):
        reference = np.concatenate([each[:n] for each in references[:C]])
        scores = Fit(source, reference).score(gallery).mean(axis=1)
        by_candidate = dict(zip(source.candidates, scores, strict=True))
        yield {"classes": C, "images": n, "judging": judging}, by_candidate, choose(own, reference)


def margins_of_set(own: Embedded, draws: int = DRAWS) -> pd.DataFrame:
    """Return a row for each number of classes and images: what each margin gains over the best plain candidate."""
    left = [C for C in MARGIN_CLASSES if len(np.unique(own.labels)) >= C + FEWEST_JUDGING]
    rows = pd.DataFrame(
        [
            keys | gains_by_margin(by_candidate, choice)
            for C in left
            for number in range(draws)
            for keys, by_candidate, choice in choices(own, number, [C], MARGIN_IMAGES, C)
        ]
    )
    return rows.groupby(["classes", "images"], as_index=False).mean().assign(draws=draws) if left else rows


def gains_by_margin(scores: dict[Candidate, float], choice: Choice) -> dict[str, float]:
    """Return what the best plain candidate reaches on judging classes, and what taking a fitted one gains by margin."""
    is_fitted = np.array([each.recipe in FITTED for each in choice.candidates])
    best = [int(own[choice.values[own].argmax()]) for own in (np.flatnonzero(~is_fitted), np.flatnonzero(is_fitted))]
    plain, fitted = (scores[choice.candidates[number]] for number in best)
    ahead = choice.class_scores[best[1]] - choice.class_scores[best[0]]
    error = ahead.std(ddof=1) / len(ahead) ** 0.5
    margins = {f"{margin:g}": margin for margin in MAP_AT_R_MARGINS}
    margins |= {f"{count} SE": count * error for count in ERROR_MARGINS}
    gains = {name: (fitted - plain) * (ahead.mean() > margin) for name, margin in margins.items()}
    return {"plain": plain} | gains


def source_of(layers: Mapping[str, Matrix], y: Indices, poolings: Mapping[str, str] | None = None) -> Source:
    """Return all representations of a network's layers, of which some may be further poolings."""
    arrays, order = [*layers.values()], [*layers]
    candidates = list_candidates(poolings or dict.fromkeys(order, ""))
    members = [range(order.index(each.arrays[0]), order.index(each.arrays[-1]) + 1) for each in candidates]
    return Source(arrays, arrays, y, candidates, members)


def choose(own: Embedded, reference: Indices) -> Choice:
    """Choose on some images, as a user would who has no others."""
    layers = {name: X[reference] for name, X in own.layers.items()}
    groups = None if own.groups is None else own.groups[reference]
    labels = own.labels[reference]
    return choose_representation(layers, labels, groups, networks=own.poolings, control=own.last, refits=False)


def reached(scores: dict[Candidate, float], choice: Choice) -> dict[str, float]:
    """Return what the last layer, choices and the best reach, from the judging classes' score of every candidate."""
    considered = choice.candidates
    habit, chosen = scores[considered[choice.control]], scores[considered[choice.chosen]]
    return {
        "habit": habit,
        "layer": scores[considered[choice.choose_among(choice.singles)[0]]],
        "chosen": chosen,
        "rule": next(value for each, value in scores.items() if (each.join, each.recipe) == ("upper_half", "within")),
        "best_layer": max(scores[considered[number]] for number in choice.singles),
        "best": max(scores.values()),
        "worse": float(chosen < habit),
    }


def spread_groups(rows: Indices, groups: Indices) -> Indices:
    """Order images so that the first ones are of different groups."""
    earlier = pd.Series(groups[rows]).groupby(groups[rows]).cumcount()
    return rows[np.argsort(earlier.to_numpy(), kind="stable")]


def run(embeddings: Path, out: Path, *, margins: bool = False) -> None:
    """Compute what is not in `out` yet, and join all."""
    out.mkdir(parents=True, exist_ok=True)
    table, cells, of = (MARGINS, MARGIN_CELLS, margins_of_set) if margins else (TABLE, CELLS, of_set)
    for cell, name in product(cells, DATASETS):
        source, target = embeddings / f"{name}-{cell}.npz", out / f"{name}-{cell}-{table.stem}.csv"
        if source.exists() and not target.exists() and len(rows := of(Embedded(source))):
            network, size = cell.rsplit("-", 1)
            keys = {"dataset": name, "network": NETWORKS[network][0], "size": int(size)}
            rows.assign(**keys)[[*keys, *rows.columns]].to_csv(target, index=False)
            print(target.name, flush=True)
    parts = [pd.read_csv(path) for path in sorted(out.glob(f"*-{table.stem}.csv"))]
    pd.concat(parts).to_csv(table, index=False, float_format="%.4f")


def means_over_kinds(network: str = "Lite0") -> pd.DataFrame:
    """Return means over kinds: a row for each number of classes and images, and the number of kinds."""
    kinds = {dataset: kind for kind, datasets in KINDS.items() for dataset in datasets}
    rows = pd.read_csv(TABLE).query("network == @network")
    by_kind = rows.groupby(["classes", "images", rows["dataset"].map(kinds)]).mean(numeric_only=True)[REACHED]
    sizes = by_kind.groupby(["classes", "images"])
    return sizes.mean().assign(kinds=sizes.size())


def references_table() -> str:
    """Tabulate what choices gain over the last layer and the best one, and what the choice loses to the best of all."""
    lines = []
    for (C, n), own in means_over_kinds().iterrows():  # type: ignore[misc]
        gains = [signed(own[each] - own["habit"]) for each in ("layer", "chosen", "rule")]
        gains += [signed(own["chosen"] - own["best_layer"]), signed(own["best"] - own["chosen"])]
        lines.append([f"{C} classes of {n} images", str(int(own["kinds"])), *gains, f"{own['worse']:.0%}"])
    heads = ["chosen layer gains", "chosen representation gains", "upper half, within gains"]
    heads += ["over the best layer", "loss to the best representation", "worse than the last layer"]
    return markdown(["choice on", "kinds", *heads], lines)


def references_answer() -> str:
    """Say from how many classes and images on a chosen representation beats the best single layer, by network."""
    told = ", ".join(map(enough, SHOWN))
    return f"A chosen representation beats the best layer {told}. {DRAWS} draws, {SHOWN['Lite0']}:"


def enough(network: str) -> str:
    """Say from how many classes and images on, with one network."""
    sizes = means_over_kinds(network)
    wins = sizes["chosen"] > sizes["best_layer"]
    classes = wins[wins].index.get_level_values("classes").min()
    above = wins.loc[classes:].unstack()
    images = above.columns[above.all()].min()
    kinds = dict.fromkeys(map(str, sorted({*sizes.loc[classes:, "kinds"]})))
    return f"with {SHOWN[network]} from {classes} classes of {images} images on (mean of {' to '.join(kinds)} kinds)"


def margins_answer() -> str:
    """Say what recipes that fit axes gain over others on few classes without a margin, and lose at worst."""
    rows = pd.read_csv(MARGINS)
    sets = rows.groupby(["dataset", "network", "size"]).mean(numeric_only=True)
    lost, at = sets["0"].min(), sets["0"].idxmin()
    assert lost >= -MOST_LOST, "then the choice needs a margin"
    return (
        f"On {MARGIN_CLASSES[0]} to {MARGIN_CLASSES[-1]} classes recipes that fit axes need no margin: they "
        f"gain {signed(sets['0'].mean())} MAP@R, at worst {signed(lost)} ({at[0]}, {at[2]} px)."
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        run(Path(sys.argv[1]), Path(sys.argv[2]), margins=sys.argv[3:] == ["margins"])
    print(f"{references_answer()}\n\n{references_table()}\n\n{margins_answer()}")
