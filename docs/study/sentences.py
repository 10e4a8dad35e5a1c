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

SHOWN = {"probe accuracy": "probe_accuracy", "MAP@R": "map_at_r"}
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


def gains_of(score: str, *, tuned: bool) -> Gains:
    """What choosing gains over the last layer at a small input, of L2-normalized embeddings, by pair."""
    scores, step = (tables.read_tuned(), TRAINED) if tuned else (tables.read_scores("frozen.csv"), 0)
    return tables.gains_at(scores, score, step)


def lite0_at(score: str, step: int) -> Gains:
    """What choosing gains over the last layer in Lite0 at a checkpoint, by pair."""
    return {
        pair: gain for pair, gain in tables.gains_at(tables.read_tuned(), score, step).items() if pair[1] == "Lite0"
    }


def listed(words: Sequence[str]) -> str:
    """Write numbers of the shown scores in a row."""
    return " and ".join(f"{number} in {name}" for number, name in zip(words, SHOWN, strict=True))


def headline() -> str:
    """Tabulate what choosing gains by size of input, training and kind of images."""
    settings = {
        "frozen, 64 px": [gains_of(score, tuned=False) for score in SHOWN.values()],
        f"frozen, {LARGE} px": [gains_at_large(score) for score in SHOWN.values()],
        "fine-tuned, 64 px": [gains_of(score, tuned=True) for score in SHOWN.values()],
    }
    rows = [
        [kind, setting, *(bracketed(*over_datasets(within_domain(each, domain))) for each in gains)]
        for (kind, domain), (setting, gains) in product((("glyphs", GLYPHS), ("photos", PHOTOS)), settings.items())
    ]
    return markdown(["images", "networks", *SHOWN], rows, texts=2)


def within_domain(gains: Gains, domain: Sequence[str]) -> Gains:
    """Keep the gains on some datasets."""
    return {pair: gain for pair, gain in gains.items() if pair[0] in domain}


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
                for at, kind in product((LAYERS["last"], None), (GLYPHS, PHOTOS))
            ]
    last, one_before = ({name: sum(own[at] for own in each) for name, each in near.items()} for at in (-1, -2))
    return (
        f"After fine-tuning the last layer is within 0.01 of the best one in {min(last.values())} to "
        f"{max(last.values())} of {len(near['probe'])} pairs of a dataset and a network, depending on the score. The "
        f"second-to-last layer is in {joined([f'{count} ({name})' for name, count in one_before.items()])}. "
        f"Fine-tuning changes MAP@R of the last layer by {changes[0]} on glyphs and {changes[1]} on photos, and of the "
        f"chosen layer by {changes[2]} and {changes[3]}."
    )


def sized(score: str) -> tuple[dict[tuple[str, str], Curves], dict[tuple[str, str], Curves]]:
    """Curves of one score on glyphs at 64 px and at the large size of input, of the pairs that have both."""
    found = tables.curves_by_size(score, SIZED)
    pairs = [pair for pair in found[LARGE] if pair[0] in GLYPHS]
    return {pair: found[64][pair] for pair in pairs}, {pair: found[LARGE][pair] for pair in pairs}


def gains_at_large(score: str) -> Gains:
    """What choosing gains over the last layer at the large size of input, by pair."""
    return {pair: RULES["last"](own) for pair, own in tables.curves_by_size(score, SIZED)[LARGE].items()}


def size_answer() -> str:
    """Say how much of the gain on glyphs is left at the large size of input."""
    changes, left = [], dict[str, list[str]]()
    for score in SHOWN.values():
        ends = [{pair: RULES["last"](own) for pair, own in each.items()} for each in sized(score)]
        changes.append(bracketed(*over_datasets(tables.subtract(ends[1], ends[0]))))
        for place in (*GLYPHS, "all"):
            gains = [tables.mean_of(each, GLYPHS if place == "all" else [place]) for each in ends]
            left.setdefault(place, []).append(f"{gains[1] / gains[0]:.0%}")
    by_dataset = joined([f"{' and '.join(left[dataset])} on {dataset}" for dataset in GLYPHS])
    return (
        f"**On glyphs mostly: of the gain at 64 px {listed(left['all'])} is left at {LARGE} px**, in the mean of "
        f"{joined(SIZED)}. By dataset it is {by_dataset}. The gain changes by {listed(changes)}."
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
        f"{listed(leads)}. A lead does not show that training made the layer good. The score does: the best random "
        f"layer reaches {listed(best)}, the last pre-trained layer {listed(last)}."
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
