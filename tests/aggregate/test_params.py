import pytest

from stages.aggregate.params import AggregateParams
from stages.shared.console import UserError
from stages.shared.params import parse


def test_accuracy_is_no_score_of_layers():
    with pytest.raises(UserError, match=r"aggregate\.main_metric.*score of layers"):
        parse({"main_metric": "accuracy"}, AggregateParams, where="aggregate")


def test_a_misspelt_parameter_is_named():
    with pytest.raises(UserError, match=r"aggregate\.main_metrc is not a parameter: did you mean 'main_metric'"):
        parse({"main_metric": "nmi", "main_metrc": "nmi"}, AggregateParams, where="aggregate")
