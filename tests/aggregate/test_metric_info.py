import pytest

from stages.aggregate.metric_info import METRIC_INFO, Distances, intervals_of, metric_info, metric_name, metric_rank
from stages.measure.metric_names import BETTER
from stages.shared.metric_table import OOD_KNN, OOD_MAHALANOBIS

DETECTION = [f"ood_{score}_{distance}" for score in ("auroc", "fpr95") for distance in ("knn", "mahalanobis")]


def test_every_score_that_measure_computes_is_listed():
    assert set(METRIC_INFO) == {*BETTER, *DETECTION}


def test_detection_is_resampled_from_the_distances_that_measure_writes():
    assert {METRIC_INFO[name].resampled for name in DETECTION} == {
        Distances(column, score) for column in (OOD_KNN, OOD_MAHALANOBIS) for score in ("auroc", "fpr95")
    }


def test_scores_are_spelled_out_and_unlisted_ones_keep_their_name():
    assert metric_name("nn1_accuracy") == "1-NN accuracy"
    assert metric_name("ood_fpr95_knn") == "OOD FPR95 (k-NN)"
    assert metric_name("of_tomorrow") == "of tomorrow"


def test_an_unlisted_score_is_not_resampled_and_has_no_proven_interval():
    info = metric_info("of_tomorrow")
    assert (info.resampled, info.proven, info.in_paper) == (None, False, False)


def test_listed_scores_come_first_in_their_order():
    assert sorted(["probe_accuracy", "another", "nmi", "knn_purity"], key=metric_rank) == [
        "nmi",
        "knn_purity",
        "probe_accuracy",
        "another",
    ]


@pytest.mark.parametrize(
    ("metric", "named"),
    [
        ("nmi", "95 % intervals"),
        ("ood_auroc_knn", "95 % intervals"),
        ("ari", "intervals of no proven level"),
        ("of_tomorrow", "intervals of no proven level"),
    ],
)
def test_intervals_are_named_by_the_level_that_they_hold(metric, named):
    assert intervals_of(metric) == named
