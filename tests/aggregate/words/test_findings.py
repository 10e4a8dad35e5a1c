"""The findings in sentences, details, and one line each."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.findings.facts import DepthFinding, FineTuningFinding
from stages.aggregate.findings.status import Claim
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.words.findings import (
    ABOUT,
    BRIEF_TITLES,
    TITLES,
    accuracy_sentences,
    depth_sentences,
    finding_texts,
    fine_tuning_sentences,
)
from tests.aggregate.findings.test_accuracy_rule import evidence as of_accuracies
from tests.aggregate.findings.test_accuracy_rule import judge
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, STEPS, evidence, network

CLASSES, IMAGES = "On other classes of this domain, training repeated:", "For these classes and trained networks:"
LOWERED_HERE = {"classes": Estimate(-0.04, 0.05, 6), "images": Estimate(-0.04, 0.01, 40)}
SUPPORTED, CONTRADICTED, INCONCLUSIVE = Lead(0.16, 0.37), Lead(-0.2, -0.02), Lead(-0.1, 0.3)


def test_every_claim_has_words():
    assert set(TITLES) == set(BRIEF_TITLES) == set(ABOUT) == set(Claim)


def details(claim, known):
    return finding_texts([known])[claim].details[known.dataset]


def summaries(*of_datasets):
    """Each claim's summary on the last of the datasets."""
    return [list(finding.summaries.values())[-1] for finding in finding_texts(of_datasets).values()]


def test_three_claims_are_judged_for_every_dataset():
    findings = finding_texts([evidence(network()), evidence(network(dataset="flowers"))]).values()
    assert [finding.claim[:5] for finding in findings] == ["(i) H", "(ii) ", "(iii)"]
    assert all(list(finding.summaries) == list(finding.details) == ["handwriting", "flowers"] for finding in findings)


def test_one_counter_example_shows_the_first_claim():
    known = evidence(network("a", accuracy=0.78, unseen=0.3), network("b"), network("c", accuracy=0.2, unseen=0.2))
    summary = summaries(known)[0]
    assert summary.startswith(f"{CLASSES} shown. a is at least as accurate as b (accuracy +0.020")
    assert summary.endswith("Out of scope: c (less accurate than the best).")


def test_without_a_counter_example_it_is_said_what_would_have_been_seen():
    summary = summaries(evidence(network("a", accuracy=0.78, unseen=0.5), network("b"), scopes=("images",)))[0]
    expected = rf"{IMAGES} no counter-example among 2 accurate networks; a difference of 0\.\d\d in g would .* seen\."
    assert re.fullmatch(expected, summary)


def test_the_first_claim_takes_two_networks_and_intervals():
    assert summaries(evidence(network()))[0] == "Cannot be judged: fewer than two accurate networks."
    unknown = evidence(network("a"), network("b"), network("c", accuracy=None), scopes=())
    assert summaries(unknown)[0] == (
        "Cannot be judged: no interval of a proven level (docs/uncertainty.md). Left out, having no fine-tuned head: c."
    )


def test_the_second_claim_names_the_networks_of_every_status_scope_first():
    unsure = {"lead_classes_at_least": -0.1, "lead_images_at_most": 0.0, "lead_images_at_least": -0.2}
    assert summaries(evidence(network("a"), network("b", **unsure), network("c", **ONE_FOLD)))[1] == (
        f"{CLASSES} supported for a; inconclusive for b. {IMAGES} supported for a and c; contradicted for b."
    )
    assert summaries(evidence(network(**NO_INTERVALS)))[1].startswith("Cannot be judged: no interval of a proven")
    assert summaries(evidence(network(last_depth=0)))[1] == "Cannot be judged: no network has a second layer."


def test_the_third_claim_says_what_fine_tuning_did():
    tuned = [
        FineTuningFinding("a", LOWERED_HERE, (0.05, 0.79)),
        FineTuningFinding("b", {"classes": Estimate(0.2, 0.05, 6)}),
    ]
    known = evidence(network("a"), network("b"), fine_tuning=tuned, steps=STEPS)
    assert summaries(known)[2] == (f"{CLASSES} not distinguishable for a; raised for b. {IMAGES} lowered for a.")
    _, changed, course = details(Claim.FINE_TUNING, known)
    assert changed.startswith(f"b: {CLASSES} raised, +0.200 [")
    assert course == "Over training, steps 0 to 100: a accuracy 0.500 (step 50) to 0.760, g 0.350 to 0.390."
    assert summaries(evidence(network()))[2] == "Cannot be judged: of no network are step 0 and a later step known."


@pytest.mark.parametrize(("n_folds", "few"), [(1, "One choice of unseen classes"), (2, "Two folds tell too"), (4, "")])
def test_cautions_say_what_few_folds_cannot_tell(n_folds, few):
    for finding in finding_texts([evidence(network(n_folds=n_folds))]).values():
        assert few in finding.caution
        assert few or "folds tell" not in finding.caution


def test_a_score_of_no_proven_level_claims_none():
    tuned = FineTuningFinding("a", dict.fromkeys(("classes", "images"), Estimate(0.2, 0.05, 6)))
    rows = network("a", metric="ood_auroc_knn"), network("b", metric="ood_auroc_knn")
    assert "95 %" not in repr(finding_texts([evidence(*rows, fine_tuning=[tuned])]))
    assert "95 %" in repr(finding_texts([evidence(network("a"), network("b"), fine_tuning=[tuned])]))


def test_no_claim_is_ever_called_not_supported():
    known = evidence(network("a"), network("b", lead_classes_at_most=-0.1, lead_classes_at_least=-0.2))
    assert "not supported" not in repr(finding_texts([known])).lower()


def test_a_counter_example_is_told_with_its_bounds():
    shown = accuracy_sentences(judge(of_accuracies([0.8, 0.78, 0.5], [0.4, 0.5, 0.6])))
    assert shown == [
        f"{CLASSES} shown. a is at least as accurate as b (accuracy +0.020, at least +0.010) and has the worse g "
        "(-0.100, at most -0.090).",
        "Out of scope: c (less accurate than the best).",
    ]


def test_a_counter_example_of_these_classes_alone_leaves_other_classes_open():
    wide, sharp = of_accuracies([0.8, 0.78], [0.4, 0.5], error=0.2), of_accuracies([0.8, 0.78], [0.4, 0.5])
    here = accuracy_sentences(judge(wide, sharp))
    assert here[0].startswith(f"{IMAGES} shown. a is at least as accurate as b")
    assert here[1:] == [f"{CLASSES} open."]
    assert len(accuracy_sentences(judge(images=sharp))) == 1


def test_no_counter_example_comes_with_what_would_have_been_seen():
    assert accuracy_sentences(judge(of_accuracies([0.8, 0.78], [0.5, 0.5], error=0.02))) == [
        f"{CLASSES} no counter-example among 2 accurate networks; a difference of 0.06 in g would have been seen."
    ]
    for known in (judge(of_accuracies([0.8], [0.5])), judge()):
        assert accuracy_sentences(known) == ["Cannot be judged: fewer than two accurate networks."]


def test_depth_is_told_scope_by_scope():
    def sentences(metric="knn_purity", in_scope=True, **leads):
        return depth_sentences(DepthFinding("net", leads, in_scope), metric)

    assert sentences(classes=SUPPORTED, images=CONTRADICTED) == (
        f"{CLASSES} supported, some earlier layer beats the last by at least 0.160 (95 %). "
        f"{IMAGES} contradicted, the last layer is the best (95 %)."
    )
    assert sentences("ari", classes=INCONCLUSIVE) == f"{CLASSES} inconclusive, compatible with a lead of up to 0.300."
    assert sentences("nmi", images=CONTRADICTED) == f"{IMAGES} contradicted, the last layer is the best."
    assert sentences() == ""
    assert sentences(classes=SUPPORTED, in_scope=False).startswith("Out of scope, since no layer")


def test_networks_are_named_by_status_and_once_where_out_of_scope():
    rows = network("a"), network("b"), network("c")
    judged = [
        DepthFinding("a", {"classes": SUPPORTED, "images": SUPPORTED}, True),
        DepthFinding("b", {"images": SUPPORTED}, True),
        DepthFinding("c", {"classes": SUPPORTED}, False),
    ]
    assert summaries(replace(evidence(*rows), depth=judged))[1] == (
        f"{CLASSES} supported for a. {IMAGES} supported for a and b. "
        "Out of scope, since no layer is shown to beat chance and raw pixels: c."
    )


def test_fine_tuning_is_told_in_both_scopes_beside_accuracy():
    found = FineTuningFinding("net", LOWERED_HERE, (0.05, 0.79))
    assert fine_tuning_sentences(found, "knn_purity") == (
        f"net: {CLASSES} not distinguishable, -0.040 [-0.162, +0.082] (95 %). {IMAGES} lowered, -0.040 "
        "[-0.060, -0.020] (95 %). Accuracy went from chance (0.05) to 0.79."
    )
    assert fine_tuning_sentences(FineTuningFinding("net", {}), "nmi") == "net: Not compared."


def starting(texts, words):
    """The one of several sentences that starts with these words."""
    (text,) = [text for text in texts if text.startswith(words)]
    return text


def rivals(accuracies, gs):
    return [network(name, accuracy=a, unseen=g) for name, a, g in zip("abcdef", accuracies, gs, strict=False)]


def test_the_rank_correlation_is_described_over_all_and_over_accurate_networks():
    rows = rivals([0.8, 0.79, 0.78, 0.2], [0.3, 0.4, 0.5, 0.1])
    text = starting(details(Claim.ACCURACY, evidence(*rows)), "Rank correlation")
    assert text == (
        "Rank correlation of accuracy and g, described and no evidence: +0.20 over all 4 networks, -1.00 over the 3 "
        "accurate ones."
    )
    alike = starting(details(Claim.ACCURACY, evidence(*rows[:3])), "Rank correlation")
    assert alike.endswith(": -1.00 over all 3 networks.")
    lower = [replace(row, better="lower") for row in rows[:3]]
    assert ": +1.00 over" in starting(details(Claim.ACCURACY, evidence(*lower)), "Rank correlation")
    assert details(Claim.ACCURACY, evidence(*rows[:2])) == []


def test_networks_that_beat_nothing_are_named():
    rows = network("a"), network("b", baseline=0.5)
    assert details(Claim.ACCURACY, evidence(*rows))[-1] == "No layer beats raw pixels or chance: b."


def test_a_network_s_lead_is_told_in_both_scopes():
    (text,) = details(Claim.DEPTH, evidence(network()))
    assert text == (
        "a: lead over the last layer +0.140. On other classes of this domain, training repeated: supported, some "
        "earlier layer beats the last by at least 0.030 (95 %). For these classes and trained networks: supported, "
        "some earlier layer beats the last by at least 0.100."
    )
    (text,) = details(Claim.DEPTH, evidence(network(**NO_INTERVALS)))
    assert text.startswith("a: No interval of a proven level")


def test_training_is_told_of_the_mean_over_folds_alone():
    other = STEPS.assign(fold="0", unseen=0.9)
    steps = STEPS.assign(accuracy=np.nan)
    for table in (steps, pd.concat([steps, other])):
        (text,) = details(Claim.FINE_TUNING, evidence(network(), steps=table))
        assert text == "Over training, steps 0 to 100: a g 0.350 to 0.390."
    assert details(Claim.FINE_TUNING, evidence(network(), steps=STEPS[:1])) == []


def test_of_a_single_tested_step_there_is_one_accuracy():
    steps = STEPS.assign(accuracy=[None, None, 0.76])
    (text,) = details(Claim.FINE_TUNING, evidence(network(), steps=steps))
    assert text == "Over training, steps 0 to 100: a accuracy 0.760 (step 100), g 0.350 to 0.390."
