import re
import subprocess
import sys

import pandas as pd
import pytest

from stages.aggregate.recommendation.records import write_recommendations
from stages.aggregate.report.findings import evaluate_findings, write_findings
from stages.aggregate.report.verdict import verdict
from stages.aggregate.tables.summary import SUMMARY_COLUMNS, summary_table
from stages.shared.console import UserError
from stages.shared.csv_table import write_table
from tests.aggregate.report.networks import NO_INTERVALS, ONE_FOLD, STEPS, evidence, network, single_fold
from tests.aggregate.report.recommended import RECOMMENDATION

SPREAD = {"seen_sd": 0.01, "unseen_sd": 0.02, "last_value_sd": 0.03, "accuracy_sd": 0.04, "n_seeds": 3}


def write(folder, *rows):
    write_table(folder / "summary.csv", summary_table(rows), SUMMARY_COLUMNS)
    main = [row for row in rows if row.main]
    write_findings(folder / "findings.json", evaluate_findings([evidence(*main)], STEPS))
    write_recommendations(folder / "recommendation.json", [RECOMMENDATION])


def table_of(text, first):
    """Rows of the table whose header starts with these words."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if " ".join(line.split()) == first)
    return [" ".join(line.split()) for line in lines[start + 2 : lines.index("", start)]]


def test_the_answer_comes_first(tmp_path):
    write(tmp_path, network())
    lines = verdict(tmp_path).splitlines()
    assert (
        lines[0] == "Which layer separates unseen classes best? Score: NMI at step 100; g is the maximum over layers."
    )
    assert lines[2].startswith("handwriting, a: take features from layer 5 of 9 (`blocks.3`, NMI 0.390) at step 100, ")


def test_the_table_has_the_interval_of_the_wider_scope(tmp_path):
    write(tmp_path, network("a", **SPREAD), network("b", **SPREAD | ONE_FOLD | {"accuracy": None}))
    assert table_of(verdict(tmp_path), "model accuracy g unseen other classes best layer last lead at least") == [
        "a 0.760 0.390 [0.310, 0.470] 5 of 9 (blocks.3) 0.240 +0.140 +0.030",
        "b – 0.390 ± 0.020 – 5 of 9 (blocks.3) 0.240 +0.140 –",
    ]
    write(tmp_path, network(**ONE_FOLD))
    assert (
        "[0.370, 0.410]"
        in table_of(verdict(tmp_path), "model accuracy g unseen other images best layer last lead at least")[0]
    )
    write(tmp_path, network(**NO_INTERVALS))
    assert "No interval is known." in verdict(tmp_path)
    assert "[" not in table_of(verdict(tmp_path), "model accuracy g unseen best layer last lead")[0]


def test_several_folds_have_a_table_of_their_own(tmp_path):
    folds = [single_fold("0", best_depth=7, best_layer="blocks.6", unseen=0.5), single_fold("1", lead=None)]
    write(tmp_path, network(), *folds, single_fold("0", metric="ami"))
    assert table_of(verdict(tmp_path), "model fold accuracy g unseen best layer last lead") == [
        "a 0 0.760 0.500 8 of 9 (blocks.6) 0.240 +0.140",
        "a 1 0.760 0.390 5 of 9 (blocks.3) 0.240 –",
    ]
    write(tmp_path, network(**ONE_FOLD), *folds)
    assert not any(line.startswith("model  ") and " fold " in line for line in verdict(tmp_path).splitlines())


def test_several_datasets_have_a_column(tmp_path):
    rows = [network(), network(dataset="flowers")]
    write_table(tmp_path / "summary.csv", summary_table(rows), SUMMARY_COLUMNS)
    write_findings(tmp_path / "findings.json", evaluate_findings([evidence(row) for row in rows], STEPS))
    write_recommendations(tmp_path / "recommendation.json", [RECOMMENDATION])
    table = table_of(verdict(tmp_path), "dataset model accuracy g unseen other classes best layer last lead at least")
    assert [line.split()[:2] for line in table] == [["handwriting", "a"], ["flowers", "a"]]


def test_the_verdict_fits_120_columns_whatever_the_names(tmp_path):
    long = {"best_layer": "vit.encoder.layer.10.attention.output"}
    name = "efficientnet_lite0_from_scratch_and_a_half"
    folds = [single_fold(str(fold), **long) for fold in range(3)]
    write(
        tmp_path,
        network("small", **SPREAD),
        network(name, **SPREAD, **long),
        *folds,
        network("small", metric="ami", main=False),
    )
    lines = verdict(tmp_path).splitlines()
    assert max(map(len, lines)) <= 120
    small, large = (line for line in lines if "[0.310" in line)
    assert small.index("[") == large.index("[")
    assert large.startswith("efficientn…nd_a_half  ")
    write(tmp_path, network("efficientnet_lite0_from_scratch"))
    assert "\nefficientnet_lite0_from_scratch  " in verdict(tmp_path)


@pytest.mark.parametrize("length", range(1, 60, 3))
def test_no_line_breaks_within_an_interval(tmp_path, length):
    write(tmp_path, network("m" * length))
    assert not any(re.search(r"\[[^\]]*$", line) for line in verdict(tmp_path).splitlines())


def test_the_findings_are_those_that_were_written(tmp_path):
    write(tmp_path, network("a"), network("b", accuracy=0.78, unseen=0.3))
    text = " ".join(verdict(tmp_path).split())
    assert (
        "Finding (i) High accuracy on seen classes does not imply generalization handwriting: On other classes of"
        in text
    )
    assert "training repeated: shown. b is at least as accurate as a" in text
    assert "Finding (ii) Deeper is not always better handwriting: On other classes of this domain, training" in text
    assert "Finding (iii) What fine-tuning did to g handwriting: Cannot be judged" in text


def test_it_is_said_how_sure_all_is_and_where_the_figures_are(tmp_path):
    write(tmp_path, network(**ONE_FOLD))
    (tmp_path / "figures").mkdir()
    for name in ("depth-a", "overview-handwriting"):
        (tmp_path / f"figures/{name}.png").touch()
    text = " ".join(verdict(tmp_path).split())
    assert "Values of one seed and one fold of unseen classes, so no spread is known." in text
    assert "One choice of unseen classes cannot tell how others would come out." in text
    assert "chosen and scored on the same images, so g is slightly optimistic" in text
    assert "Brackets, other classes: 95 % intervals, of this domain" in text
    assert f"{tmp_path.as_posix()}/figures/: overview-handwriting.png, depth-a.png" in text


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
    write(tmp_path, network())
    (tmp_path / "recommendation.json").unlink()
    with pytest.raises(UserError, match=r"recommendation\.json: must be a list of recommendations, found no file"):
        verdict(tmp_path)
    (tmp_path / "findings.json").unlink()
    with pytest.raises(UserError, match=r"findings\.json: must be a list of findings, found no file"):
        verdict(tmp_path)


def test_the_command_prints_the_verdict_or_one_error(tmp_path):
    command = [sys.executable, "-c", "from stages.commands.cli import main; main()", "verdict", str(tmp_path)]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert failed.stderr.startswith("error: ")
    write(tmp_path, network())
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == verdict(tmp_path) + "\n"
