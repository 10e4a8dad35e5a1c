import pytest

from stages.aggregate.params import AggregateParams
from stages.shared.console import UserError
from stages.shared.params import parse

GIVEN = {"main_metric": "nmi", "resamples": 1000, "seed": 0}


def test_accuracy_is_no_score_of_layers():
    with pytest.raises(UserError, match=r"aggregate\.main_metric.*score of layers"):
        parse(GIVEN | {"main_metric": "accuracy"}, AggregateParams, where="aggregate")


def test_a_misspelt_parameter_is_named():
    with pytest.raises(UserError, match=r"aggregate\.main_metrc is not a parameter: did you mean 'main_metric'"):
        parse(GIVEN | {"main_metrc": "nmi"}, AggregateParams, where="aggregate")


def test_too_few_resamples_for_an_interval_are_an_error():
    with pytest.raises(UserError, match=r"aggregate\.resamples: .*greater than or equal to 100; found 99"):
        parse(GIVEN | {"resamples": 99}, AggregateParams, where="aggregate")
