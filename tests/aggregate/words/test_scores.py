import pytest

from stages.aggregate.scope import PROVEN
from stages.aggregate.words.scores import DEFINITIONS, NAMES, metric_name
from stages.measure.metrics import SCORES


def test_every_score_that_measure_computes_has_its_words_and_no_other():
    assert set(NAMES) <= set(DEFINITIONS) == set(SCORES)


def test_scores_are_spelled_out_and_unlisted_ones_keep_their_name():
    assert metric_name("nn1_accuracy") == "1-NN accuracy"
    assert metric_name("ood_fpr95_knn") == "OOD FPR95 (k-NN)"
    assert metric_name("of_tomorrow") == "of tomorrow"


def test_only_scores_that_are_fitted_again_have_a_proven_level():
    assert all(SCORES[metric].refit for metric in PROVEN)


@pytest.mark.parametrize("metric", DEFINITIONS)
def test_every_listed_score_is_defined_in_one_sentence(metric):
    definition = DEFINITIONS[metric]
    assert definition.endswith(".")
    assert definition.count(". ") == 0
    assert 40 < len(definition) <= 180
