"""What choosing a layer costs, as a page of the documents has it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from stages.commands.study.regret import BEGIN, END, regret
from stages.shared.console import UserError

ROOT = Path(__file__).parents[3]
PILOT, PAGE = ROOT / "docs/pilot/results", ROOT / "docs/recommend.md"


def run(*args: object) -> str:
    return CliRunner().invoke(regret, [*map(str, args)], catch_exceptions=False).output


def test_the_page_has_the_table_of_the_pilot(tmp_path: Path):
    section = run(PILOT)
    means = pd.read_csv(PILOT / "regret.csv").query("fold == 'mean' and candidates == 'layers'")
    expected = means.query("criterion == 'other_folds'")["regret"].mean()
    assert f" {expected:.3f} |" in next(line for line in section.splitlines() if line.startswith("| the other folds"))
    assert f"{BEGIN}\n\n{section}\n{END}" in PAGE.read_text()
    copy = Path(shutil.copy(PAGE, tmp_path))
    copy.write_text(copy.read_text().replace("| the other folds", "| another", 1))
    assert run(PILOT, "--page", copy) == ""
    assert copy.read_text() == PAGE.read_text()


def test_a_page_without_marks_and_results_without_regrets_are_errors(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n")
    with pytest.raises(UserError, match=r"page\.md: must have the lines <!-- regret"):
        run(PILOT, "--page", page)
    assert page.read_text() == f"{BEGIN}\n"
    for name in ("regret.csv", "recommendation.json"):
        shutil.copy(PILOT / name, tmp_path)
    (tmp_path / "recommendation.json").write_text("[]")
    with pytest.raises(UserError, match=r"regret\.csv: must hold regrets of a recommended network, found none"):
        run(tmp_path)
