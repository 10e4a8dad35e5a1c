import pytest
from scipy.stats import nct
from scipy.stats import t as student

from stages.aggregate.findings.collect import judge_accuracy, judge_scope, why_out_of_scope
from stages.aggregate.findings.outcomes import NetworkPair, Reason, Status
from stages.core.inference.contrasts import Estimate

DF = 60


def estimate(value, error=0.005):
    return Estimate(value, error, DF)


def evidence(accuracies, gs, *, error=0.005, pixels=0.2):
    """Networks a, b, ... with these accuracies and g."""
    names, best = "abcdef"[: len(gs)], max(accuracies)
    networks = {
        name: (None if value == best else estimate(value - best), estimate(value - pixels))
        for name, value in zip(names, accuracies, strict=True)
    }
    pairs = [
        NetworkPair(names[i], names[j], estimate(accuracies[i] - accuracies[j]), estimate(gs[i] - gs[j], error))
        for i in range(len(gs))
        for j in range(i)
    ]
    return networks, pairs


def judge(classes=None, images=None, margin=0.05):
    results = {}
    for scope, known in {"classes": classes, "images": images}.items():
        if known:
            reasons = {name: why_out_of_scope(*differences, margin=margin) for name, differences in known[0].items()}
            results[scope] = judge_scope(reasons, known[1])
    return judge_accuracy(results)


def test_one_counter_example_shows_the_claim_whatever_other_pairs_do():
    found = judge(evidence([0.8, 0.78, 0.79], [0.4, 0.5, 0.3]))
    assert found.status == Status.SHOWN
    assert [(pair.first, pair.second) for pair in found.results["classes"].counter_examples] == [("c", "b"), ("a", "b")]
    assert found.results["classes"].counter_examples[0].g.value == pytest.approx(-0.2)


def test_agreeing_pairs_are_no_evidence_against():
    found = judge(evidence([0.8, 0.78, 0.76], [0.5, 0.4, 0.3]))
    assert found.status == Status.NO_COUNTER_EXAMPLE
    assert len(found.results["classes"].in_scope) == 3


def test_halves_alone_show_it_for_these_classes():
    wide = evidence([0.8, 0.78], [0.4, 0.5], error=0.2)
    sharp = evidence([0.8, 0.78], [0.4, 0.5])
    assert judge(wide, sharp).status == Status.SHOWN_HERE
    assert judge(images=sharp).status == Status.SHOWN_HERE
    assert judge(wide, wide).status == Status.NO_COUNTER_EXAMPLE


def test_the_margin_decides_which_networks_are_accurate():
    given = evidence([0.8, 0.7], [0.4, 0.5])
    found = judge(given)
    assert found.status == Status.UNKNOWN
    assert found.results["classes"].out_of_scope == {"b": Reason.LESS_ACCURATE}
    assert judge(given, None, margin=0.2).status == Status.SHOWN


def test_a_network_must_surely_be_within_the_margin_and_above_pixels():
    bound = 0.005 * student.ppf(0.95, DF)
    inside, outside = 0.8 - 0.05 + bound, 0.8 - 0.05 + 0.9 * bound
    assert judge(evidence([0.8, inside], [0.4, 0.5])).results["classes"].in_scope == ("a", "b")
    assert judge(evidence([0.8, outside], [0.4, 0.5])).results["classes"].in_scope == ("a",)
    found = judge(evidence([0.8, 0.8], [0.4, 0.5], pixels=0.8 - 0.9 * bound))
    assert set(found.results["classes"].out_of_scope.values()) == {Reason.PIXELS_AS_ACCURATE}
    assert found.status == Status.UNKNOWN


def test_a_less_accurate_network_with_a_worse_g_is_none():
    found = judge(evidence([0.8, 0.77], [0.5, 0.4]))
    assert found.results["classes"].detectable is not None
    assert not found.results["classes"].counter_examples
    equal = judge(evidence([0.8, 0.8], [0.5, 0.4], error=0.001))  # tolerance 0.01 against an error of 0.005
    assert equal.results["classes"].detectable is None


def test_bounds_are_bonferronis_over_ordered_pairs():
    two, four = (judge(evidence([0.8] * n, [0.5] * n)).results["classes"] for n in (2, 4))
    assert two.level == pytest.approx(1 - 0.05 / 2)
    assert four.level == pytest.approx(1 - 0.05 / 12)


def test_a_pair_that_a_single_bound_would_show_is_not_shown_by_bonferronis():
    between = (student.ppf(0.95, DF) + student.ppf(0.975, DF)) / 2
    g = judge(evidence([0.8, 0.78], [0.5 - 0.01 * between, 0.5], error=0.01))
    assert g.status == Status.NO_COUNTER_EXAMPLE
    shown = judge(evidence([0.8, 0.78], [0.5 - 0.01 * student.ppf(0.98, DF), 0.5], error=0.01))
    assert shown.status == Status.SHOWN
    less_accurate = evidence([0.8 - 0.01 + 0.005 * between, 0.8], [0.4, 0.5])  # by less than is tolerated, perhaps
    assert not judge(less_accurate).results["classes"].counter_examples  # the other way round alone


def test_the_scope_that_decides_has_networks_to_compare():
    one, two = evidence([0.8, 0.7], [0.4, 0.5]), evidence([0.8, 0.78], [0.5, 0.4])
    deciding = [judge(*scopes).deciding[0] for scopes in ((one, two), (two, one), (two, two), (one, one))]
    assert deciding == ["images", "classes", "classes", "classes"]


def test_what_would_have_been_seen_is_the_least_sensitive_pair():
    found = judge(evidence([0.8, 0.78], [0.5, 0.5], error=0.02)).results["classes"]
    assert nct.sf(student.ppf(0.975, DF), DF, found.detectable / 0.02) == pytest.approx(0.8)
