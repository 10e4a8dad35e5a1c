import pytest
from scipy.stats import ttest_1samp

from stages.aggregate.columns import frame
from stages.aggregate.report.regret import regret_section
from stages.aggregate.tables.regret import JOINT, LAYERS, REGRET_COLUMNS
from tests.aggregate.report.recommended import recommendation

OWN = {("d", "a"): 0.01, ("d", "b"): 0.04, ("e", "a"): 0.03}
TWO_THIRDS = {("d", "a"): 0.05, ("d", "b"): 0.05, ("e", "a"): 0.02}


def regrets(own=OWN, two_thirds=TWO_THIRDS):
    rows = [
        {"dataset": dataset, "model": model, "metric": "nmi", "criterion": name, "candidates": candidates}
        | {"fold": fold, "regret": value + further + more}
        for name, values in (("other_folds", own), ("two_thirds", two_thirds))
        for (dataset, model), value in values.items()
        for candidates, further in ((LAYERS, 0), (JOINT, 0.1))
        for fold, more in (("0", 0.5), ("mean", 0))
    ]
    return frame(rows, REGRET_COLUMNS)


def recommended(pairs=OWN, **fields):
    return [recommendation(dataset=dataset, model=model, **fields) for dataset, model in pairs]


def table(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|:")]


def interval(values):
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    return f"[{low:.3f}, {high:.3f}]"


def test_criteria_are_rows_with_means_by_dataset_and_over_all_pairs():
    header, own, two_thirds = table(regret_section(regrets(), recommended()))
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
    assert "over the 3 pairs of a dataset and a network" in regret_section(regrets(), recommended())


def test_two_pairs_have_no_interval_and_it_is_said_why():
    pairs = {pair: OWN[pair] for pair in list(OWN)[1:]}
    text = regret_section(regrets(), recommended(pairs))
    assert "without an interval, which takes 3 pairs of a dataset and a network (here 2)" in text
    assert table(text)[1][2:5] == ["0.040", "0.030", "0.035"]


def test_a_criterion_that_some_pairs_lack_is_averaged_over_the_others():
    text = regret_section(regrets(own={("d", "a"): 0.01}), recommended())
    assert table(text)[1][2:6] == ["0.010", "–", "0.010", "-0.040"]


@pytest.mark.parametrize("fields", [{"recommended": None, "reason": "none"}, {"regret": []}])
def test_networks_without_a_recommendation_do_not_count(fields):
    assert regret_section(regrets(), recommended(**fields)) == ""
    some = [*recommended(list(OWN)[:1]), *recommended(list(OWN)[1:], **fields)]
    assert table(regret_section(regrets(), some))[1][2:5] == ["0.010", "0.010", "-0.040"]
