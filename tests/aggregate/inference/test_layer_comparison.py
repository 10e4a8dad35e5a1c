import numpy as np
import pytest

from stages.aggregate.inference.contrasts import Inference
from stages.aggregate.inference.layer_comparison import (
    best_against,
    best_of_two,
    cross_fitted_lead,
    cross_fitted_lead_on_halves,
    ties,
)


def independent(mean, sd=0.02, df=40):
    return Inference(np.array(mean, float), sd**2 * np.eye(len(mean)), df)


def test_layers_tie_unless_another_is_shown_to_be_better():
    assert ties(independent([0.2, 0.6, 0.62, 0.5])).tolist() == [False, True, True, False]
    assert ties(independent([0.2, 0.6, 0.62, 0.5], sd=0.3)).all()
    assert ties(independent([0.2, 0.6, 0.62, 0.5]), better="lower").tolist() == [True, False, False, False]
    assert ties(independent([0.5])).tolist() == [True]


def test_scores_of_no_variance_tie_where_they_are_equal():
    assert ties(independent([0.5, 0.5, 0.5], sd=0)).all()


def test_another_control_and_candidates():
    found = independent([0.3, 0.5, 0.8, 0.1])
    middle = best_against(found, control=1, candidates=np.array([True, False, False, True]))
    assert middle.high <= 0
    assert best_against(found, control=1).high == pytest.approx(middle.high, abs=0.2)  # all before it: the first alone
    assert best_against(found, control=0) is None
    assert best_against(independent([0.5])) is None


def test_the_lead_favours_the_better_scores():
    found = independent([0.2, 0.6, 0.9])
    assert best_against(found).high <= 0
    assert best_against(found, better="lower").low > 0.5


def test_the_best_layers_of_two_networks_are_compared():
    found = independent([0.2, 0.6, 0.9, 0.5, 0.8])
    estimate = best_of_two(found, 3)
    assert estimate.value == pytest.approx(0.1)
    assert estimate.standard_error == pytest.approx(0.02 * np.sqrt(2))
    assert best_of_two(found, 3, better="lower").value == pytest.approx(0.3)  # 0.2 against 0.5: lower is better
    assert best_of_two(independent([0.2, 0.4], sd=0), 1) is None


def test_the_cross_fitted_lead_chooses_on_the_other_folds():
    folds = np.array([[0.9, 0.1, 0.5], [0.2, 0.6, 0.5], [0.2, 0.7, 0.5]])
    lead, chosen = cross_fitted_lead(folds)
    assert chosen == [1, 0, 0]  # the first fold sways the others
    assert lead == pytest.approx(np.mean([0.1 - 0.5, 0.2 - 0.5, 0.2 - 0.5]))
    mirrored, _ = cross_fitted_lead(-folds, better="lower")
    assert mirrored == pytest.approx(lead)


def test_the_last_layer_is_no_candidate():
    lead, chosen = cross_fitted_lead(np.array([[0.1, 0.2, 0.9], [0.1, 0.3, 0.9]]))
    assert chosen == [1, 1]
    assert lead == pytest.approx(-0.65)


def test_on_halves_the_layer_is_chosen_on_the_other_half():
    halves = np.array([[0.9, 0.1, 0.5], [0.2, 0.6, 0.5], [0.7, 0.6, 0.5], [0.8, 0.6, 0.6]])
    lead, chosen = cross_fitted_lead_on_halves(halves)
    assert chosen == [0, 1, 0, 0]
    assert lead == pytest.approx(np.mean([0.2 - 0.5, 0.1 - 0.5, 0.8 - 0.6, 0.7 - 0.5]))
