import pandas as pd
import pytest

from stages.commands.study.summaries import number, parse_summary
from stages.shared.runtime.errors import UserError
from tests.commands.study.summary import further_pooling, rows


def test_only_the_main_pooling_of_a_network_counts():
    a, b = rows("cifar100", "a", 2, 0.6, 0.5, 0.4), rows("cifar100", "b", 2, 0.7, 0.3, 0.2)
    table = pd.concat([further_pooling(a), a, b, further_pooling(b)])
    found = parse_summary(table.to_csv(index=False), "summary.csv")
    assert set(found["pooling"]) == {"mean"}
    assert found["model"].tolist() == ["a"] * 3 + ["b"] * 3


def test_without_the_main_score_the_first_pooling_is_the_main_one():
    a = rows("cifar100", "a", 2, 0.6, 0.5, 0.4).assign(main=False)
    found = parse_summary(pd.concat([a, further_pooling(a)]).to_csv(index=False), "summary.csv")
    assert set(found["pooling"]) == {"mean"}


def test_a_model_may_be_called_na():
    assert set(parse_summary(rows("mine", "NA", 1, 0.6, 0.5, 0.4).to_csv(), "s")["model"]) == {"NA"}


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "found no table"), ("dataset,model\na,b\n", "lacks pooling, metric, main, n_seeds, accuracy")],
)
def test_another_table_is_an_error(text: str, found: str):
    with pytest.raises(UserError, match=found):
        parse_summary(text, "old.csv")


def test_a_number_has_its_deviation_where_there_is_one():
    assert number(0.62934, 0.0114) == "0.629 ± 0.011"
    assert number(0.62934, float("nan")) == "0.629"


def test_single_folds_are_left_out():
    mean, fold = (rows("d", "a", 2, 0.6, 0.5, 0.45).assign(fold=fold) for fold in ("mean", "0"))
    text = pd.concat([fold.assign(unseen=0.99, main=False), mean]).to_csv(index=False)
    assert parse_summary(text, "here")["unseen"].tolist() == [0.45] * 3
