import re
from dataclasses import replace

from scipy.stats import ttest_1samp

from stages.aggregate.facts import Facts
from stages.aggregate.recommend.regret import summarize_regrets
from stages.aggregate.render.summary import FOLD_HEADER, latex, markdown, regret_section, tables_by_dataset
from stages.aggregate.tables.regret import RegretRow
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, evidence, network, single_fold
from tests.aggregate.recommended import recommendation


def document(rows):
    """summary.md of these rows, and of what follows from them."""
    main = [row for row in rows if row.main]
    return markdown(rows, Facts([recommendation(model=row.model) for row in main], [evidence(*main)]), [])


def table(text, heading):
    """The rows of one table of networks, as mappings from column to cell."""
    lines = text.split(f"### {heading}\n")[1].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    end = next((i for i, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:end]]


def test_there_is_a_table_per_score_and_one_of_single_folds(summary):
    text = document(summary)
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert headings[5:] == ["How to read the tables", "handwriting", "NMI", "NMI, fold by fold", "k-NN purity"]
    assert [row["Model"] for row in table(text, "NMI")] == ["`small`", "`small_scratch`"]
    folds = table(text, "NMI, fold by fold")
    assert [row["Fold"] for row in folds] == ["0", "1", "2", "3"] * 2
    assert [row["Unseen"] for row in folds][:4] == ["0.300", "0.400", "0.500", "0.600"]


def test_a_row_has_intervals_and_bounds_in_both_scopes(summary):
    row = table(document(summary), "NMI")[0]
    assert row["Unseen"] == "0.390 ± 0.030"
    assert (row["Other classes"], row["Other images"]) == ("[0.310, 0.470]", "[0.370, 0.410]")
    assert (row["Lead"], row["Lead, other classes"], row["Lead, other images"]) == (
        "+0.140",
        "[0.030, 0.270]",
        "[0.100, 0.180]",
    )
    assert row["Best layer"] == "5 of 9 (`blocks.3`)"


def test_it_is_said_over_what_values_are_means(summary):
    assert "Means over 4 folds of unseen classes, one seed each, ± standard deviation over folds" in document(summary)
    seeds = document([network(**ONE_FOLD, n_seeds=3)])
    assert "Means over 3 seeds ± standard deviation (ddof = 1), of one fold" in seeds
    assert "Values of one seed and one fold of unseen classes" in document([network(**ONE_FOLD)])


def test_one_fold_has_no_columns_of_other_classes_and_says_why():
    text = document([network(**ONE_FOLD)])
    (row,) = table(text, "NMI")
    assert "Other images" in row
    assert not {"Other classes", "Lead, other classes"} & set(row)
    assert "fold by fold" not in text
    assert "One choice of unseen classes cannot tell how others would come out." in text


def test_the_answers_stand_before_the_tables(summary):
    text = document(summary)
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE)[:8] == [
        "Recommendations",
        "Findings",
        "(i) High accuracy on seen classes does not imply generalization",
        "(ii) Deeper is not always better",
        "(iii) What fine-tuning did to g",
        "How to read the tables",
        "handwriting",
        "NMI",
    ]
    assert "**handwriting**: On other classes of this domain, training repeated: supported for small and" in text
    assert len(re.findall(r"^- small", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^- handwriting, small(?:_scratch)?: take features from", text, re.MULTILINE)) == 2
    assert "\n\n\n" not in text


def test_a_score_that_is_better_low_says_so(summary):
    assert "### NMI (lower is better)" in document([replace(row, better="lower") for row in summary])


def test_what_is_missing_leaves_dashes():
    row = table(document([network(**NO_INTERVALS | {"accuracy": None})]), "NMI")[0]
    assert {row[name] for name in ("Accuracy", "Other images", "Lead", "Lead, other images")} == {"–"}


def test_a_folds_cells_are_its_own():
    rows = [network(), single_fold("0"), single_fold("1", unseen_sd=0.02, lead=None)]
    ((_, (_, folds)),) = tables_by_dataset(rows, "`{}`")
    cells = dict(zip(FOLD_HEADER, folds.cells[1], strict=True))
    assert (cells["Fold"], cells["Unseen"]) == ("1", "0.390 ± 0.020")
    assert (cells["Best layer"], cells["Last layer"], cells["Lead"]) == ("5 of 9 (`blocks.3`)", "0.240", "–")


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


def test_in_latex_a_score_that_is_better_low_says_so(summary):
    assert r"\subsection*{NMI (lower is better)}" in latex([replace(row, better="lower") for row in summary])


OWN = {("d", "a"): 0.01, ("d", "b"): 0.04, ("e", "a"): 0.03}
TWO_THIRDS = {("d", "a"): 0.05, ("d", "b"): 0.05, ("e", "a"): 0.02}


def section(own=OWN, two_thirds=TWO_THIRDS, pairs=tuple(OWN)):
    rows = [
        RegretRow(dataset, model, fold, "nmi", among, name, "baseline", None, None, None, 0, 0, value + further + more)
        for name, values in (("other_folds", own), ("two_thirds", two_thirds))
        for (dataset, model), value in values.items()
        for among, further in (("layers", 0), ("layers_and_checkpoints", 0.1))
        for fold, more in (("0", 0.5), ("mean", 0))
    ]
    return regret_section(summarize_regrets(rows, list(pairs)))


def regrets(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|:")]


def interval(values):
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    return f"[{low:.3f}, {high:.3f}]"


def test_criteria_are_rows_with_means_by_dataset_and_over_all_pairs():
    header, own, two_thirds = regrets(section())
    assert header == ["Choice", "Kind", "`d`", "`e`", "All", "Against 2/3", "With checkpoints"]
    assert own == [
        "the other folds",
        "recommended by",
        "0.025",
        "0.030",
        f"0.027 {interval([0.01, 0.04, 0.03])}",
        f"-0.013 {interval([-0.04, -0.01, 0.01])}",
        f"0.127 {interval([0.11, 0.14, 0.13])}",
    ]
    assert two_thirds[5] == "–"
    assert "over the 3 pairs of a dataset and a network" in section()


def test_two_pairs_have_no_interval_and_it_is_said_why():
    text = section(pairs=list(OWN)[1:])
    assert "without an interval, which takes 3 pairs of a dataset and a network (here 2)" in text
    assert regrets(text)[1][2:5] == ["0.040", "0.030", "0.035"]


def test_a_criterion_that_some_pairs_lack_is_averaged_over_the_others():
    assert regrets(section(own={("d", "a"): 0.01}))[1][2:6] == ["0.010", "–", "0.010", "-0.040"]


def test_without_regrets_there_is_nothing_to_say():
    assert summarize_regrets([], [("d", "a")]) is None
