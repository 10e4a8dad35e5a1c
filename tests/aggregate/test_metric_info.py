import numpy as np
import pytest

from stages.aggregate.metric_info import METRIC_INFO, intervals_of, metric_info, metric_name, metric_rank
from stages.measure.metrics import SCORES

DETECTION = [f"ood_{score}_{distance}" for score in ("auroc", "fpr95") for distance in ("knn", "mahalanobis")]


def test_every_score_that_measure_computes_is_listed():
    assert set(METRIC_INFO) == set(SCORES)


def test_scores_are_spelled_out_and_unlisted_ones_keep_their_name():
    assert metric_name("nn1_accuracy") == "1-NN accuracy"
    assert metric_name("ood_fpr95_knn") == "OOD FPR95 (k-NN)"
    assert metric_name("of_tomorrow") == "of tomorrow"


def test_an_unlisted_score_has_no_limits_and_no_proven_level():
    info = metric_info("of_tomorrow")
    assert (info.low, info.high, info.proven, info.in_paper) == (-np.inf, np.inf, (), False)


@pytest.mark.parametrize("metric", METRIC_INFO)
def test_a_score_that_is_the_mean_of_its_images_lies_between_its_limits(metric):
    info = metric_info(metric)
    assert info.low <= 0 < info.high
    assert not info.mean_of_images or info.high == 1


def test_listed_scores_come_first_in_their_order():
    assert sorted(["probe_accuracy", "another", "nmi", "knn_purity"], key=metric_rank) == [
        "nmi",
        "knn_purity",
        "probe_accuracy",
        "another",
    ]


@pytest.mark.parametrize(
    ("metric", "scope", "named"),
    [
        ("nmi", "classes", "95 % intervals"),
        ("nmi", "images", "intervals of no proven level"),
        ("knn_purity", "images", "95 % intervals"),
        ("ood_auroc_knn", "classes", "intervals of no proven level"),
        ("of_tomorrow", "images", "intervals of no proven level"),
    ],
)
def test_intervals_are_named_by_the_level_that_they_hold(metric, scope, named):
    assert intervals_of(metric, scope) == named


def test_every_listed_score_is_defined_in_one_sentence():
    for info in METRIC_INFO.values():
        assert info.definition.endswith(".")
        assert info.definition.count(". ") == 0
        assert 40 < len(info.definition) <= 180
