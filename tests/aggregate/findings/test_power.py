"""What a study says that it shows is what later studies show."""

import numpy as np
import pytest
from scipy.stats import nct, ttest_1samp
from scipy.stats import t as student

from stages.aggregate.findings import power
from stages.aggregate.findings.power import power_of
from stages.core.inference.layer_comparison import best_against
from stages.core.inference.scopes import over_classes
from tests.aggregate.refit_frames import refits_of

NETWORK = ("d", "m")
NUMBERS = (power.FOLDS, power.SEEDS, power.CLASSES)


@pytest.fixture(autouse=True)
def few_numbers(monkeypatch):
    """Of the numbers of folds, seeds and classes only those that are asked about: each takes time."""
    for name, numbers in {"FOLDS": (4, 12), "SEEDS": (2, 6), "CLASSES": (5, 10, 15, 20, 50)}.items():
        monkeypatch.setattr(power, name, numbers)


def study(rng, mean, J=4, S=1, K=5, trained=0.0, frozen=False):
    """Scores that are means over classes, which layers have half in common, and of training."""
    L = len(mean)
    of_classes = mean + rng.normal(size=(J, 1, K, 1)) + rng.normal(size=(J, 1, K, L))
    scores = of_classes + trained * rng.normal(size=(J, S, 1, L))
    without = np.stack([np.delete(scores, c, axis=2).mean(axis=2) for c in range(K)], axis=2)
    return refits_of(scores.mean(axis=2), without, frozen=frozen)


def test_of_two_layers_it_is_the_power_of_students_test_over_folds_averaged_over_first_studies():
    """A first study of a true standard error of 1 says what another shows by Student's noncentral distribution."""
    rng, J = np.random.default_rng(0), 5
    said = np.array([power_of(study(rng, np.zeros(2), J=J), NETWORK, 5).lead for _ in range(80)])
    error = np.sqrt(2 / 5 / J)  # of the difference of two layers' means
    shown = nct.sf(student.ppf(0.95, J - 1), J - 1, said / error)
    assert shown.mean() == pytest.approx(0.8, abs=0.04)
    of_folds = rng.normal(said[:, None], error * np.sqrt(J), size=(80, J))
    assert (ttest_1samp(of_folds, 0, axis=1, alternative="greater").pvalue < 0.05).mean() == pytest.approx(
        0.8, abs=0.08
    )


def test_a_lead_is_shown_about_as_often_as_it_says():
    rng, flat = np.random.default_rng(1), np.zeros(6)
    shown = []
    for _ in range(60):
        lead = power_of(study(rng, flat), NETWORK, 5).lead
        later = over_classes(study(rng, np.array([0, 0, 0, 0, 0, -lead])))
        shown.append(best_against(later).low > 0)
    assert np.mean(shown) == pytest.approx(0.85, abs=0.1)


@pytest.mark.parametrize("S", [1, 2])
def test_more_folds_of_the_same_show_what_is_said_of_them(S):
    rng = np.random.default_rng(2)
    said = [power_of(study(rng, np.zeros(4), S=S, trained=0.5), NETWORK, 5).folds[12] for _ in range(24)]
    known = [power_of(study(rng, np.zeros(4), J=12, S=S, trained=0.5), NETWORK, 5).lead for _ in range(24)]
    assert np.median(said) == pytest.approx(np.median(known), rel=0.25)


def test_more_seeds_and_classes_of_the_same_show_what_is_said_of_them():
    rng = np.random.default_rng(3)
    firsts = [power_of(study(rng, np.zeros(4), J=8, S=2, trained=1.0), NETWORK, 5) for _ in range(24)]
    by_seeds = [power_of(study(rng, np.zeros(4), J=8, S=6, trained=1.0), NETWORK, 5).lead for _ in range(24)]
    by_classes = [power_of(study(rng, np.zeros(4), J=8, S=2, K=20, trained=1.0), NETWORK, 20).lead for _ in range(24)]
    assert np.median([each.seeds[6] for each in firsts]) == pytest.approx(np.median(by_seeds), rel=0.25)
    assert np.median([each.classes[20] for each in firsts]) == pytest.approx(np.median(by_classes), rel=0.25)


def test_as_it_is_each_number_gives_the_lead_itself():
    found = power_of(study(np.random.default_rng(4), np.zeros(5), S=2, trained=2.0), NETWORK, 5)
    assert found.folds[4] == found.seeds[2] == found.classes[5] == found.lead
    for leads, numbers in zip((found.folds, found.seeds, found.classes), NUMBERS, strict=True):
        assert list(leads.values()) == sorted(leads.values(), reverse=True)
        assert set(leads) <= set(numbers)
        assert list(numbers) == sorted(set(numbers))


def test_what_a_study_cannot_tell():
    rng = np.random.default_rng(6)
    assert power_of(study(rng, np.zeros(3)), NETWORK, 5).seeds == {}
    assert power_of(study(rng, np.zeros(3), J=2), NETWORK, 5) is None
    assert power_of(study(rng, np.zeros(1)), NETWORK, 5) is None
    frozen = power_of(study(rng, np.zeros(3), J=1, K=12, frozen=True), NETWORK, 12)
    assert (frozen.folds, frozen.seeds) == ({}, {})
    assert power_of(study(rng, np.zeros(3), J=3, frozen=True), NETWORK, 5).folds == {}
    assert frozen.classes[50] < frozen.classes[15] < frozen.classes[10]
    assert power_of(refits_of(study(rng, np.zeros(3)).values), NETWORK, 5) is None
