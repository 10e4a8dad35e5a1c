from stages.aggregate.words.scores import DEFINITIONS, NAMES
from stages.core.scores.catalogue import SCORES


def test_every_score_that_measure_computes_has_its_words_and_no_other():
    assert set(NAMES) <= set(DEFINITIONS) == set(SCORES)


def test_only_scores_that_are_fitted_again_have_a_proven_level():
    assert all(score.refit for score in SCORES.values() if score.proven)
