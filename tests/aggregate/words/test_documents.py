import re
from dataclasses import replace

from stages.aggregate.facts import Facts
from stages.aggregate.words.documents import markdown
from stages.aggregate.words.verdict import verdict
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, evidence, network
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


def test_there_is_a_table_of_every_score(summary):
    text = document(summary)
    rows = table(text, "handwriting: every score")
    assert [row["Model"] for row in rows] == ["`small`", "`small_scratch`"] * 2
    assert [row["Score"] for row in rows] == ["NMI"] * 2 + ["k-NN purity"] * 2


def test_one_fold_has_no_columns_of_other_classes_and_says_why():
    text = document([network(**ONE_FOLD)])
    (row,) = table(text, "handwriting: every score")
    assert "Other images" in row
    assert "Other classes" not in row
    assert "Intervals over classes need three folds" in text


def test_the_answers_stand_before_the_tables(summary):
    text = document(summary)
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == [
        "handwriting: the layer for each use",
        "Findings",
        "(i) Accuracy does not imply generalization",
        "(ii) Deeper is not always better",
        "(iii) What fine-tuning did to g",
        "What choosing a layer costs",
        "handwriting: every score",
    ]
    assert "**handwriting**: Supported in 2 of 2 networks at step 100 (other classes, each by itself)." in text
    assert len(re.findall(r"^- small(?:_scratch)?, step 100: For other unseen", text, re.MULTILINE)) == 2
    assert "\n\n\n" not in text


def test_every_use_of_every_network_is_a_row_and_a_sentence(summary):
    text = document(summary)
    rows = table(text, "handwriting: the layer for each use")
    assert [(row["Model"], row["Use"].removeprefix("OOD ").split()[0]) for row in rows] == [
        (model, use) for model in ("`small`", "`small_scratch`") for use in LEADS
    ]
    assert rows[2] == {
        "Model": "`small`",
        "Use": "discovery (NMI)",
        "Layer": "5 of 9 (`blocks.3`)",
        "Step": "100",
        "Score": "0.388 [0.310, 0.470]",
        "Last layer": "0.240",
        "Gain over last": "+0.140 [+0.030, +0.250]",
        "Over second-to-last": "+0.080",
        "Ties (at most)": "4 (-0.05), 6",
        "Parameters": "50%",
        "Multiply-adds": "40%",
    }
    sentences = re.findall(
        r"^- (small(?:_scratch)?), (?:OOD )?(\w+) \(.*?\): layer 5 of 9 \(`blocks\.3`", text, re.MULTILINE
    )
    assert sentences == [(model, use) for model in ("small", "small_scratch") for use in LEADS]


def test_a_network_of_no_use_has_no_layer(summary):
    text = markdown(summary, Facts([useless(model="small"), recommendation()], [evidence(*summary[:1])]))
    first, second = table(text, "handwriting: the layer for each use")
    assert (first["Layer"], second["Layer"]) == ("none beats raw pixels", "5 of 9 (`blocks.3`)")
    assert "- small, discovery (NMI): no recommendation, since no layer beats raw pixels" in text


def test_a_scope_in_which_any_score_is_known_has_its_columns():
    rows = [network(n_folds=1), network(metric="ood_auroc_knn", main=False, **NO_INTERVALS)]  # of one fold, frozen
    known, unknown = table(document(rows), "handwriting: every score")
    assert [row["Other classes"] for row in (known, unknown)] == ["[0.310, 0.470]", "–"]


def test_what_choosing_costs_is_a_row_for_each_way_and_a_column_for_each_use(summary):
    text = document(summary)
    first = text.replace("**handwriting, small_scratch**", "## another")
    rows = {row["Regret by rule"]: row for row in table(first, "What choosing a layer costs")}
    assert list(rows) == [
        "other folds (default)", "last layer", "second-to-last layer", "95% of seen accuracy"
    ]  # fmt: skip
    assert [name.removeprefix("OOD ") for name in rows["last layer"]][1:] == list(LEADS)
    assert set(list(rows["last layer"].values())[1:]) == {"0.150–0.160"}
    assert "**handwriting, small**" in text
    few = Facts([useless(model="small")], [evidence(*summary[:1])])
    assert "What choosing a layer costs" not in markdown(summary, few)


def test_sets_of_classes_are_not_called_folds(summary):
    known = facts(summary)
    found = [each.model_copy(update={"parts": "sets"}) for each in known.recommendations]
    of_sets = replace(known, recommendations=found)
    document = markdown(summary, of_sets)
    assert "4 sets" in document
    for text in (document, verdict(of_sets)):
        assert not re.search(r"\bfolds?\b", text, flags=re.IGNORECASE)
