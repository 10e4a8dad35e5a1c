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


def listed(words: Sequence[str]) -> str:
    """Write numbers of the shown scores in a row."""
    return " and ".join(f"{number} by {name}" for number, name in zip(words, SHOWN, strict=True))


def joined(words: Sequence[str]) -> str:
    """Write words in a row, the last after "and"."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def headline() -> str:
    """Say where choosing pays, with the gains that the tables have."""
    lites = [
        int(own.mean(axis=0).argmax()) + 1
        for score in SHOWN.values()
        for (dataset, network), own in tables.curves_of(tables.read_scores("frozen.csv"), score, "unit").items()
        if dataset in GLYPHS and network.startswith("Lite")
    ]
    layer = max(set(lites), key=lites.count)
    photos = [gains_of(score, PHOTOS, CNNS, tuned=False) for score in SHOWN.values()]
    most = listed([signed(max(gains.values())) for gains in photos])
    frozen, tuned = (
        [bracketed(*over_datasets(gains_of(score, GLYPHS, tuned=each))) for score in SHOWN.values()]
        for each in (False, True)
    )
    after = [bracketed(*over_datasets(gains_of(score, PHOTOS, tuned=True))) for score in SHOWN.values()]
    n_glyphs, n_photos = (
        len({name for name, _ in gains_of("map_at_r", domain, tuned=True)}) for domain in (GLYPHS, PHOTOS)
    )
    return (
        f"**On classes like those of pre-training take the last layer, with rows of length 1: in four frozen "
        f"convolutional networks at 64 px another layer gains at most {most}. On other classes choose: at 64 px the "
        f"chosen layer of a frozen network, mostly {layer} of 9 in EfficientNet-Lite, gains {listed(frozen)} over the "
        f"last layer. Inputs as large as in pre-training ({LARGE} px) are better for both. They leave "
        f"{listed(gains_at_large())} to gain on other classes.**\n\n"
        f"The numbers at {LARGE} px are of {joined(SIZED)}. After fine-tuning at 64 px the chosen layer gains "
        f"{listed(tuned)} on glyphs ({n_glyphs} of 3 datasets), and {listed(after)} on photos ({n_photos} of 2). [ ]: "
        f"95 % over datasets."
    )


def fine_tuning_answer() -> str:
    """Say what fine-tuning changes, and in how many pairs the last layers are then as good as the best one."""
    tuned, near, changes = tables.read_tuned(), dict[str, list[list[bool]]](), []
    for score in tables.GOALS:
        before, after = (tables.curves_of(tuned, score, "unit", step) for step in (0, TRAINED))
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
        f"in {one_before}."
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
    left, rises, across = [], [], []
    for score in SHOWN.values():
        small, large = (
            [over_datasets({pair: height(own, at) for pair, own in each.items()})[0] for at in (LAYERS["last"], None)]
            for each in sized(score)
        )
        left.append((large[1] - large[0]) / (small[1] - small[0]))
        across.append(signed(small[1] - large[0]))
        rises.append([f"{after - before:.3f}" for before, after in zip(small, large, strict=True)])
    verdict = "No" if min(left) > 0.9 else "Mostly" if max(left) < 0.5 else "In part"
    last, chosen = zip(*rises, strict=True)
    share = listed([f"{each:.0%}".replace("%", " %") for each in left])
    return (
        f"**{verdict}: on glyphs {share} of the gain at 64 px is left at {LARGE} px**, the mean of {joined(SIZED)} on "
        f"three datasets. A larger input raises the last layer by {listed(last)}, the chosen layer by {listed(chosen)}."
        f" The layer chosen at 64 px less the last one at {LARGE} px: {listed(across)}."
    )


def random_answer() -> str:
    """Say how far random weights come."""
    leads, best, last = [], [], []
    for score in SHOWN.values():
        trained, random = tables.random_curves(score)
        leads.append(signed(over_datasets({pair: float(own.max() - own[-1]) for pair, own in random.items()})[0]))
        best.append(f"{over_datasets({pair: float(own.max()) for pair, own in random.items()})[0]:.3f}")
        last.append(f"{over_datasets({pair: float(own[-1]) for pair, own in trained.items()})[0]:.3f}")
    return (
        f"**Random weights.** In networks of random weights, too, the best layer leads the last one, by "
        f"{listed(leads)}. So a lead does not show that training made the layer good. The height does: the best "
        f"random layer reaches {listed(best)}, the last pre-trained layer {listed(last)}."
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
