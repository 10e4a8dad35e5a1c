import re
import subprocess
import sys

import pandas as pd
import pytest

from stages.aggregate.report.verdict import sentence, verdict
from stages.aggregate.tables.steps import STEPS_COLUMNS
from stages.aggregate.tables.summary import SUMMARY_COLUMNS, summary_table
from stages.shared.console import UserError
from stages.shared.csv_table import write_table
from tests.aggregate.report.networks import STEPS, WITHOUT_INTERVALS, network

SPREAD = {"seen_sd": 0.01, "unseen_sd": 0.02, "last_value_sd": 0.03, "accuracy_sd": 0.04, "n_seeds": 3}
SURE = {"accuracy_ci_low": 0.74, "accuracy_ci_high": 0.78}
WORSE = {"unseen": 0.3, "ci_images_low": 0.28, "ci_images_high": 0.32}
WORSE |= {"accuracy": 0.8, "accuracy_ci_low": 0.79, "accuracy_ci_high": 0.81}


def write(folder, *rows):
    write_table(folder / "summary.csv", summary_table(rows), SUMMARY_COLUMNS)
    steps = STEPS.reindex(columns=list(STEPS_COLUMNS))
    write_table(folder / "steps.csv", steps, STEPS_COLUMNS)


def test_the_sentence_names_the_layer_its_place_score_and_share():
    assert sentence(network()) == (
        "handwriting, a: take features from layer 5 of 9 (`blocks.3`, NMI 0.390) rather than from the last layer "
        "(`bn2`, 0.240); computing it takes 17 % of the parameters up to the last layer."
    )


def test_the_sentence_says_when_the_lead_was_not_tested():
    text = sentence(network(**WITHOUT_INTERVALS))
    assert "scores best; its lead over the last layer (`bn2`, 0.240) was not tested; computing it" in text


def test_the_sentence_says_when_the_last_layer_is_the_best():
    text = sentence(network(best_layer="bn2", best_depth=8, last_value=0.39))
    assert text.endswith("from the last layer, layer 9 of 9 (`bn2`, NMI 0.390): no earlier layer scores better.")


@pytest.mark.parametrize(("low", "shown"), [(0.05, True), (-0.05, False)])
def test_the_sentence_advises_an_earlier_layer_only_where_its_lead_is_not_in_doubt(low, shown):
    text = sentence(network(lead_low=low))
    doubt = "layer 5 of 9 (`blocks.3`, NMI 0.390) scores best, but no lead over the last layer (`bn2`, 0.240) is shown;"
    assert ("take features from layer 5 of 9" in text) is shown
    assert (doubt in text) is not shown


@pytest.mark.parametrize(
    ("column", "value", "caution"),
    [("baseline", 0.5, "no layer beats raw pixels (0.500)"), ("chance", 0.39, "no layer beats chance (0.390)")],
)
def test_the_sentence_cautions_where_no_layer_beats_a_trivial_embedding(column, value, caution):
    assert sentence(network(**{column: value})).endswith(f" But {caution}.")


def test_the_verdict_fits_120_columns_whatever_the_names(tmp_path):
    long = {"best_layer": "vit.encoder.layer.10.attention.output"}
    rows = [network("small", **SPREAD), network("efficientnet_lite0_from_scratch_and_a_half", **SPREAD, **long)]
    write(tmp_path, *rows, network("small", metric="ami", main=False))
    lines = verdict(tmp_path).splitlines()
    assert max(map(len, lines)) <= 120
    table = [line for line in lines if line.startswith("handwriting  ")]
    assert len(table) == 2
    words = "handwriting small 0.760 ± 0.040 0.800 ± 0.010 0.390 ± 0.020 5 of 9 (blocks.3) 0.240 ± 0.030"
    assert " ".join(table[0].split()) == words
    assert table[0].index("±") == table[1].index("±")
    assert "  efficient…d_a_half  " in table[1]


def test_names_that_fit_are_not_cut(tmp_path):
    write(tmp_path, network("efficientnet_lite0_from_scratch"))
    assert "  efficientnet_lite0_from_scratch  " in verdict(tmp_path)


def test_an_accuracy_that_is_not_known_is_a_dash(tmp_path):
    write(tmp_path, network("frozen", accuracy=None))
    (line,) = [line for line in verdict(tmp_path).splitlines() if line.startswith("handwriting  ")]
    assert line.split()[:4] == ["handwriting", "frozen", "–", "0.800"]


@pytest.mark.parametrize("length", range(1, 60, 3))
def test_no_line_breaks_within_an_interval(tmp_path, length):
    write(tmp_path, network("m" * length, **SURE))
    assert not any(re.search(r"\[[^\]]*$", line) for line in verdict(tmp_path).splitlines())


def test_the_verdict_says_how_sure_it_is_and_where_the_figures_are(tmp_path):
    write(tmp_path, network())
    (tmp_path / "figures").mkdir()
    for name in ("depth-a", "overview-handwriting"):
        (tmp_path / f"figures/{name}.png").touch()
    text = " ".join(verdict(tmp_path).split())
    assert "one seed, so no spread is known" in text
    assert "chosen and scored on the same images, so g is slightly optimistic" in text
    assert f"{tmp_path.as_posix()}/figures/: overview-handwriting.png, depth-a.png" in text


def test_the_verdict_tells_both_findings_with_numbers_and_cautions(tmp_path):
    write(tmp_path, network(**SURE), network("large", **WORSE))
    text = " ".join(verdict(tmp_path).split())
    assert "Finding (i) High accuracy on seen classes does not imply generalization handwriting: supported." in text
    assert "with lower g: large than a (accuracy 0.800 and 0.760, g 0.300 and 0.390)." in text
    assert "Over training, steps 0 to 100: a accuracy 0.500 (step 50) to 0.760, g 0.350 to 0.390." in text
    assert "better handwriting: supported for a and large (the lead is above 0)." in text
    assert "lead +0.140 [0.100, 0.180]. Not distinguishable from the best (95 %): layers 4 and 6." in text
    assert "training is described here, not tested" in text
    assert "(can be negative)" in text


@pytest.mark.parametrize(("better", "extreme"), [("higher", "maximum"), ("lower", "minimum")])
def test_the_title_says_which_end_of_the_layers_g_is(tmp_path, better, extreme):
    write(tmp_path, network(better=better))
    assert verdict(tmp_path).splitlines()[0].endswith(f"; g is the {extreme} over layers.")


def test_missing_damaged_and_old_results_are_errors(tmp_path):
    with pytest.raises(UserError, match=r"summary\.csv: must be a summary, found no file; run the aggregate stage"):
        verdict(tmp_path)
    (tmp_path / "summary.csv").touch()
    with pytest.raises(UserError, match=r"summary\.csv: must be a summary, found it damaged"):
        verdict(tmp_path)
    pd.DataFrame([vars(network())]).drop(columns="main").to_csv(tmp_path / "summary.csv", index=False)
    with pytest.raises(UserError, match="written by another version"):
        verdict(tmp_path)


def test_the_command_prints_the_verdict_or_one_error(tmp_path):
    command = [sys.executable, "-c", "from stages.commands.cli import main; main()", "verdict", str(tmp_path)]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert failed.stderr.startswith("error: ")
    write(tmp_path, network())
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == verdict(tmp_path) + "\n"
