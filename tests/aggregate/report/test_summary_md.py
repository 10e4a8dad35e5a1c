import re
from dataclasses import replace

from stages.aggregate.report.findings import evaluate_findings
from stages.aggregate.report.summary_md import markdown
from tests.aggregate.report.networks import NO_INTERVALS, ONE_FOLD, STEPS, evidence, network


def table(text, heading):
    """The rows of one table of networks, as mappings from column to cell."""
    lines = text.split(f"### {heading}\n")[1].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    end = next((i for i, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:end]]


def test_there_is_a_table_per_score_and_one_of_single_folds(summary):
    text = markdown(summary)
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert headings == ["How to read the tables", "handwriting", "NMI", "NMI, fold by fold", "k-NN purity"]
    assert [row["Model"] for row in table(text, "NMI")] == ["`small`", "`small_scratch`"]
    folds = table(text, "NMI, fold by fold")
    assert [row["Fold"] for row in folds] == ["0", "1", "2", "3"] * 2
    assert [row["Unseen"] for row in folds][:4] == ["0.300", "0.400", "0.500", "0.600"]


def test_a_row_has_intervals_and_bounds_in_both_scopes(summary):
    row = table(markdown(summary), "NMI")[0]
    assert row["Unseen"] == "0.390 ± 0.030"
    assert (row["Other classes"], row["Other images"]) == ("[0.310, 0.470]", "[0.370, 0.410]")
    assert (row["Lead"], row["Lead, other classes"], row["Lead, other images"]) == (
        "+0.140",
        "[0.030, 0.270]",
        "[0.100, 0.180]",
    )
    assert row["Best layer"] == "5 of 9 (`blocks.3`)"


def test_it_is_said_over_what_values_are_means(summary):
    assert "Means over 4 folds of unseen classes, one seed each, ± standard deviation over folds" in markdown(summary)
    seeds = markdown([network(**ONE_FOLD, n_seeds=3)])
    assert "Means over 3 seeds ± standard deviation (ddof = 1), of one fold" in seeds
    assert "Values of one seed and one fold of unseen classes" in markdown([network(**ONE_FOLD)])


def test_one_fold_has_no_columns_of_other_classes_and_says_why():
    text = markdown([network(**ONE_FOLD)])
    (row,) = table(text, "NMI")
    assert "Other images" in row
    assert not {"Other classes", "Lead, other classes"} & set(row)
    assert "fold by fold" not in text
    assert "One choice of unseen classes cannot tell how others would come out." in text


def test_the_answers_stand_before_the_tables(summary):
    text = markdown(summary, evaluate_findings([evidence(*summary[:2])], STEPS), recommended=["take it"])
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
    assert "\n\n\n" not in text


def test_a_score_that_is_better_low_says_so(summary):
    assert "### NMI (lower is better)" in markdown([replace(row, better="lower") for row in summary])


def test_what_is_missing_leaves_dashes():
    row = table(markdown([network(**NO_INTERVALS | {"accuracy": None})]), "NMI")[0]
    assert {row[name] for name in ("Accuracy", "Other images", "Lead", "Lead, other images")} == {"–"}
