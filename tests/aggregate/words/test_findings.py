"""The findings in sentences, details, and one line each."""

import re
from dataclasses import replace

from stages.aggregate.findings.outcomes import Claim, Depth
from stages.aggregate.words.findings import finding_texts
from stages.aggregate.words.scores import ROWS
from stages.aggregate.words.statuses import status_words
from stages.core.inference.contrasts import Estimate
from stages.core.inference.layer_comparison import Bounds
from tests.aggregate.findings.test_accuracy_rule import evidence as of_accuracies
from tests.aggregate.findings.test_accuracy_rule import judge
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, STEPS, evidence, network

CLASSES, IMAGES = "For other unseen classes and retraining:", "For other images of these classes:"
LOWERED_HERE = {"classes": Estimate(-0.04, 0.05, 6), "images": Estimate(-0.04, 0.01, 40)}
SUPPORTED = Bounds(0.16, 0.37, 0.27)


def details(claim, known):
    return finding_texts([known])[claim].details[known.dataset]


def summaries(*of_datasets):
    """Each claim's summary on the last of the datasets."""
    return [list(finding.summaries.values())[-1] for finding in finding_texts(of_datasets).values()]


def test_findings_say_of_which_rows_they_are():
    for unit_rows, scaling in (([], "none"), (["nmi"], "l2")):
        cautions = [each.caution for each in finding_texts([evidence(network())], unit_rows).values()]
        assert all(ROWS[scaling] in caution for caution in cautions)


def test_three_claims_are_judged_for_every_dataset():
    findings = finding_texts([evidence(network()), evidence(network(dataset="flowers"))]).values()
    assert [finding.claim[:5] for finding in findings] == ["(i) A", "(ii) ", "(iii)"]
    assert all(list(finding.summaries) == list(finding.details) == ["handwriting", "flowers"] for finding in findings)


def test_one_counter_example_shows_the_first_claim():
    known = evidence(network("a", accuracy=0.78, unseen=0.3), network("b"), network("c", accuracy=0.2, unseen=0.2))
    assert summaries(known)[0] == "Shown (other classes): a against b."
    example, outside, *_ = details(Claim.ACCURACY, known)
    assert re.fullmatch(
        r"a is at least as accurate as b \(accuracy \+0.020, at least \+0.0\d\d\) and has the worse g "
        r"\(-0.090, at most -0.0\d\d\)\.",
        example,
    )
    assert outside == "Out of scope: c (less accurate than the best)."


def test_without_a_counter_example_it_is_said_what_would_have_been_seen():
    summary = summaries(evidence(network("a", accuracy=0.78, unseen=0.5), network("b"), scopes=("images",)))[0]
    assert re.fullmatch(r"No counter-example, 2 networks; 0\.\d\d would be seen \(other images\)\.", summary)


def test_the_first_claim_takes_two_networks_and_intervals():
    assert summaries(evidence(network()))[0] == "Cannot be judged (one accurate network)."
    unknown = evidence(network("a"), network("b"), network("c", accuracy=None), scopes=())
    assert summaries(unknown)[0] == "Cannot be judged (no interval with a proven level)."
    assert details(Claim.ACCURACY, unknown)[0] == "Left out, having no fine-tuned head: c."


def test_a_counter_example_of_these_classes_alone_is_called_so():
    wide, sharp = of_accuracies([0.8, 0.78], [0.4, 0.5], error=0.2), of_accuracies([0.8, 0.78], [0.4, 0.5])
    known = replace(evidence(network("a"), network("b")), accuracy=judge(wide, sharp))
    assert summaries(known)[0] == "Shown for these classes and trained networks: a against b."


def test_the_second_claim_counts_networks_and_details_name_the_status_of_each():
    unsure = {"lead_classes_at_least": -0.1, "lead_images_at_most": 0.0, "lead_images_at_least": -0.2}
    rows = network("a"), network("b", **unsure), network("c", **ONE_FOLD)
    known = evidence(*(replace(row, metric="knn_purity") for row in rows))
    assert summaries(known)[1] == (
        "Supported in 1, inconclusive in 1, cannot be judged in 1 of 3 networks at step 100 (other classes, each by "
        "itself)."
    )
    _, second, third = details(Claim.DEPTH, known)
    assert second == (
        f"b, step 100: {CLASSES} lead over the last layer +0.140, inconclusive, compatible with a lead up to 0.270. "
        f"{IMAGES} lead over the last layer +0.150, contradicted, no earlier layer is better than the last."
    )
    assert third.startswith(
        f"c, step 100: {IMAGES} lead over the last layer +0.150, supported, some earlier layer beats the last"
    )
    assert (
        summaries(evidence(network(**NO_INTERVALS)))[1]
        == "Cannot be judged (no interval with a proven level) at step 100."
    )
    one_layer = evidence(network(last_depth=0, **NO_INTERVALS))
    assert (summaries(one_layer)[1], details(Claim.DEPTH, one_layer)) == (
        "Cannot be judged (one layer) at step 100.",
        [],
    )


def test_the_third_claim_says_what_fine_tuning_did():
    tuned = {"a": LOWERED_HERE, "b": {"classes": Estimate(0.2, 0.05, 6)}}
    rows = network("a", accuracy=0.79, accuracy_chance=0.05), network("b")
    known = evidence(*rows, changes=tuned, steps=STEPS)
    assert summaries(known)[2] == (
        "Raised in 1, not distinguishable in 1 of 2 networks at step 100 (other classes, each by itself)."
    )
    first, changed = details(Claim.FINE_TUNING, known)
    assert first == (
        f"a: {CLASSES} not distinguishable, -0.040 [-0.162, +0.082]. {IMAGES} lowered, -0.040 [-0.060, -0.020]. "
        "Accuracy went from chance (0.05) to 0.79."
    )
    assert changed.startswith(f"b: {CLASSES} raised, +0.200 [")
    assert summaries(evidence(network()))[2] == "Cannot be judged (no later step beside the pre-trained network)."
    unknown = evidence(network("a"), changes={"a": {}})
    assert details(Claim.FINE_TUNING, unknown) == ["a: No interval with a proven level (docs/uncertainty.md)."]
    (of_accuracy,) = details(Claim.FINE_TUNING, evidence(network("a", accuracy_chance=0.05), changes={"a": {}}))
    assert of_accuracy.endswith("(docs/uncertainty.md). Accuracy went from chance (0.05) to 0.76.")


def test_a_score_of_no_proven_level_claims_none():
    tuned = {"a": dict.fromkeys(("classes", "images"), Estimate(0.2, 0.05, 6))}
    rows = network("a", metric="ood_auroc_knn"), network("b", metric="ood_auroc_knn")
    assert "95%" not in repr(finding_texts([evidence(*rows, changes=tuned)]))
    assert "95%" in repr(finding_texts([evidence(network("a"), network("b"), changes=tuned)]))


def test_a_network_is_out_of_scope_in_all_words_also_where_no_level_is_proven():
    alone = evidence(network("a", **NO_INTERVALS), beaten=["a"])
    assert summaries(alone)[1] == "Out of scope (no layer is shown to beat chance and raw pixels) at step 100."
    both = evidence(network("a", **NO_INTERVALS), network("b", **NO_INTERVALS), beaten=["b"])
    assert summaries(both)[1] == "Out of scope in 1, cannot be judged in 1 of 2 networks at step 100."
    narrow = {"metric": "knn_purity"} | ONE_FOLD
    rows = network("a", metric="knn_purity"), network("b", **narrow), network("c", **narrow | NO_INTERVALS)
    assert summaries(evidence(*rows, beaten=["b", "c"]))[1] == (
        "Supported in 1, out of scope in 2 of 3 networks at step 100 (other classes, each by itself)."
    )


def test_the_checkpoint_that_is_judged_is_named():
    known = evidence(network("a"), network("b"))
    assert status_words([replace(known, networks=known.networks[:1])], Claim.DEPTH) == (
        "supported (other classes) at step 100"
    )
    unsure = Depth(0, {"classes": Bounds(-0.1, 0.3, 0.1)})
    both = replace(known, networks=[replace(known.networks[0], recommended=unsure), known.networks[1]])
    alone = replace(both, networks=both.networks[:1])
    assert status_words([alone], Claim.DEPTH) == (
        "inconclusive (other classes) at step 0; supported (other classes) at step 100"
    )
    assert status_words([alone], Claim.DEPTH, at=["last"]) == "supported (other classes) at step 100"
    assert status_words([both], Claim.DEPTH) == (
        "supported in 1, inconclusive in 1 of 2 networks at the recommended step (other classes, each by itself); "
        "supported in 2 of 2 networks at step 100 (other classes, each by itself)"
    )
    frozen = evidence(network("a", step=0))
    assert status_words([frozen], Claim.DEPTH) == "supported (other classes)"
    first, last = details(Claim.DEPTH, alone)
    assert first.startswith("a, step 0: For other unseen classes: lead over the last layer +0.100, inconclusive")
    assert last.startswith(f"a, step 100: {CLASSES} lead over the last layer +0.140, supported")
