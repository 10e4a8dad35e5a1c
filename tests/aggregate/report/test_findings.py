import json
import re

import pytest

from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.report.findings import evaluate_findings, read_findings, write_findings
from stages.aggregate.report.fine_tuning_rule import FineTuningFinding
from stages.shared.runtime.errors import UserError
from tests.aggregate.report.networks import NO_INTERVALS, ONE_FOLD, STEPS, evidence, network, single_fold

CLASSES, IMAGES = "On other classes of this domain, training repeated:", "For these classes and trained networks:"


def summaries(*of_datasets):
    """Each claim's summary on the last of the datasets."""
    return [list(finding.summaries.values())[-1] for finding in evaluate_findings(of_datasets, STEPS)]


def test_three_claims_are_judged_for_every_dataset():
    findings = evaluate_findings([evidence(network()), evidence(network(dataset="flowers"))], STEPS)
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
        "Cannot be judged: no interval: its k-means search has too few starts, or nothing was fitted again "
        "(measure.refits). Left out, having no fine-tuned head: c."
    )


def test_the_second_claim_names_the_networks_of_every_status_scope_first():
    unsure = {"lead_classes_at_least": -0.1, "lead_images_at_most": 0.0, "lead_images_at_least": -0.2}
    assert summaries(evidence(network("a"), network("b", **unsure), network("c", **ONE_FOLD)))[1] == (
        f"{CLASSES} supported for a; inconclusive for b. {IMAGES} supported for a and c; contradicted for b."
    )
    assert summaries(evidence(network(**NO_INTERVALS)))[1].startswith("Cannot be judged: no interval: its k-means")
    assert summaries(evidence(network(last_depth=0)))[1] == "Cannot be judged: no network has a second layer."


def test_the_third_claim_says_what_fine_tuning_did():
    tuned = [
        FineTuningFinding("a", Estimate(-0.04, 0.05, 6), Estimate(-0.04, 0.01, 40), (0.05, 0.79)),
        FineTuningFinding("b", Estimate(0.2, 0.05, 6), None),
    ]
    known = evidence(network("a"), network("b"), fine_tuning=tuned)
    assert summaries(known)[2] == (f"{CLASSES} not distinguishable for a; raised for b. {IMAGES} lowered for a.")
    details = evaluate_findings([known], STEPS)[2].details["handwriting"]
    assert details[1].startswith(f"b: {CLASSES} raised, +0.200 [")
    assert details[2] == "Over training, steps 0 to 100: a accuracy 0.500 (step 50) to 0.760, g 0.350 to 0.390."
    assert summaries(evidence(network()))[2] == "Cannot be judged: of no network are step 0 and a later step known."


@pytest.mark.parametrize(("n_folds", "few"), [(1, "One choice of unseen classes"), (2, "Two folds tell too"), (4, "")])
def test_cautions_say_what_few_folds_cannot_tell(n_folds, few):
    for finding in evaluate_findings([evidence(network(n_folds=n_folds))], STEPS):
        assert few in finding.caution
        assert few or "folds tell" not in finding.caution


def test_a_score_of_no_proven_level_claims_none():
    tuned = FineTuningFinding("a", Estimate(0.2, 0.05, 6), Estimate(0.2, 0.05, 6))
    rows = network("a", metric="ood_auroc_knn"), network("b", metric="ood_auroc_knn")
    assert "95 %" not in repr(evaluate_findings([evidence(*rows, fine_tuning=[tuned])], STEPS))
    assert "95 %" in repr(evaluate_findings([evidence(network("a"), network("b"), fine_tuning=[tuned])], STEPS))


def test_no_claim_is_ever_called_not_supported():
    known = evidence(network("a"), network("b", lead_classes_at_most=-0.1, lead_classes_at_least=-0.2))
    assert "not supported" not in repr(evaluate_findings([known], STEPS)).lower()


def test_findings_come_back_as_they_were_written_byte_for_byte(tmp_path):
    folds = [single_fold(str(fold)) for fold in range(4)]
    findings = evaluate_findings([evidence(network("a"), network("é"), fold_rows=folds)], STEPS)
    write_findings(tmp_path / "new" / "a.json", findings)
    write_findings(tmp_path / "b.json", read_findings(tmp_path / "new" / "a.json"))
    assert read_findings(tmp_path / "b.json") == findings
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "new" / "a.json").read_bytes()


def test_missing_damaged_and_old_findings_are_errors(tmp_path):
    path = tmp_path / "findings.json"
    with pytest.raises(
        UserError, match=r"findings\.json: must be a list of findings, found no file; run the aggregate"
    ):
        read_findings(path)
    path.write_text("[")
    with pytest.raises(UserError, match="found it damaged"):
        read_findings(path)
    for entries in ([{"claim": "x"}], {}, ["x"]):
        path.write_text(json.dumps(entries))
        with pytest.raises(UserError, match="written by another version"):
            read_findings(path)
