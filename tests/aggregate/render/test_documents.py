import re
from dataclasses import replace

from stages.aggregate.facts import Facts
from stages.aggregate.render.documents import latex, markdown, tables_by_dataset
from stages.aggregate.render.verdict import verdict
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, evidence, network, single_fold
from tests.aggregate.recommended import LEADS, every_use, recommendation, useless


def facts(rows):
    """What follows from these rows."""
    main = [row for row in rows if row.main]
    found = [each for row in main for each in every_use(dataset=row.dataset, model=row.model, layer=row.best_layer)]
    return Facts(found, [evidence(*main)])


def document(rows):
    """summary.md of these rows, and of what follows from them."""
    return markdown(rows, facts(rows))


def table(text, heading):
    """The rows of one table of a section, as mappings from column to cell."""
    lines = text.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_there_is_a_table_of_every_score_and_one_of_single_folds(summary):
    text = document(summary)
    rows = table(text, "handwriting: every score")
    assert [row["Model"] for row in rows] == ["`small`", "`small_scratch`"] * 2
    assert [row["Score"] for row in rows] == ["NMI"] * 2 + ["k-NN purity"] * 2
    folds = table(text, "handwriting: NMI fold by fold")
    assert [row["Fold"] for row in folds] == ["0", "1", "2", "3"] * 2
    assert [row["Unseen"] for row in folds][:4] == ["0.300", "0.400", "0.500", "0.600"]


def test_a_row_has_intervals_in_both_scopes(summary):
    row = table(document(summary), "handwriting: every score")[0]
    assert row["Unseen"] == "0.390 ± 0.030"
    assert (row["Other classes"], row["Other images"]) == ("[0.310, 0.470]", "[0.370, 0.410]")
    assert row["Best layer"] == "5 of 9 (`blocks.3`)"


def test_it_is_said_over_what_values_are_means(summary):
    assert "mean of 4 folds, one seed each, ± 1 standard deviation over folds (ddof = 1)." in document(summary)
    seeds = document([network(**ONE_FOLD, n_seeds=3)])
    assert "mean of 3 seeds, ± 1 standard deviation over seeds (ddof = 1)." in seeds
    assert "one seed, so no spread is known." in document([network(**ONE_FOLD)])


def test_one_fold_has_no_columns_of_other_classes_and_says_why():
    text = document([network(**ONE_FOLD)])
    (row,) = table(text, "handwriting: every score")
    assert "Other images" in row
    assert "Other classes" not in row
    assert "fold by fold" not in text
    assert "One choice of unseen classes cannot tell how others would come out." in text


def test_the_answers_stand_before_the_tables(summary):
    text = document(summary)
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == [
        "handwriting: the layer for each use",
        "Findings",
        "(i) Accuracy does not imply generalization",
        "(ii) Deeper is not always better",
        "(iii) What fine-tuning did to g",
        "What choosing a layer costs",
        "How to read the tables below",
        "handwriting: every score",
        "handwriting: NMI fold by fold",
    ]
    assert "**handwriting**: Supported in 2 of 2 networks at step 100 (other classes, each by itself)." in text
    assert len(re.findall(r"^- small(?:_scratch)?, step 100: For other unseen", text, re.MULTILINE)) == 2
    assert "\n\n\n" not in text


def test_every_use_of_every_network_is_a_row_and_a_sentence(summary):
    text = document(summary)
    rows = table(text, "handwriting: the layer for each use")
    assert [(row["Model"], row["Use"].split()[0]) for row in rows] == [
        (model, use) for model in ("`small`", "`small_scratch`") for use in LEADS
    ]
    assert rows[2] == {
        "Model": "`small`",
        "Use": "discovery (NMI)",
        "Layer": "5 of 9 (`blocks.3`)",
        "Step": "100",
        "Score": "0.388 [0.310, 0.470]",
        "Gain over last": "+0.140 [+0.030, +0.250]",
        "Over before": "+0.080",
        "Ties (at most)": "4 (-0.05), 6",
        "Parameters": "50 %",
        "Multiply-adds": "40 %",
    }
    sentences = re.findall(r"^- (small(?:_scratch)?), (\w+) \(.*?\): layer 5 of 9 \(`blocks\.3`", text, re.MULTILINE)
    assert sentences == [(model, use) for model in ("small", "small_scratch") for use in LEADS]


def test_a_network_of_no_use_has_no_layer(summary):
    text = markdown(summary, Facts([useless(model="small"), recommendation()], [evidence(*summary[:1])]))
    first, second = table(text, "handwriting: the layer for each use")
    assert (first["Layer"], second["Layer"]) == ("none beats raw pixels", "5 of 9 (`blocks.3`)")
    assert "- small, discovery (NMI): no recommendation, since no layer beats raw pixels" in text


def test_scores_of_scaled_rows_are_said_to_be(summary):
    scaled = Facts([recommendation(normalize="l2")], [evidence(*summary[:1])])
    for text in (markdown(summary, scaled), latex(summary, scaled)):
        assert "(ddof = 1). Scores are of rows of length 1." in text


def test_a_score_that_is_better_low_says_so(summary):
    lower = [replace(row, better="lower") for row in summary]
    assert table(document(lower), "handwriting: every score")[0]["Score"] == "NMI (lower is better)"
    assert "& NMI (lower is better) " in latex(lower, facts(lower))


def test_what_is_missing_leaves_dashes():
    rows = [network(**NO_INTERVALS | {"accuracy": None}), network("b", **ONE_FOLD)]
    row = table(document(rows), "handwriting: every score")[0]
    assert {row[name] for name in ("Accuracy", "Other images")} == {"–"}


def test_a_scope_in_which_any_score_is_known_has_its_columns():
    rows = [network(n_folds=1), network(metric="ood_auroc_knn", main=False, **NO_INTERVALS)]  # of one fold, frozen
    known, unknown = table(document(rows), "handwriting: every score")
    assert [row["Other classes"] for row in (known, unknown)] == ["[0.310, 0.470]", "–"]


def test_a_folds_cells_are_its_own():
    rows = [network(), single_fold("0"), single_fold("1", unseen_sd=0.02)]
    ((_, (_, folds)),) = tables_by_dataset(rows, "folds", "`{}`")
    cells = folds.rows[1]
    assert (cells["Fold"], cells["Unseen"]) == ("1", "0.390 ± 0.020")
    assert (cells["Best layer"], cells["Last layer"]) == ("5 of 9 (`blocks.3`)", "0.240")


def rows_of(text):
    return [line for line in text.splitlines() if line.lstrip().startswith("small")]


def test_latex_is_a_whole_document_with_booktabs_tables_of_uses_of_scores_and_of_single_folds(summary):
    text = latex(summary, facts(summary))
    assert text.startswith(r"\documentclass")
    assert text.endswith("\\end{document}\n")
    assert len(re.findall(r"\\begin\{tabular\}", text)) == len(re.findall(r"\\end\{tabular\}", text)) == 3
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 3
    headings = ["The layer for each use", "every score", "NMI fold by fold"]
    assert re.findall(r"\\subsection\*\{(.*)\}", text) == headings
    columns = [len(re.findall(r"(?<!\\)&", row)) for row in rows_of(text)]
    assert columns == [9] * 8 + [11] * 4 + [11] * 8
    assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))
    assert text.isascii()


def test_every_special_character_stays_text(summary):
    def text_of(**names):
        rows = [replace(row, **names) for row in summary]
        return latex(rows, facts(rows))

    text = text_of(best_layer="a_b$c&d%e…")
    assert all(r"a\_b\$c\&d\%e\ldots{}" in row for row in rows_of(text))
    assert r"$\pm$" in text
    text = text_of(best_layer=r"\input{x}~^", dataset=r"\input{x}~^")
    assert r"\input" not in text
    assert all(r"\textbackslash{}input\{x\}" in row for row in rows_of(text))
    assert r"\section*{\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{}}" in text
    assert r"level of 95 \% is proven" in text


def test_what_choosing_costs_is_a_row_for_each_way_and_a_column_for_each_use(summary):
    text = document(summary)
    first = text.replace("**handwriting, small_scratch**", "## another")
    rows = {row["Lost to the best"]: row for row in table(first, "What choosing a layer costs")}
    assert list(rows) == [
        "other folds (recommended)", "last layer", "layer before the last", "95 % of the seen accuracy"
    ]  # fmt: skip
    assert list(rows["last layer"])[1:] == list(LEADS)
    assert set(list(rows["last layer"].values())[1:]) == {"0.150–0.160"}
    assert "**handwriting, small**" in text
    few = Facts([useless(model="small")], [evidence(*summary[:1])])
    assert "What choosing a layer costs" not in markdown(summary, few)


def test_sets_of_classes_are_not_called_folds(summary):
    known = facts(summary)
    found = [each.model_copy(update={"parts": "sets"}) for each in known.recommendations]
    of_sets = replace(known, recommendations=found)
    documents = markdown(summary, of_sets), latex(summary, of_sets)
    assert all("4 sets" in text for text in documents)
    for text in (*documents, verdict(of_sets)):
        assert not re.search(r"\bfolds?\b", text, flags=re.IGNORECASE)
