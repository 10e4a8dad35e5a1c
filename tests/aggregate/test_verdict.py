import subprocess
import sys

import pandas as pd
import pytest

from stages.aggregate.tables import SUMMARY_COLUMNS
from stages.aggregate.verdict import sentence, verdict
from stages.shared.console import UserError

ROW = dict(
    zip(
        SUMMARY_COLUMNS,
        [
            *("hands", "small", "mean", 100, 1, "nmi", 0.8, 0.391, "blocks.3", 4, 8, 0.241, 0.76),  # the contract's
            *(None, None, None, None, 0.1, 0.01, 1.0),  # standard deviations, baseline, chance, ceiling
            *("bn2", 170, 1000, "bn2", 8, True),
        ],
        strict=True,
    )
)


@pytest.fixture
def row():
    return pd.Series(ROW).reindex(SUMMARY_COLUMNS)


def write(folder, *rows):
    pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)).to_csv(folder / "summary.csv", index=False)


def test_the_sentence_names_the_layer_its_depth_score_and_share(row):
    assert sentence(row) == (
        "hands, small: take features from blocks.3 (depth 4 of 8, NMI 0.391) rather than from the last layer, bn2 "
        "(0.241); computing it takes 17 % of the parameters up to the last layer."
    )


def test_the_sentence_says_when_the_last_layer_is_the_best(row):
    row[["best_layer", "best_depth", "last_value"]] = "bn2", 8, 0.391
    assert sentence(row).endswith("from the last layer, bn2 (depth 8 of 8, NMI 0.391): no earlier layer scores higher.")


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
    write(tmp_path, {**ROW, **spread}, {**long, **spread}, {**ROW, "metric": "ami", "main": False})
    lines = verdict(tmp_path).splitlines()
    assert max(map(len, lines)) <= 120
    table = [line for line in lines if line.startswith("hands  ")]
    assert len(table) == 2
    words = "hands small 0.760 ± 0.040 0.800 ± 0.010 0.391 ± 0.020 blocks.3 4 of 8 0.241 ± 0.030"
    assert " ".join(table[0].split()) == words
    assert table[0].index("±") == table[1].index("±")


def test_the_verdict_says_how_sure_it_is_and_where_the_figures_are(tmp_path):
    write(tmp_path, ROW)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/overview_hands.png").touch()
    text = " ".join(verdict(tmp_path).split())
    assert "one seed, so no spread is known" in text
    assert "chosen and scored on the same images" in text
    assert f"{tmp_path.as_posix()}/figures/: overview_hands.png" in text


def test_missing_and_old_results_are_errors(tmp_path):
    with pytest.raises(UserError, match=r"summary\.csv: no results there; run the workflow first"):
        verdict(tmp_path)
    pd.DataFrame([ROW]).drop(columns="main").to_csv(tmp_path / "summary.csv", index=False)
    with pytest.raises(UserError, match="written by another version"):
        verdict(tmp_path)


def test_the_command_prints_the_verdict_or_one_error(tmp_path):
    command = [sys.executable, "-m", "stages.verdict", str(tmp_path)]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert failed.stderr.startswith("error: ")
    write(tmp_path, ROW)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == verdict(tmp_path) + "\n"
