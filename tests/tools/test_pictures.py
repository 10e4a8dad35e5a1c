"""The pictures of README and of the page of results were made from the results that are in git."""

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from docs.tools import hero, sources

PAGES = (sources.ROOT / "README.md", sources.ROOT / "docs" / "results.md")
LINKED = {name for page in PAGES for name in re.findall(r"\bimages/[\w-]+\.png", page.read_text(encoding="utf-8"))}
PICTURES = sorted(f"docs/{name}" for name in LINKED)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_of_the_study_is_of_the_results_in_git(picture: str):
    assert sources.is_current(sources.ROOT / picture)


@pytest.mark.parametrize("name", hero.PAGES)
def test_the_picture_of_readme_is_drawn_by_its_script(tmp_path: Path, name: str):
    hero.main([str(tmp_path)])
    with Image.open(tmp_path / f"{name}.png") as drawn, Image.open(sources.ROOT / f"docs/images/{name}.png") as kept:
        assert drawn.size == kept.size


def test_a_picture_of_other_results_or_of_none_is_out_of_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    results, picture = tmp_path / "results.csv", tmp_path / "picture.png"
    results.write_text("1")
    shutil.copyfile(hero.FONTS.parents[1] / "images" / "hero.png", picture)
    sources.label(picture, results)
    assert sources.is_current(picture)
    results.write_text("2")
    assert not sources.is_current(picture)
