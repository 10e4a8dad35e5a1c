import re

import pytest

from stages.aggregate.cells import read_layers
from stages.aggregate.documents import escape, latex, markdown, number
from stages.aggregate.scores import average
from stages.aggregate.tables import summarize


@pytest.fixture
def summary(grid, run):
    return summarize(average(read_layers(grid / "measures", run), run), "nmi")


def test_numbers_carry_their_standard_deviation_where_there_is_one():
    assert number(0.12345, 0.01) == "0.123 ± 0.010"
    assert number(0.12345) == "0.123"
    assert number(float("nan"), 0.1) == "–"


def test_latex_escapes_what_it_would_take_for_commands():
    assert escape("a_b & 5 % of #1 {x}") == r"a\_\allowbreak{}b \& 5 \% of \#1 \{x\}"
    assert escape("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"


def test_markdown_has_a_row_per_model_in_a_table_per_score(summary):
    text = markdown(summary)
    assert re.findall(r"^#+ (.*)$", text, re.MULTILINE)[1:] == [
        "hands",
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
    assert cells[5:7] == [f"`{first['best_layer']}`", f"{first['best_depth']} of 3"]
    assert "over 2 seeds (ddof = 1)" in text


def test_latex_is_a_whole_document_of_aligned_booktabs_tables(summary):
    text = latex(summary)
    assert text.startswith(r"\documentclass")
    assert text.endswith("\\end{document}\n")
    for name in ("document", "longtable"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    rows = [line for line in text.splitlines() if line.startswith(r"\texttt{")]
    assert len(rows) == 8
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {9}
    assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))
    assert r"small\_\allowbreak{}scratch" in text
    assert text.isascii()


def test_a_name_with_every_special_character_stays_text(summary):
    text = latex(summary.assign(best_layer="a_b$c&d…"))
    assert r"\texttt{a\_\allowbreak{}b\$c\&d\ldots{}}" in text
