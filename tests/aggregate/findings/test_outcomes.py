"""The outcomes say in a word each what the findings are."""

from dataclasses import replace

import pytest

from stages.aggregate.findings.outcomes import Claim, Outcome, Reason, Status
from stages.core.inference.contrasts import Estimate
from tests.aggregate.networks import NO_INTERVALS, evidence, network


def test_accuracy_has_one_outcome_of_the_dataset_in_the_scope_of_its_status():
    (shown,) = evidence(network("a", accuracy=0.78, unseen=0.3), network("b")).outcomes(Claim.ACCURACY)
    assert (shown.network, shown.scope, shown.status) == (None, "classes", Status.SHOWN)
    assert (shown.counter_example.first, shown.counter_example.second) == ("a", "b")
    (here,) = evidence(network("a", accuracy=0.78, unseen=0.3), network("b"), scopes=("images",)).outcomes(
        Claim.ACCURACY
    )
    assert (here.scope, here.status) == ("images", Status.SHOWN_HERE)
    (none,) = evidence(network("a", accuracy=0.78, unseen=0.5), network("b")).outcomes(Claim.ACCURACY)
    assert (none.status, none.n_networks, round(none.detectable, 2)) == (Status.NO_COUNTER_EXAMPLE, 2, 0.01)


def test_why_accuracy_cannot_be_judged():
    for known, reason in (
        (evidence(network("a")), Reason.ONE_ACCURATE_NETWORK),
        (evidence(network("a", accuracy=None)), Reason.NO_HEAD),
        (evidence(network("a"), network("b"), scopes=()), Reason.NO_INTERVAL),
    ):
        assert known.outcomes(Claim.ACCURACY) == [Outcome(None, None, Status.UNKNOWN, reason)]


def test_depth_and_fine_tuning_have_one_of_every_network_and_scope():
    known = evidence(network("a", metric="knn_purity"), network("b", **NO_INTERVALS))
    assert known.outcomes(Claim.DEPTH) == [
        *(Outcome("a", scope, Status.SUPPORTED, step=100) for scope in ("classes", "images")),
        Outcome("b", None, Status.UNKNOWN, Reason.NO_INTERVAL, step=100),
    ]
    assert known.outcomes(Claim.FINE_TUNING)[0].reason is Reason.NO_STEPS
    started = replace(known, networks=[replace(known.networks[0], unmeasured=True), *known.networks[1:]])
    assert started.outcomes(Claim.FINE_TUNING)[0].reason is Reason.NOT_AT_START
    lowered = {"a": {"images": Estimate(-0.2, 0.01, 40)}}
    (outcome,) = evidence(network("a"), changes=lowered).outcomes(Claim.FINE_TUNING)
    assert outcome == Outcome("a", "images", Status.LOWERED, step=100)
    (single,) = evidence(network("a", last_depth=0, **NO_INTERVALS)).outcomes(Claim.DEPTH)
    assert single.reason is Reason.ONE_LAYER


@pytest.mark.parametrize("known", [{}, NO_INTERVALS])
def test_a_network_of_no_use_is_out_of_scope_once_whatever_evidence_there_is(known):
    (outcome,) = evidence(network("a", **known), beaten=["a"]).outcomes(Claim.DEPTH)
    assert outcome == Outcome("a", None, Status.OUT_OF_SCOPE, Reason.NO_LAYER_BEATS_PIXELS, step=100)
    (single,) = evidence(network("a", last_depth=0, **NO_INTERVALS), beaten=["a"]).outcomes(Claim.DEPTH)
    assert (single.status, single.reason) == (Status.UNKNOWN, Reason.ONE_LAYER)


def test_networks_that_say_little_are_out_of_scope_unless_no_other_is_left():
    known = evidence(network("a"), network("b", accuracy=0.2), network("c"), beaten=["c"])
    assert known.out_of_scope == {"b": Reason.LESS_ACCURATE, "c": Reason.NO_LAYER_BEATS_PIXELS}
    assert evidence(network("a"), beaten=["a"]).out_of_scope == {}
