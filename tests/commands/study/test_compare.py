"""A study beside the published numbers."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from stages.commands.study.compare import compare, correlations, markdown, published_rows, read_published, study_rows
from stages.commands.ablate import parse_summary
from stages.shared.runtime.errors import UserError
from tests.commands.summary_rows import rows

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "docs" / "paper.json"
SUMMARY = pd.concat([rows("cifar100", "b", 1, 0.9, 0.4, 0.3), rows("cifar100", "a", 2, 0.6, 0.5, 0.45, sd=0.05)])


def report(folder: Path, summary: pd.DataFrame) -> str:
    summary.to_csv(folder / "summary.csv", index=False)
    return CliRunner().invoke(compare, [str(folder / "summary.csv")], catch_exceptions=False).output


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_networks_are_rows_sorted_by_name():
    a, b = study_rows(SUMMARY)
    assert (a["model"], a["n"], b["n"]) == ("a", 2, 1)
    assert (a["accuracy"], a["accuracy_sd"]) == (0.6, 0.05)
    assert (a["nmi unseen"], a["nmi unseen_sd"], a["best"]) == (0.45, 0.05, "l1 (2 of 3)")
    assert b["probe_accuracy seen"] == 0.4


def test_published_numbers_are_those_of_the_paper():
    vit = published_rows(json.loads(PAPER.read_text()), "cifar100")[0]
    assert vit["model"] == "ViT (published)"
    assert vit["accuracy"] == pytest.approx((0.9635 + 0.969 + 0.967) / 3)
    assert (vit["nmi seen"], vit["nmi unseen"], vit["probe_accuracy unseen"]) == (0.84, 0.26, 0.90)


def test_the_table_and_the_correlation():
    found = study_rows(SUMMARY)
    header, _, a, b = markdown(found).splitlines()
    assert cells(header)[:5] == ["network", "n", "accuracy", "NMI seen", "NMI unseen"]
    assert cells(a)[:5] == ["a", "2", "0.600 ± 0.050", "0.500 ± 0.050", "0.450 ± 0.050"]
    assert cells(b)[:5] == ["b", "1", "0.900", "0.400", "0.300"]
    assert cells(b)[-1] == "l1 (2 of 3)"
    three = [*found, {**found[1], "accuracy": 1.0, **{f"{m} unseen": 0.1 for m in ("nmi", "knn_purity")}}]
    assert "over 3 networks, ours: NMI -1.00" in correlations(three, "ours")
    assert "NMI undefined" in correlations(found, "ours")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "found no file"),
        ("{", "must be JSON"),
        ('{"g": {}}', "lacks accuracy, best_depth"),
        ("[]", "lacks accuracy"),
    ],
)
def test_published_numbers_that_are_none_are_an_error(tmp_path: Path, text: str | None, found: str):
    if text is not None:
        (tmp_path / "p.json").write_text(text)
    with pytest.raises(UserError, match=found):
        read_published(tmp_path / "p.json")


def test_a_study_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(UserError, match=r"summary\.csv: must be a study's summary\.csv, found no file"):
        CliRunner().invoke(compare, [str(tmp_path / "summary.csv")], catch_exceptions=False)


def test_a_score_that_the_study_lacks_is_left_out_and_named(tmp_path: Path):
    text = report(tmp_path, SUMMARY[SUMMARY["metric"] != "probe_accuracy"])
    header = next(line for line in text.splitlines() if line.startswith("| network"))
    assert cells(header)[-3:] == ["k-NN purity seen", "k-NN purity unseen", "best layer (NMI)"]
    vit = next(line for line in text.splitlines() if line.startswith("| ViT"))
    assert cells(vit)[:5] == ["ViT (published)", "3", "0.967 ± 0.003", "0.84", "0.26"]
    assert "Not measured in this study: linear probe seen, linear probe unseen." in text


def test_what_one_network_lacks_is_a_dash(tmp_path: Path):
    table = SUMMARY[(SUMMARY["model"] == "a") | (SUMMARY["metric"] == "knn_purity")]
    found = study_rows(parse_summary(table.to_csv(index=False), "summary.csv"))
    assert cells(markdown(found).splitlines()[-1])[:6] == ["b", "1", "0.900", "–", "–", "0.400"]
    three = [{**found[0], "accuracy": a, "nmi unseen": a} for a in (0.1, 0.2, 0.3)]
    assert "over 4 networks, ours: NMI +1.00 (over 3), k-NN purity" in correlations([*three, found[1]], "ours")


def test_a_dataset_without_published_numbers_stands_alone(tmp_path: Path):
    text = report(tmp_path, rows("mine", "a", 1, 0.5, 0.1, 0.2))
    assert "No published numbers for this dataset." in text
    assert "(published)" not in text
    assert cells(text.splitlines()[5])[:5] == ["a", "1", "0.500", "0.100", "0.200"]


def test_the_committed_study_is_compared_as_the_page_says():
    text = CliRunner().invoke(compare, [str(ROOT / "docs/study/results/summary.csv")], catch_exceptions=False).output
    page = (ROOT / "docs" / "paper-tables.md").read_text()
    lines = [line for line in text.splitlines() if re.match(r"\| (efficientnet|swin)_", line)]
    assert len(lines) == 10
    for line in lines:
        assert all(cell in page for cell in cells(line))
