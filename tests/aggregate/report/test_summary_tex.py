import re
from dataclasses import replace

from stages.aggregate.report.summary_tex import latex


def rows_of(text):
    return [line for line in text.splitlines() if line.lstrip().startswith("small")]


def test_it_is_a_whole_document_with_a_booktabs_table_per_score_and_one_of_single_folds(summary):
    text = latex(summary)
    assert text.startswith(r"\documentclass")
    assert text.endswith("\\end{document}\n")
    assert len(re.findall(r"\\begin\{tabular\}", text)) == len(re.findall(r"\\end\{tabular\}", text)) == 3
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 3
    assert re.findall(r"\\subsection\*\{(.*)\}", text) == ["NMI", "NMI, fold by fold", "k-NN purity"]
    columns = [len(re.findall(r"(?<!\\)&", row)) for row in rows_of(text)]
    assert columns == [13] * 2 + [6] * 8 + [13] * 2
    assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))
    assert text.isascii()


def test_every_special_character_stays_text(summary):
    row = rows_of(latex([replace(row, best_layer="a_b$c&d%e…") for row in summary]))[0]
    assert r"a\_b\$c\&d\%e\ldots{}" in row
    assert r"$\pm$" in row
    row = rows_of(latex([replace(row, best_layer=r"\input{x}~^") for row in summary]))[0]
    assert r"\input" not in row
    assert r"\textbackslash{}input\{x\}" in row
    assert r"\section*{\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{}}" in latex(
        [replace(row, dataset=r"\input{x}~^") for row in summary]
    )
    assert r"of the others it is 95 \%" in latex(summary)


def test_a_score_that_is_better_low_says_so(summary):
    assert r"\subsection*{NMI (lower is better)}" in latex([replace(row, better="lower") for row in summary])
