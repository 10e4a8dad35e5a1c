import pytest

from stages.aggregate.scope import PROVEN
from stages.aggregate.words.scores import SCORE_WORDS, metric_name
from stages.measure.metrics import SCORES


def test_every_score_that_measure_computes_has_its_words_and_no_other():
    assert set(SCORE_WORDS) == set(SCORES)


def test_scores_are_spelled_out_and_unlisted_ones_keep_their_name():
    assert metric_name("nn1_accuracy") == "1-NN accuracy"
    assert metric_name("ood_fpr95_knn") == "OOD FPR95 (k-NN)"
    assert metric_name("of_tomorrow") == "of tomorrow"


def test_only_scores_that_are_fitted_again_have_a_proven_level():
    assert all(SCORES[metric].refit for metric in PROVEN)


@pytest.mark.parametrize("metric", SCORE_WORDS)
def test_every_listed_score_is_defined_in_one_sentence(metric):
    definition = SCORE_WORDS[metric].definition
    assert definition.endswith(".")
    assert definition.count(". ") == 0
    assert 40 < len(definition) <= 180
