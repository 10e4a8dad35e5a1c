import re
import subprocess
import sys

import pandas as pd
import pytest

from stages.aggregate.report.verdict import sentence, verdict
from stages.aggregate.tables.summary import SUMMARY_COLUMNS
from stages.shared.console import UserError

ROW = {
    "dataset": "handwriting",
    "model": "small",
    "pooling": "mean",
    "step": 100,
    "n_seeds": 1,
    "metric": "nmi",
    "seen": 0.8,
    "unseen": 0.391,
    "best_layer": "blocks.3",
    "best_depth": 4,
    "last_depth": 8,
    "last_value": 0.241,
    "accuracy": 0.76,
    "baseline": 0.1,
    "chance": 0.01,
    "ceiling": 1.0,
    "last_layer": "bn2",
    "best_parameters": 170,
    "total_parameters": 1000,
    "seen_layer": "bn2",
    "seen_depth": 8,
    "main": True,
    "better": "higher",
}
SURE = {
    "ci_images_low": 0.37,
    "ci_images_high": 0.41,
    "accuracy_ci_low": 0.74,
    "accuracy_ci_high": 0.78,
    "lead": 0.14,
    "lead_low": 0.1,
    "lead_high": 0.18,
    "best_set": "3;4",
    "shallowest_layer": "blocks.2",
    "range_classes_low": 0.31,
    "range_classes_high": 0.45,
}
WORSE = {"unseen": 0.3, "ci_images_low": 0.28, "ci_images_high": 0.32}
WORSE |= {"accuracy": 0.8, "accuracy_ci_low": 0.79, "accuracy_ci_high": 0.81}
STEPS = [
    {
        "dataset": "handwriting",
        "model": "small",
        "pooling": "mean",
        "metric": "nmi",
        "step": step,
        "unseen": g,
        "accuracy": a,
    }
    for step, g, a in ((0, 0.35, 0.05), (100, 0.391, 0.76))
]


@pytest.fixture
def row():
    return pd.Series(ROW).reindex(SUMMARY_COLUMNS)


def write(folder, *rows):
    pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)).to_csv(folder / "summary.csv", index=False)
    pd.DataFrame(STEPS).to_csv(folder / "steps.csv", index=False)


def test_the_sentence_names_the_layer_its_depth_score_and_share(row):
    row[["lead", "lead_low", "lead_high"]] = 0.14, 0.1, 0.18
    assert sentence(row) == (
        "handwriting, small: take features from blocks.3 (depth 4 of 8, NMI 0.391) rather than from the last layer, "
        "bn2 (0.241); computing it takes 17 % of the parameters up to the last layer."
    )


def test_the_sentence_says_when_the_lead_was_not_tested(row):
    assert "scores best; its lead over the last layer, bn2 (0.241), was not tested; computing it" in sentence(row)


def test_the_sentence_says_when_the_last_layer_is_the_best(row):
    row[["best_layer", "best_depth", "last_value"]] = "bn2", 8, 0.391
    assert sentence(row).endswith("from the last layer, bn2 (depth 8 of 8, NMI 0.391): no earlier layer scores better.")


@pytest.mark.parametrize(("low", "shown"), [(0.05, True), (-0.05, False)])
def test_the_sentence_advises_an_earlier_layer_only_where_its_lead_is_not_in_doubt(row, low, shown):
    row[["lead", "lead_low", "lead_high"]] = 0.1, low, 0.2
    doubt = "blocks.3 (depth 4 of 8, NMI 0.391) scores best, but no lead over the last layer, bn2 (0.241), is shown;"
    assert ("take features from blocks.3" in sentence(row)) is shown
    assert (doubt in sentence(row)) is not shown


@pytest.mark.parametrize(
    ("column", "value", "caution"),
    [("baseline", 0.5, "no layer beats raw pixels (0.500)"), ("chance", 0.391, "no layer beats chance (0.391)")],
)
def test_the_sentence_cautions_where_nothing_was_learnt(row, column, value, caution):
    row[column] = value
    assert sentence(row).endswith(f" But {caution}.")


def test_the_verdict_fits_120_columns_whatever_the_names(tmp_path):
    long = {
        **ROW,
        "model": "efficientnet_lite0_from_scratch_and_a_half",
        "best_layer": "vit.encoder.layer.10.attention.output",
    }
    spread = {"seen_sd": 0.01, "unseen_sd": 0.02, "last_value_sd": 0.03, "accuracy_sd": 0.04, "n_seeds": 3}
    write(tmp_path, {**ROW, **spread}, {**long, **spread, **SURE}, {**ROW, "metric": "ami", "main": False})
    lines = verdict(tmp_path).splitlines()
    assert max(map(len, lines)) <= 120
    table = [line for line in lines if line.startswith("handwriting  ")]
    assert len(table) == 2
    words = "handwriting small 0.760 ± 0.040 0.800 ± 0.010 0.391 ± 0.020 blocks.3 4 of 8 0.241 ± 0.030"
    assert " ".join(table[0].split()) == words
    assert table[0].index("±") == table[1].index("±")


@pytest.mark.parametrize("length", range(1, 60, 3))
def test_no_line_breaks_within_an_interval(tmp_path, length):
    write(tmp_path, {**ROW, **SURE, "model": "m" * length})
    assert not any(re.search(r"\[[^\]]*$", line) for line in verdict(tmp_path).splitlines())


def test_the_verdict_says_how_sure_it_is_and_where_the_figures_are(tmp_path):
    write(tmp_path, ROW)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/overview-handwriting.png").touch()
    text = " ".join(verdict(tmp_path).split())
    assert "one seed, so no spread is known" in text
    assert "chosen and scored on the same images" in text
    assert f"{tmp_path.as_posix()}/figures/: overview-handwriting.png" in text


def test_the_verdict_tells_both_findings_with_numbers_and_cautions(tmp_path):
    write(tmp_path, {**ROW, **SURE}, {**ROW, **SURE, **WORSE, "model": "large"})
    text = " ".join(verdict(tmp_path).split())
    assert "Finding (i) High accuracy on seen classes does not imply generalization handwriting: supported." in text
    assert "a worse g: large than small (accuracy 0.800 and 0.760, g 0.300 and 0.391)." in text
    assert "Over training, steps 0 to 100: small accuracy 0.050 to 0.760, g 0.350 to 0.391." in text
    assert (
        "Finding (ii) Deeper is not always better handwriting: holds in 2 of 2 (the lead is above 0: small, large)."
        in text
    )
    assert "NMI 0.391 [0.370, 0.410]; lead +0.140 [0.100, 0.180]. Not told apart from it: depth 3." in text
    assert "training is described here, not tested" in text
    assert "it may be negative" in text


@pytest.mark.parametrize(("better", "extreme"), [("higher", "maximum"), ("lower", "minimum")])
def test_the_title_says_which_end_of_the_layers_g_is(tmp_path, better, extreme):
    write(tmp_path, {**ROW, "better": better})
    assert verdict(tmp_path).splitlines()[0].endswith(f"; g is the {extreme} over layers.")


def test_missing_damaged_and_old_results_are_errors(tmp_path):
    with pytest.raises(UserError, match=r"summary\.csv: no results there; run the workflow first"):
        verdict(tmp_path)
    (tmp_path / "summary.csv").touch()
    with pytest.raises(UserError, match=r"summary\.csv: must be a table, found it damaged"):
        verdict(tmp_path)
    pd.DataFrame([ROW]).drop(columns="main").to_csv(tmp_path / "summary.csv", index=False)
    with pytest.raises(UserError, match="written by another version"):
        verdict(tmp_path)


def test_the_command_prints_the_verdict_or_one_error(tmp_path):
    command = [sys.executable, "-c", "from stages.commands.cli import main; main()", "verdict", str(tmp_path)]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert failed.stderr.startswith("error: ")
    write(tmp_path, ROW)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == verdict(tmp_path) + "\n"
