from dataclasses import replace

import pytest

from stages.core.scores.catalogue import SCORES
from stages.core.scores.description import leading_scores


def test_a_new_score_of_a_use_leads_it_where_no_other_was_measured():
    catalogue = SCORES | {"recall_at_1": replace(SCORES["map_at_r"], rank=9)}
    assert leading_scores(["nmi", "recall_at_1"], "nmi", catalogue) == {"retrieval": "recall_at_1", "discovery": "nmi"}
    assert leading_scores(["recall_at_1", "knn_purity"], "nmi", catalogue) == {"retrieval": "knn_purity"}


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
