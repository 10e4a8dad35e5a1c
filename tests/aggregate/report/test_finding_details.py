from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.report import finding_details
from tests.aggregate.report.networks import NO_INTERVALS, ONE_FOLD, STEPS, evidence, network, single_fold


def starting(texts, words):
    """The one of several sentences that starts with these words."""
    (text,) = [text for text in texts if text.startswith(words)]
    return text


def rivals(accuracies, gs):
    return [network(name, accuracy=a, unseen=g) for name, a, g in zip("abcdef", accuracies, gs, strict=False)]


def test_accuracy_and_g_are_told_from_the_most_accurate_network_on():
    rows = network("x", accuracy=None), network("a", accuracy=0.5, accuracy_sd=0.01), network("b", **ONE_FOLD)
    assert finding_details.accuracy(evidence(*rows)) == [
        "Accuracy and g (NMI): b 0.760, 0.390 (other images: [0.370, 0.410]); a 0.500 ± 0.010, 0.390 (other classes: "
        "[0.310, 0.470])."
    ]
    assert finding_details.accuracy(evidence(network())) == []


def test_the_rank_correlation_is_described_over_all_and_over_accurate_networks():
    rows = rivals([0.8, 0.79, 0.78, 0.2], [0.3, 0.4, 0.5, 0.1])
    text = starting(finding_details.accuracy(evidence(*rows)), "Rank correlation")
    assert text == (
        "Rank correlation of accuracy and g, described and no evidence: +0.20 over all 4 networks, -1.00 over the 3 "
        "accurate ones."
    )
    alike = starting(finding_details.accuracy(evidence(*rows[:3])), "Rank correlation")
    assert alike.endswith(": -1.00 over all 3 networks.")
    lower = [replace(row, better="lower") for row in rows[:3]]
    assert ": +1.00 over" in starting(finding_details.accuracy(evidence(*lower)), "Rank correlation")
    assert len(finding_details.accuracy(evidence(*rows[:2]))) == 1


def test_networks_that_beat_nothing_are_named():
    rows = network("a"), network("b", baseline=0.5)
    assert finding_details.accuracy(evidence(*rows))[-1] == "No layer beats raw pixels or chance: b."


def test_a_network_is_told_by_its_layers_in_both_scopes_and_fold_by_fold():
    folds = [single_fold("0", unseen=0.3), single_fold("1", best_depth=5), single_fold("0", dataset="b", unseen=0.9)]
    folds[-1] = replace(folds[-1], model="other")
    (text,) = finding_details.depth(evidence(network(), fold_rows=folds))
    assert text == (
        "a: best at layer 5 of 9 (`blocks.3`), NMI 0.390 (other classes: [0.310, 0.470]); lead over the last +0.140. "
        "On other classes of this domain, training repeated: supported, some earlier layer beats the last by at least "
        "0.030 (95 %). For these classes and trained networks: supported, some earlier layer beats the last by at "
        "least 0.100. Not distinguishable from the best (other classes): layers 4 and 6, the shallowest is "
        "layer 4 (`blocks.2`). Fold by fold the best layer is 5 and 6, with 0.300 to 0.390."
    )


def test_without_intervals_the_reason_is_told():
    (text,) = finding_details.depth(evidence(network(**NO_INTERVALS)))
    assert text == (
        "a: best at layer 5 of 9 (`blocks.3`), NMI 0.390. No interval: its k-means search has too few starts, or "
        "nothing was fitted again (measure.refits)."
    )


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"tied_classes": "4"},
            "On other classes of this domain, training repeated: every other layer is worse (95 %).",
        ),
        (ONE_FOLD, "Not distinguishable from the best (other images): layers 4 and 6, the shallowest is layer 4"),
        ({"tied_classes": "4;5;8", "shallowest_depth": 4}, "Not distinguishable from the best (other classes): layers"),
        ({"tied_classes": None, "tied_images": None}, ""),
        ({"last_depth": 0}, ""),
    ],
)
def test_ties_are_those_of_the_wider_scope(columns, expected):
    (text,) = finding_details.depth(evidence(network(**columns)))
    assert expected in text
    assert bool(expected) == ("istinguishable" in text or "every other" in text)


def test_training_is_told_of_the_mean_over_folds_alone():
    other = STEPS.assign(fold="0", unseen=0.9)
    steps = STEPS.assign(accuracy=np.nan)
    for table in (steps, pd.concat([steps, other])):
        (text,) = finding_details.fine_tuning(evidence(network()), table)
        assert text == "Over training, steps 0 to 100: a g 0.350 to 0.390."
    assert finding_details.fine_tuning(evidence(network()), STEPS[:1]) == []


def test_of_a_single_tested_step_there_is_one_accuracy():
    steps = STEPS.assign(accuracy=[None, None, 0.76])
    (text,) = finding_details.fine_tuning(evidence(network()), steps)
    assert text == "Over training, steps 0 to 100: a accuracy 0.760 (step 100), g 0.350 to 0.390."
