from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.collections import PathCollection
from PIL import Image

from stages.aggregate.figures import style
from stages.commands.study.hero import command, method_row
from stages.commands.study.hero.contents import collect_hero
from stages.commands.study.hero.picture import hero_figure
from stages.shared.runtime.errors import UserError
from tests.aggregate.figures.drawing import check_layout, drawn, lines_of, texts_of
from tests.commands.study.hero.made import CELL, write_study

UNSEEN = ("unseen0", "unseen1")
"""The classes of the embeddings, which are not those of the packed images."""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    results, prepared, embeddings = write_study(tmp_path)
    paths = {"--prepared": prepared, "--out": embeddings}
    monkeypatch.setattr(command, "stage_path", lambda stage, option, **cell: paths[option])
    return results, prepared, embeddings


def draw(results: Path, out: Path, *further: str) -> str:
    args = ["--dataset", "toy", "--model", "net", "--seed", "7", "--results", str(results), "--out", str(out), *further]
    return CliRunner().invoke(command.hero, args, catch_exceptions=False).output


def test_the_picture_is_as_wide_as_a_dense_page_and_the_same_on_every_run(study, tmp_path: Path):
    first, second = tmp_path / "pictures/a.png", tmp_path / "pictures/b.png"
    assert draw(study[0], first) == f"hero: wrote {first}\n"
    draw(study[0], second)
    with Image.open(first) as opened:
        assert opened.width == 1660
    assert first.read_bytes() == second.read_bytes()


def test_a_network_that_was_not_trained_was_fine_tuned_on_no_class(study):
    hero = collect_hero(CELL, *study)
    frozen = replace(hero, row=replace(hero.row, step=0), seen={})
    words, its = ([text.get_text() for text, _ in texts_of(drawn(hero_figure, each))] for each in (hero, frozen))
    assert {"Seen classes: fine-tuned on", "Unseen classes: not fine-tuned on"} <= set(words)
    assert [text for text in its if text.endswith("een classes")] == [
        "unseen classes",
        "seen classes",
        "Unseen classes",
    ]


def test_of_many_images_of_a_class_some_are_drawn(study, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(method_row, "MOST_DOTS", 4)
    hero = replace(collect_hero(CELL, *study), unseen={label: np.zeros((1, 4, 4, 3), np.uint8) for label in UNSEEN})
    figure = drawn(hero_figure, hero)
    dots = next(ax.collections for ax in figure.axes if any(isinstance(c, PathCollection) for c in ax.collections))
    assert np.asarray(dots[1].get_offsets()) == pytest.approx(hero.planes[0].places[9::3])  # 4 of 11
    assert "a class" not in " ".join(text.get_text() for text, _ in texts_of(figure))  # 11 are not too many


def test_another_kind_of_file_is_refused(study, tmp_path: Path):
    with pytest.raises(UserError, match=r"--out: must end in .png or .svg, found 'a.jpg'"):
        draw(study[0], tmp_path / "a.jpg")


def test_the_picture_shows_the_classes_where_the_layers_put_them_and_the_curve(study):
    hero = replace(collect_hero(CELL, *study), unseen={label: np.zeros((2, 9, 9, 3), np.uint8) for label in UNSEEN})
    figure = drawn(hero_figure, hero)
    check_layout(figure)
    planes = [ax for ax in figure.axes if any(isinstance(c, PathCollection) for c in ax.collections)]
    assert [ax.get_title(loc="center") for ax in planes] == ["best, layer 1: NMI 0.60", "last, layer 2: NMI 0.30"]
    for ax, plane in zip(planes, hero.planes, strict=True):
        shown = [np.asarray(dots.get_offsets()) for dots in ax.collections]
        assert [len(dots) for dots in shown] == [9, 11]
        assert np.concatenate(shown) == pytest.approx(plane.places)
    curve = figure.axes[-1]
    assert any(list(line.get_ydata()) == [0.7, 0.25] for line in lines_of(curve, style.UNSEEN))
    assert any(list(line.get_ydata()) == pytest.approx([0.6, 0.15]) for line in lines_of(curve, style.ASIDE))
    words = [text.get_text() for text, _ in texts_of(figure)]
    assert "Unseen classes separate best at layer 1 of 2, not at the last (NMI)" in words
    assert "an earlier layer beats\nthe last by +0.200\nto +0.500 (95 %)" in words
    assert "(best layer's NMI by fold: 0.60 and 0.80)" in " ".join(words).replace("\n", " ")
