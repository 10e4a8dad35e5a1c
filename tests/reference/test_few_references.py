"""Representations chosen on few labels: what a draw holds and reaches, and the page's sentence by plain loops."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from docs.study import few_references, kinds
from docs.study.by_axis import Embedded
from stages.core.representations.choice import Choice
from stages.core.representations.judging import Gallery
from stages.core.scores.arrays import Rows


@pytest.fixture
def own(tmp_path: Path) -> Embedded:
    """Twelve classes of ten images, which the first of five layers separates, the last one not at all."""
    random = np.random.default_rng(0)
    labels = np.repeat([f"{c:02d}" for c in range(12)], 10)
    noise = random.standard_normal((5, 120, 16)).astype(np.float32)
    noise[0] += 40 * np.repeat(np.eye(12, 16, dtype=np.float32), 10, axis=0)
    layers = {f"layer_{i:02d}_x": X for i, X in enumerate(noise)}
    groups = np.tile([f"{number // 2}" for number in range(10)], 12)
    np.savez(tmp_path / "own.npz", labels=labels, groups=groups, **layers)  # type: ignore[arg-type]
    return Embedded(tmp_path / "own.npz")


def test_a_choice_sees_the_images_asked_for_of_classes_that_do_not_judge(
    own: Embedded, monkeypatch: pytest.MonkeyPatch
):
    references, galleries = list[Rows](), list[Rows]()
    choose, gallery = few_references.choose, few_references.Gallery

    def noted_choice(own: Embedded, rows: Rows) -> Choice:
        references.append(rows)
        return choose(own, rows)

    def noted_gallery(rows: Rows, y: Rows, groups: Rows) -> Gallery:
        galleries.append(rows)
        return gallery(rows, y, groups)

    monkeypatch.setattr(few_references, "choose", noted_choice)
    monkeypatch.setattr(few_references, "Gallery", noted_gallery)
    rows = list(few_references.of_draw(own, 0))
    assert [(row["classes"], row["images"]) for row in rows] == [(C, n) for C in (2, 5) for n in (2, 5, 10)]
    assert len(galleries) == 1
    judging = {*own.labels[galleries[0]]}
    assert len(judging) == 5
    for row, reference in zip(rows, references, strict=True):
        names, counts = np.unique(own.labels[reference], return_counts=True)
        assert not judging & {*names}
        assert (len(names), {*counts}) == (row["classes"], {row["images"]})
        for name in names:  # five groups of two images
            assert own.groups is not None
            groups = own.groups[reference[own.labels[reference] == name]]
            assert len({*groups}) == min(5, row["images"])


def test_a_separating_layer_is_chosen_and_the_last_one_does_not_separate(own: Embedded):
    rows = few_references.of_set(own, draws=2).set_index(["classes", "images"])
    at = rows.loc[(5, 10)]
    assert at[["layer", "chosen", "best_layer", "best"]].to_numpy(float) == pytest.approx(1)
    assert at["habit"] < 0.5
    assert at["worse"] == 0
    assert at["draws"] == 2


@pytest.mark.parametrize("network", few_references.SHOWN)
def test_the_page_says_from_how_many_references_on_the_choice_beats_the_best_layer(network: str):
    kind = {dataset: name for name, datasets in kinds.KINDS.items() for dataset in datasets}
    found = defaultdict[tuple[int, int], defaultdict[str, list[float]]](lambda: defaultdict(list))
    with few_references.TABLE.open() as file:
        for row in (row for row in csv.DictReader(file) if row["network"] == network):
            ahead = float(row["chosen"]) - float(row["best_layer"])
            found[int(row["classes"]), int(row["images"])][kind[row["dataset"]]].append(ahead)
    ahead = {size: np.mean([np.mean(own) for own in by_kind.values()]) for size, by_kind in found.items()}
    wins = {size for size, gain in ahead.items() if gain > 0}
    classes = min(C for C, _ in wins)
    above = [C for C in few_references.CLASSES if classes <= C]
    images = next(n for n in few_references.IMAGES if all((C, n) in wins for C in above))
    start = f"with {few_references.SHOWN[network]} from {classes} classes of {images} images on"
    assert start in few_references.references_answer()
    if network != "Lite0":
        return  # it has no table
    line = next(line for line in few_references.references_table().splitlines() if "| 10 classes of 5 images |" in line)
    assert line.split(" | ")[5] == f"{ahead[10, 5]:+.3f}"
