from dataclasses import replace

import pytest

from stages.aggregate.facts import Baseline, RepresentationRecord, UntrainedRecord
from stages.aggregate.words.page_texts import answer, card_texts
from stages.aggregate.words.recommendation import reason
from stages.core.inference.gain import Gain, Payoff


@pytest.fixture(scope="module")
def cards(study):
    """The card of every use of every network, and its recommendation."""
    return [(card_texts(found), found) for found in study.results.facts.recommendations]


def test_a_card_says_what_the_recommendation_says(cards):
    for card, found in cards:
        chosen = found.recommended
        checkpoint = f"at step {chosen.step}" if chosen.step else "of the pre-trained network"
        assert card["answer"] == f"Layer {chosen.depth + 1} of 5 ({chosen.layer}) {checkpoint}"
        numbers = {name: (value, further) for name, value, further in card["numbers"]}
        score = "NMI" if found.use == "discovery" else "1-NN accuracy"
        interval = f"[{chosen.classes.low:.3f}, {chosen.classes.high:.3f}]"
        assert numbers[score] == (f"{chosen.classes.value:.3f}", interval)
        assert chosen.classes.low < chosen.classes.value <= chosen.value < chosen.classes.high
        assert numbers["last layer"] == (f"{found.last_score:.3f}", "")
        for name, gain in (
            ("gain over the last layer", found.gain_over_last),
            ("over the second-to-last", found.gain_over_before),
        ):
            known = gain.estimate is not None
            expected = (f"{gain.estimate:+.3f}", f"[{gain.low:+.3f}, {gain.high:+.3f}]") if known else ("–", "")
            assert numbers[name] == expected
        assert numbers["parameters"][0] == f"{100 * chosen.parameters_share:.0f}%"
        total = chosen.operations / chosen.operations_share / 1e6
        share, of_all = numbers["multiply-adds"]
        assert share == f"{100 * chosen.operations_share:.0f}%"
        assert float(of_all.split()[1]) == pytest.approx(total, rel=5e-3)


def test_without_a_recommendation_it_gives_the_reason(study):
    unbeaten = Baseline(name="chance", value=0.9)
    found = study.results.facts.recommendations[0].model_copy(update={"unbeaten": unbeaten})
    card = card_texts(found)
    assert card["answer"] == f"No recommendation: {reason(found)}."
    assert card["numbers"] == []


def test_what_is_not_known_of_ties_and_a_doubt_are_told(study):
    fields = {"shortlist": [], "shortlist_scope": None, "doubtful": ["chance"]}
    card = card_texts(study.results.facts.recommendations[0].model_copy(update=fields))
    assert ("ties (at most)", "–", "") in card["numbers"]
    assert card["doubt"].startswith("But it is not shown that")


PAYS, IN_VAIN = (
    Gain(0.165, 0.1, 0.23, 0.3, "classes", True, Payoff.PAYS),
    Gain(at_most=0.012, status=Payoff.DOES_NOT_PAY),
)
GAINED = "+0.17 1-NN accuracy over the last layer, 60% of the parameters."


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"gain_over_last": PAYS}, f"take layer 3 of 5 at step 100: {GAINED}"),
        ({"gain_over_last": IN_VAIN}, "take the last layer at step 100: no earlier one gains more than 0.01."),
        ({"last_depth": 0}, "take the only layer that was measured at step 100."),
        ({"unbeaten": Baseline(name="chance", value=0.9)}, "take none: no layer beats chance"),
    ],
)  # fmt: skip
def test_the_page_answers_in_one_sentence(study, fields, sentence):
    found = study.results.facts.of_use("retrieval")[0]
    layer = found.best.model_copy(update={"depth": 2, "step": 100, "parameters_share": 0.6})
    told = answer([found.model_copy(update={"best": layer, "doubtful": [], "untrained": None} | fields)])
    assert told.startswith(f"For retrieval {sentence}")


def test_the_sentence_and_the_card_are_of_one_checkpoint_where_choosing_pays_before_fine_tuning_alone(study):
    found = study.results.facts.of_use("discovery")[0]
    layer = found.best.model_copy(update={"depth": 1, "step": 0, "parameters_share": 0.08})
    fields = {
        "best": layer.model_copy(update={"depth": 3, "step": 100}), "doubtful": [], "gain_over_last": Gain(0.01),
        "untrained": UntrainedRecord(layer=layer, gain_over_last=PAYS),
    }  # fmt: skip
    found = found.model_copy(update=fields)
    assert answer([found]) == (
        "For discovery layer 4 of 5 at step 100 is best so far, not surely better than the last: +0.01 NMI over the "
        "last layer, 8% of the parameters."
    )
    assert card_texts(found)["answer"].startswith("Layer 4 of 5 (")
    assert any(name == "pre-trained, over its own last" for name, *_ in card_texts(found)["numbers"])
    as_well = found.model_copy(update={"gain_over_last": Gain(-0.01)})
    assert answer([as_well]) == "For discovery the last layer does as well as layer 4 of 5 at step 100."


def joined(found, **fields) -> RepresentationRecord:
    gain = Gain(0.35, 0.29, 0.44, scope="classes", proven=True, status=Payoff.PAYS)
    known = {"layers": ["b", "c"], "join": "last_2", "recipe": "within", "value": 0.7, "layer_value": 0.5}
    known |= {"last_layer": "c", "last_value": 0.4, "gain_over_last": gain}
    known |= {"dataset": found.dataset, "model": found.model, "n_classes": 20, "n_sets": 4, "n_candidates": 9}
    return RepresentationRecord.model_validate(known | fields)


def test_the_page_leads_with_joined_layers_where_they_are_shown_to_be_better(cards):
    found = next(found for _, found in cards if found.use == "retrieval")
    better, layer = joined(found), card_texts(found)["answer"]
    named = "b to c (2 layers), whitened within classes"
    assert answer([found], [better]) == f"For retrieval take {named}: +0.35 MAP@R over the last layer."
    card = card_texts(found, [better])
    assert card["answer"] == named
    assert card["joined"].endswith(f"The best single layer is {layer[0].lower()}{layer[1:]}:")
    undecided = replace(better.gain_over_last, status=Payoff.UNDECIDED)
    for other in ({"value": 0.5}, {"gain_over_last": undecided}, {"model": "other"}):
        each = joined(found, **other)
        assert answer([found], [each]) == answer([found])
        assert card_texts(found, [each])["answer"] == layer
