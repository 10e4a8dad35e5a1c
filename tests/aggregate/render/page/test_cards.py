import pytest

from stages.aggregate.recommend.schema import Baseline
from stages.aggregate.render.page.cards import make_cards
from stages.aggregate.words.recommendation import reason
from tests.aggregate.render.page.made import LAYERS, MODELS


@pytest.fixture(scope="module")
def cards(study):
    return make_cards(study.facts.recommendations, study.summary, study.scores)


def test_a_card_says_what_the_recommendation_says(study, cards):
    assert [card.model for card in cards] == MODELS
    for card, found in zip(cards, study.facts.recommendations, strict=True):
        chosen = found.recommended
        assert card.answer == f"Layer {chosen.depth + 1} of 5 ({chosen.layer}), step {chosen.step}"
        numbers = {name: (value, further) for name, value, further in card.numbers}
        assert numbers["NMI, unseen classes"][0] == f"{chosen.value:.3f}"
        assert numbers["parameters saved"][0] == f"{100 * (1 - chosen.parameters_share):.0f} %"
        assert numbers["multiply-adds saved"][0] == f"{100 * (1 - chosen.operations_share):.0f} %"
        total = chosen.operations / chosen.operations_share / 1e6
        assert numbers["multiply-adds saved"][1] == f"{chosen.operations / 1e6:.2f} of {total:.2f} million kept"


def test_its_bars_are_the_scores_and_end_where_the_network_is_cut(study, cards):
    curves = study.scores.curves
    for card, found in zip(cards, study.facts.recommendations, strict=True):
        own = curves[(curves["model"] == card.model) & (curves["fold"] == "mean") & (curves["metric"] == "nmi")]
        own = own[(own["split"] == "unseen") & (own["step"] == found.recommended.step)].sort_values("depth")
        assert [bar.share for bar in card.layers] == pytest.approx(list(own["value"] / own["value"].max()), abs=1e-4)
        taken = found.recommended.depth
        assert [bar.looks for bar in card.layers] == ["", *[""] * (taken - 1), "taken", *["cut"] * (4 - taken)][-5:]
        assert [bar.words.split("(")[1].split(")")[0] for bar in card.layers] == list(LAYERS)


def test_without_a_recommendation_it_gives_the_reason(study):
    unbeaten = Baseline(name="chance", value=0.9)
    found = study.facts.recommendations[0].model_copy(update={"unbeaten": unbeaten})
    (card,) = make_cards([found], study.summary, study.scores)
    assert card.answer == f"No recommendation: {reason(found)}."
    assert (card.numbers, card.layers) == ([], [])


def test_ties_that_are_not_known_are_not_told(study):
    found = study.facts.recommendations[0].model_copy(update={"shortlist": [], "shortlist_scope": None})
    (card,) = make_cards([found], study.summary, study.scores)
    assert card.ties == "Which layers tie with it is not known."
