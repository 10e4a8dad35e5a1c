import pytest

from stages.aggregate.recommend.schema import Baseline
from stages.aggregate.render.page.cards import make_cards
from stages.aggregate.words.recommendation import reason
from tests.aggregate.recommended import JOINED, SCALED
from tests.aggregate.render.page.made import LAYERS, MODELS


@pytest.fixture(scope="module")
def cards(study):
    return make_cards(study.results.facts.recommendations, study.results.scores)


def answers(study, cards):
    """The card of every use of every network, and its recommendation."""
    return list(zip([use for card in cards for use in card.uses], study.results.facts.recommendations, strict=True))


def test_every_network_has_a_card_with_an_answer_for_each_use(study, cards):
    assert [(card.dataset, card.model) for card in cards] == [("handwriting", model) for model in MODELS]
    assert [[use.use for use in card.uses] for card in cards] == [["retrieval (1-NN)", "discovery (NMI)"]] * 2


def test_a_card_says_what_the_recommendation_says(study, cards):
    for card, found in answers(study, cards):
        chosen = found.recommended
        checkpoint = f"step {chosen.step}" + ("" if chosen.step else " (not fine-tuned)")
        assert card.answer == f"Layer {chosen.depth + 1} of 5 ({chosen.layer}) at {checkpoint}"
        numbers = {name: (value, further) for name, value, further in card.numbers}
        score = "NMI" if found.use == "discovery" else "1-NN accuracy"
        interval = f"[{chosen.classes.low:.3f}, {chosen.classes.high:.3f}]"
        assert numbers[score] == (f"{chosen.classes.value:.3f}", interval)
        assert chosen.classes.low < chosen.classes.value <= chosen.value < chosen.classes.high
        assert float(numbers["last layer"][0]) == pytest.approx(-found.loss("last_layer"), abs=5e-4)
        assert float(numbers["layer before it"][0]) == pytest.approx(-found.loss("penultimate"), abs=5e-4)
        assert numbers["parameters saved"][0] == f"{100 * (1 - chosen.parameters_share):.0f} %"
        assert numbers["multiply-adds saved"][0] == f"{100 * (1 - chosen.operations_share):.0f} %"
        total = chosen.operations / chosen.operations_share / 1e6
        assert numbers["multiply-adds saved"][1] == f"{chosen.operations / 1e6:.2f} of {total:.2f} million kept"


def test_what_scaling_and_joining_gain_stands_in_the_card_where_they_are_recommended(study):
    found = study.results.facts.recommendations[0]
    (card,) = make_cards([found.model_copy(update={"scaling": SCALED, "pair": JOINED})], study.results.scores)
    numbers = card.uses[0].numbers
    assert ("scale rows to length 1", "+0.020", "") in numbers
    assert ("join layers 4 and 7", "+0.050", "over the best single one; blocks.2 and blocks.5") in numbers
    unclear = {"scaling": SCALED.model_copy(update={"recommended": "none"})}
    unclear["pair"] = JOINED.model_copy(update={"recommended": False})
    (plain,), (same,) = (make_cards([each], study.results.scores) for each in (found, found.model_copy(update=unclear)))
    assert plain.uses[0].numbers == same.uses[0].numbers


def test_its_bars_are_the_scores_and_end_where_the_network_is_cut(study, cards):
    curves = study.results.scores.curves
    for card, found in answers(study, cards):
        own = curves[(curves["model"] == found.model) & (curves["fold"] == "mean") & (curves["metric"] == found.metric)]
        own = own[(own["split"] == "unseen") & (own["step"] == found.recommended.step)].sort_values("depth")
        assert [bar.share for bar in card.layers] == pytest.approx(list(own["value"] / own["value"].max()), abs=1e-4)
        taken = found.recommended.depth
        assert [bar.looks for bar in card.layers] == [*[""] * taken, "taken", *["cut"] * (4 - taken)]
        assert [bar.words.split("(")[1].split(")")[0] for bar in card.layers] == list(LAYERS)


def test_without_a_recommendation_it_gives_the_reason(study):
    unbeaten = Baseline(name="chance", value=0.9)
    found = study.results.facts.recommendations[0].model_copy(update={"unbeaten": unbeaten})
    (card,) = make_cards([found], study.results.scores)
    assert card.uses[0].answer == f"No recommendation: {reason(found)}."
    assert (card.uses[0].numbers, card.uses[0].layers) == ([], [])


def test_what_is_not_known_of_ties_and_a_doubt_are_told(study):
    fields = {"shortlist": [], "shortlist_scope": None, "doubtful": True}
    found = study.results.facts.recommendations[0].model_copy(update=fields)
    (card,) = make_cards([found], study.results.scores)
    assert card.uses[0].ties.startswith("Which layers tie with it is not known. But it is not shown that")
