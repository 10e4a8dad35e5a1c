"""The pictures of the page of results were made from the results that are in git."""

import re
import shutil
from pathlib import Path

import pytest

from docs.tools import sources

PAGES = (sources.ROOT / "README.md", sources.ROOT / "docs" / "results.md")
LINKED = {name for page in PAGES for name in re.findall(r"\bimages/[\w-]+\.png", page.read_text(encoding="utf-8"))}
PICTURES = sorted(f"docs/{name}" for name in LINKED)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_of_the_study_is_of_the_results_in_git(picture: str):
    assert sources.is_current(sources.ROOT / picture)


def test_a_picture_of_other_results_or_of_none_is_out_of_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    results, picture = tmp_path / "results.csv", tmp_path / "picture.png"
    results.write_text("1")
    shutil.copyfile(Path(__file__).parents[2] / "docs" / "images" / "report.png", picture)
    sources.label(picture, results)
    assert sources.is_current(picture)
    results.write_text("2")
    assert not sources.is_current(picture)
