"""The study's sentences with numbers, and the list of cells that were not run: computed from the files here.

    python -m docs.study.sentences

It imports nothing of the project but the tables beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from docs.study import tables
from docs.study.tables import (
    GLYPHS,
    LARGE,
    LAYERS,
    PHOTOS,
    RULES,
    SIZED,
    TRAINED,
    Curves,
    bracketed,
    height,
    joined,
    markdown,
    over_datasets,
    signed,
)

CNNS = ("Lite0", "Lite1", "Lite2", "MobileNetV2")
SHOWN = {"probe": "probe_accuracy", "MAP@R": "map_at_r"}
"""Scores of the sentences."""

Gains = Mapping[tuple[str, str], float]

FOUR, FIVE = dict.fromkeys(GLYPHS, 4) | dict.fromkeys(PHOTOS, 4), dict.fromkeys(GLYPHS, 4) | dict.fromkeys(PHOTOS, 5)
THREE, TWO = dict.fromkeys(("handwriting", "calligraphy", "cifar100"), 4), {"handwriting": 2, "tinyimagenet": 2}
PLAN = [
    ("Lite0", 64, True, 0, FOUR, 5.2),
    ("Lite0", 64, True, 1, FOUR, 5.2),
    ("Lite2", 64, True, 0, THREE, 7.5),
    ("MobileNetV2", 64, True, 0, THREE, 7.5),
    ("Lite0", 128, True, 0, TWO, 18.0),
    ("Lite0", 224, True, 0, TWO, 55.0),
    ("ViT-S", 98, True, 0, {"handwriting": 4}, 30.0),
    ("Lite0", 128, False, 0, FIVE, 0.5),
    ("Lite0", 224, False, 0, FIVE, 1.5),
    ("Lite2", 224, False, 0, FIVE, 1.2),
    ("MobileNetV2", 224, False, 0, FIVE, 0.8),
    *((f"{network}, random", pixels, False, 0, dict.fromkeys(FIVE, 1), 0.5)
      for network, pixels in (("Lite0", 64), ("MobileNetV2", 64), ("ViT-S", 98))),
]  # fmt: skip
"""Planned cells: network, input, whether fine-tuned, seed, folds of each dataset; minutes of one core per cell."""


def gains_of(score: str, domain: Sequence[str], networks: Sequence[str] = tables.NETWORKS, *, tuned: bool) -> Gains:
    """What choosing gains over the last layer in rows of length 1, by pair."""
    scores, step = (tables.read_tuned(), TRAINED) if tuned else (tables.read_scores("frozen.csv"), 0)
    pairs = tables.curves_of(scores, score, "unit", step)
    return {pair: RULES["last"](own) for pair, own in pairs.items() if pair[0] in domain and pair[1] in networks}


def lite0_at(score: str, step: int) -> Gains:
    """What choosing gains over the last layer in Lite0 at a checkpoint, by pair."""
    return {
        pair: gain for pair, gain in tables.gains_at(tables.read_tuned(), score, step).items() if pair[1] == "Lite0"
    }


def listed(words: Sequence[str]) -> str:
    """Write numbers of the shown scores in a row."""
    return " and ".join(f"{number} by {name}" for number, name in zip(words, SHOWN, strict=True))


def headline() -> str:
    """Say where choosing pays, with the gains that the tables have."""
    lites = [
        int(own.mean(axis=0).argmax()) + 1
        for score in SHOWN.values()
        for (dataset, network), own in tables.curves_of(tables.read_scores("frozen.csv"), score, "unit").items()
        if dataset in GLYPHS and network.startswith("Lite")
    ]
    layer = max(set(lites), key=lites.count)
    photos = {
        name: max(gains_of(score, PHOTOS, CNNS, tuned=False).values())
        for name, score in {**SHOWN, "NMI": "nmi"}.items()
    }
    most = ", ".join(f"{signed(gain)} by {name}" for name, gain in photos.items())
    frozen, tuned = (
        [bracketed(*over_datasets(gains_of(score, GLYPHS, tuned=each))) for score in SHOWN.values()]
        for each in (False, True)
    )
    after = [bracketed(*over_datasets(gains_of(score, PHOTOS, tuned=True))) for score in SHOWN.values()]
    by_probe = tables.curves_of(tables.read_scores("frozen.csv"), "probe_accuracy", "unit")
    two_thirds = {pair: RULES["two thirds"](own) for pair, own in by_probe.items() if pair[0] in GLYPHS}
    return (
        f"**On classes like those of pre-training the last layer, with rows of length 1, is nearly as good as any: in "
        f"four frozen convolutional networks at 64 px another gains at most {most}. On other classes choose: at 64 px "
        f"the chosen layer of a frozen network, mostly {layer} of 9 in EfficientNet-Lite, gains {listed(frozen)} over "
        f"the last layer. At {LARGE} px, as in pre-training, it gains {listed(gains_at_large())}.**\n\n"
        f"The numbers at {LARGE} px are of {joined(SIZED)}. By probe the chosen layer gains "
        f"{bracketed(*over_datasets(two_thirds))} over the layer at two thirds of the depth on glyphs at 64 px. After "
        f"fine-tuning at 64 px it gains {listed(tuned)} over the last layer on glyphs, {listed(after)} on photos. [ ]: "
        f"95 %, Student's t over datasets that we picked."
    )


def fine_tuning_answer() -> str:
    """Say what fine-tuning changes, and in how many pairs the last layers are then as good as the best one."""
    tuned, near, changes, over_before = tables.read_tuned(), dict[str, list[list[bool]]](), [], []
    for score in tables.GOALS:
        before, after = (tables.curves_of(tuned, score, "unit", step) for step in (0, TRAINED))
        before_last = over_datasets({pair: RULES["one before"](own) for pair, own in after.items()})
        over_before.append(f"{bracketed(*before_last)} by {tables.TITLES[score]}")
        near[tables.TITLES[score]] = [[bool(each) for each in tables.within(own)] for own in after.values()]
        if score == SHOWN["MAP@R"]:
            changes = [
                signed(
                    tables.mean_of({pair: height(after[pair], at) - height(before[pair], at) for pair in after}, kind)
                )
                for kind, at in product((GLYPHS, PHOTOS), (LAYERS["last"], None))
            ]
    last, one_before = (
        ", ".join(f"{sum(own[at] for own in each)} by {name}" for name, each in near.items()) for at in (-1, -2)
    )
    return (
        f"By MAP@R fine-tuning changes the last and the chosen layer by {changes[0]} and {changes[1]} on glyphs, by "
        f"{changes[2]} and {changes[3]} on photos. **Do the last layers tie then?** In {len(near['probe'])} pairs of a "
        f"dataset and a network the last layer comes within 0.01 of the best one in {last}. The layer before it does "
        f"in {one_before}. Over that layer the chosen one gains {', '.join(over_before)}."
    )


def sized(score: str) -> tuple[dict[tuple[str, str], Curves], dict[tuple[str, str], Curves]]:
    """Curves of one score on glyphs at 64 px and at the large size of input, of the pairs that have both."""
    found = tables.curves_by_size(score, SIZED)
    pairs = [pair for pair in found[LARGE] if pair[0] in GLYPHS]
    return {pair: found[64][pair] for pair in pairs}, {pair: found[LARGE][pair] for pair in pairs}


def gains_at_large() -> list[str]:
    """What choosing gains over the last layer on glyphs at the large size of input, with its interval, by score."""
    large = [sized(score)[1] for score in SHOWN.values()]
    return [bracketed(*over_datasets({pair: RULES["last"](own) for pair, own in each.items()})) for each in large]


def size_answer() -> str:
    """Say how much of the gain on glyphs is left at the large size of input."""
    changes, rises, across, left = [], [], [], dict[str, list[str]]()
    for score in SHOWN.values():
        small, large = sized(score)
        ends = [{pair: RULES["last"](own) for pair, own in each.items()} for each in (small, large)]
        changes.append(bracketed(*over_datasets(tables.subtract(ends[1], ends[0]))))
        for place in (*GLYPHS, "all"):
            gains = [tables.mean_of(each, GLYPHS if place == "all" else [place]) for each in ends]
            left.setdefault(place, []).append(f"{gains[1] / gains[0]:.0%}".replace("%", " %"))
        chosen = [{pair: height(own, None) for pair, own in each.items()} for each in (small, large)]
        last = {pair: height(own, LAYERS["last"]) for pair, own in large.items()}
        rises.append(bracketed(*over_datasets(tables.subtract(chosen[1], chosen[0]))))
        across.append(bracketed(*over_datasets(tables.subtract(chosen[0], last))))
    by_dataset = joined([f"{' and '.join(left[dataset])} on {dataset}" for dataset in GLYPHS])
    return (
        f"**On glyphs mostly: {listed(left['all'])} of the gain at 64 px is left at {LARGE} px**, in the mean of "
        f"{joined(SIZED)}: {by_dataset}. The gain changes by {listed(changes)}, the chosen layer's score by "
        f"{listed(rises)}. The layer chosen at 64 px minus the last one at {LARGE} px: {listed(across)}."
    )


def random_answer() -> str:
    """Say how far random weights come."""
    leads, best, last = [], [], []
    for score in SHOWN.values():
        trained, random = tables.random_curves(score)
        leads.append(signed(over_datasets({pair: float(own.max() - own[-1]) for pair, own in random.items()})[0]))
        best.append(f"{over_datasets({pair: float(own.max()) for pair, own in random.items()})[0]:.3f}")
        last.append(f"{over_datasets({pair: float(own[-1]) for pair, own in trained.items()})[0]:.3f}")
    trained, random = (
        {pair: own for pair, own in each.items() if pair[0] == "calligraphy"}
        for each in tables.random_curves(SHOWN["MAP@R"])
    )
    higher = sum(own.max() > trained[pair][-1] for pair, own in random.items())
    return (
        f"**Random weights.** In networks of random weights, too, the best layer leads the last one, by "
        f"{listed(leads)}. So a lead does not show that training made the layer good. On average the height does: "
        f"the best random layer reaches {listed(best)}, the last pre-trained layer {listed(last)}. On calligraphy the "
        f"random layer is higher by MAP@R in {higher} of {len(random)} networks."
    )


def missing_table() -> str:
    """List planned cells that are not in the files, and the hours of one core that they would take."""
    cells = tables.read_scores("cells.csv")
    earlier = tables.read_tuned([64]).assign(tuned=True)
    rows = []
    for network, pixels, tuned, seed, folds, minutes in PLAN:
        names = ["dataset", "network", "input", "tuned", "seed", "fold"]
        found = {
            tuple(row)
            for each in (cells, earlier)
            for row in each[names].drop_duplicates().itertuples(index=False, name=None)
        }
        lacking = {
            dataset: sum((dataset, network, pixels, tuned, seed, str(fold)) not in found for fold in range(count))
            for dataset, count in folds.items()
        }
        if total := sum(lacking.values()):
            where = ", ".join(f"{dataset} {count}" for dataset, count in lacking.items() if count)
            where = "all" if lacking == folds else where
            kind = f"{network}, {'fine-tuned' if tuned else 'frozen'}, {pixels} px, seed {seed}"
            rows.append([kind, where, f"{total} of {sum(folds.values())}", f"{total * minutes / 60:.1f}"])
    if not rows:
        return "Every planned cell was run."
    hours = sum(float(row[-1]) for row in rows)
    rows.append(["all", "", "", f"{hours:.1f}"])
    return markdown(["cells not run", "datasets", "cells", "hours of one core"], rows, texts=2)


def paragraphs() -> Iterator[tuple[str, str]]:
    """Yield every paragraph with its heading."""
    yield "headline", headline()
    yield "fine-tuning answer", fine_tuning_answer()
    yield "size answer", size_answer()
    yield "random answer", random_answer()
    yield "cells not run", missing_table()


if __name__ == "__main__":
    for heading, words in paragraphs():
        print(f"## {heading}\n\n{words}\n")
