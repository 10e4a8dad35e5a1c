import re
from dataclasses import replace

from stages.aggregate.report.findings import evaluate_findings
from stages.aggregate.report.summary_md import markdown
from stages.aggregate.tables.steps import follow_steps

MISSING = dict.fromkeys(["ci_images_low", "lead", "lead_low"])


def cells(text):
    """Cells of the tables' rows of networks."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_there_is_a_row_per_model_in_a_table_per_score(summary):
    text = markdown(summary)
    assert re.findall(r"^#+ (.*)$", text, re.MULTILINE)[1:] == [
        "handwriting",
        "NMI",
        "k-NN purity",
        "1-NN accuracy",
        "linear probe accuracy",
    ]
    rows, first = cells(text), summary[0]
    assert len(rows) == 8
    assert rows[0][0] == "`small`"
    assert rows[0][4] == f"{first.unseen:.3f} ± {first.unseen_sd:.3f}"
    assert rows[0][5:7] == ["[0.371, 0.410]", f"{first.best_depth + 1} of 4 (`{first.best_layer}`)"]
    assert rows[0][8] == "-0.010 [-0.050, 0.030]"
    assert "over 2 seeds (ddof = 1)" in text


def test_the_findings_stand_before_the_tables(summary, scores):
    text = markdown(summary, evaluate_findings(summary, follow_steps(scores)))
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE)[:5] == [
        "Findings",
        "(i) High accuracy on seen classes does not imply generalization",
        "(ii) Deeper is not always better",
        "handwriting",
        "NMI",
    ]
    statuses = "inconclusive for small and small_scratch (the interval of the lead includes 0)"
    assert f"**handwriting**: {statuses}." in text
    assert len(re.findall(r"^- small", text, re.MULTILINE)) == 2
    assert "\n\n\n" not in text


def test_a_score_that_is_better_low_says_so(summary):
    assert "### NMI (lower is better)" in markdown([replace(row, better="lower") for row in summary])


def test_what_is_missing_leaves_dashes(summary):
    rows = cells(markdown([replace(row, **MISSING, accuracy=None, accuracy_sd=None) for row in summary]))
    assert {(row[2], row[5], row[8]) for row in rows} == {("–", "–", "–")}
