import pytest

from stages.aggregate.params import AggregateParams, read_asked
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import parse
from tests.aggregate.synthetic import write_params

GIVEN = {"main_metric": "nmi", "accuracy_margin": 0.05}


def test_accuracy_is_no_score_of_layers():
    with pytest.raises(UserError, match=r"aggregate\.main_metric.*layer score"):
        parse(GIVEN | {"main_metric": "accuracy"}, AggregateParams, where="aggregate")


def test_a_misspelt_parameter_is_named():
    with pytest.raises(UserError, match=r"aggregate\.main_metrc is not a parameter: did you mean 'main_metric'"):
        parse(GIVEN | {"main_metrc": "nmi"}, AggregateParams, where="aggregate")


def test_a_margin_beyond_all_accuracies_is_an_error():
    with pytest.raises(UserError, match=r"aggregate\.accuracy_margin: .*less than or equal to 1; found 5"):
        parse(GIVEN | {"accuracy_margin": 5.0}, AggregateParams, where="aggregate")


def test_what_was_asked_of_the_cells_is_read_from_their_stages_sections(tmp_path):
    write_params(tmp_path / "params.yaml", ["d"], ["m"], [3], analyses=["layer_pairs"])
    asked = read_asked(tmp_path / "params.yaml")
    assert (asked.grid.seeds, asked.measured.analyses) == ([3], ["layer_pairs"])
    assert (asked.params.main_metric, asked.measured.neighbours) == ("nmi", "all")


def test_a_measure_section_without_analyses_is_an_error(tmp_path):
    write_params(tmp_path / "params.yaml", ["d"], ["m"], [3])
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("analyses: []", ""))
    with pytest.raises(UserError, match=r"measure\.analyses is missing"):
        read_asked(tmp_path / "params.yaml")
