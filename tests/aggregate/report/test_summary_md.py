import re

import pytest

from stages.aggregate.curves import average
from stages.aggregate.inputs import read_layers
from stages.aggregate.report.findings import find
from stages.aggregate.report.summary_md import escape, latex, markdown
from stages.aggregate.tables.summary import follow_steps, summarize


@pytest.fixture
def scores(grid, run):
    return average(read_layers(grid / "measures", run), run)


@pytest.fixture
def summary(scores):
    sure = {"ci_images_low": 0.3712, "ci_images_high": 0.41, "lead": -0.01, "lead_low": -0.05, "lead_high": 0.03}
    return summarize(scores, "nmi").assign(**sure)


def test_latex_escapes_what_it_would_take_for_commands():
    assert escape("a_b & 5 % of #1 {x}") == r"a\_\allowbreak{}b \& 5 \% of \#1 \{x\}"
    assert escape("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"


def test_markdown_has_a_row_per_model_in_a_table_per_score(summary):
    text = markdown(summary)
    assert re.findall(r"^#+ (.*)$", text, re.MULTILINE)[1:] == [
        "handwriting",
        "NMI",
        "k-NN purity",
        "1-NN accuracy",
        "linear probe accuracy",
    ]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 8
    first = summary.iloc[0]
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells[0] == "`small`"
    assert cells[4] == f"{first['unseen']:.3f} ± {first['unseen_sd']:.3f}"
    assert cells[5:8] == ["[0.371, 0.410]", f"`{first['best_layer']}`", f"{first['best_depth']} of 3"]
    assert cells[9] == "-0.010 [-0.050, 0.030]"
    assert "over 2 seeds (ddof = 1)" in text


def test_markdown_tells_the_findings_before_the_tables(summary, scores):
    text = markdown(summary, find(summary, follow_steps(scores)))
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE)[:5] == [
        "Findings",
        "(i) High accuracy on seen classes does not imply generalization",
        "(ii) Deeper is not always better",
        "handwriting",
        "NMI",
    ]
    assert "**handwriting**: open in 2 of 2 (the lead is not told from 0: small, small_scratch)." in text
    assert len(re.findall(r"^- small", text, re.MULTILINE)) == 2
    assert "\n\n\n" not in text


def test_a_score_that_is_better_low_says_so(summary):
    table = summary.assign(better="lower")
    assert "### NMI (lower is better)" in markdown(table)
    assert r"\textit{NMI (lower is better)}" in latex(table)


def test_scores_without_intervals_leave_dashes(summary):
    empty = summary.assign(**dict.fromkeys(["ci_images_low", "lead", "lead_low"], float("nan")))
    rows = [line for line in markdown(empty).splitlines() if line.startswith("| `")]
    assert {tuple(row.split(" | ")[i] for i in (5, 9)) for row in rows} == {("–", "–")}


def test_latex_is_a_whole_document_of_aligned_booktabs_tables(summary):
    text = latex(summary)
    assert text.startswith(r"\documentclass")
    assert text.endswith("\\end{document}\n")
    for name in ("document", "longtable"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    rows = [line for line in text.splitlines() if line.startswith(r"\texttt{")]
    assert len(rows) == 8
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {11}
    assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))
    assert r"small\_\allowbreak{}scratch" in text
    assert text.isascii()


def test_a_name_with_every_special_character_stays_text(summary):
    text = latex(summary.assign(best_layer="a_b$c&d…"))
    assert r"\texttt{a\_\allowbreak{}b\$c\&d\ldots{}}" in text
