import pytest

from stages.aggregate.recommend.candidates import LEADING, leading_scores
from stages.measure.metrics import SCORES


def test_every_leading_score_is_one_of_its_use_and_ranks_layers():
    for use, metrics in LEADING.items():
        assert {SCORES[metric].use for metric in metrics} == {use}
        assert all(SCORES[metric].better != "neither" for metric in metrics)


@pytest.mark.parametrize(
    ("measured", "main", "expected"),
    [
        (
            ["nmi", "ami", "nn1_accuracy", "knn_purity", "probe_accuracy", "rankme"],
            "nmi",
            {"classifier": "probe_accuracy", "retrieval": "nn1_accuracy", "discovery": "nmi"},
        ),
        (["nmi", "ami", "map_at_r"], "ami", {"retrieval": "map_at_r", "discovery": "ami"}),  # its own use
        (["knn_purity", "map_at_r"], "knn_purity", {"retrieval": "knn_purity"}),
        (["few_shot_accuracy_1", "ood_fpr95_knn"], "ood_fpr95_knn", {  # not in the list of any use
            "classifier": "few_shot_accuracy_1", "detection": "ood_fpr95_knn"
        }),
        (["nmi", "silhouette"], "ami", {"discovery": "nmi"}),  # of one curve the main score may have no best layer
    ],
)  # fmt: skip
def test_the_main_score_leads_its_own_use_and_else_the_first_that_was_measured(measured, main, expected):
    assert leading_scores(measured, main, SCORES) == expected
