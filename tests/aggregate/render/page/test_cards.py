import pytest

from stages.aggregate.recommend.schema import Baseline
from stages.aggregate.render.page.cards import make_cards
from stages.aggregate.words.recommendation import reason
from tests.aggregate.recommended import JOINED
from tests.aggregate.render.page.made import LAYERS, MODELS


@pytest.fixture(scope="module")
def cards(study):
    return make_cards(study.results.facts.recommendations, study.results.scores)


def answers(study, cards):
    """The card of every use of every network, and its recommendation."""
    return list(zip([use for own in cards.values() for use in own], study.results.facts.recommendations, strict=True))


def test_every_network_has_an_answer_for_each_use(cards):
    assert list(cards) == [("handwriting", model) for model in MODELS]
    assert [[use["use"] for use in own] for own in cards.values()] == [["retrieval (1-NN)", "discovery (NMI)"]] * 2


def test_a_card_says_what_the_recommendation_says(study, cards):
    for card, found in answers(study, cards):
        chosen = found.recommended
        checkpoint = f"step {chosen.step}" + ("" if chosen.step else " (untrained)")
        assert card["answer"] == f"Layer {chosen.depth + 1} of 5 ({chosen.layer}) at {checkpoint}"
        numbers = {name: (value, further) for name, value, further in card["numbers"]}
        score = "NMI" if found.use == "discovery" else "1-NN accuracy"
        interval = f"[{chosen.classes.low:.3f}, {chosen.classes.high:.3f}]"
        assert numbers[score] == (f"{chosen.classes.value:.3f}", interval)
        assert chosen.classes.low < chosen.classes.value <= chosen.value < chosen.classes.high
        for name, gain in (
            ("gain over the last layer", found.gain_over_last),
            ("over the one before it", found.gain_over_before),
        ):
            known = gain.estimate is not None
            expected = (f"{gain.estimate:+.3f}", f"[{gain.low:+.3f}, {gain.high:+.3f}]") if known else ("–", "")
            assert numbers[name] == expected
        assert numbers["parameters"][0] == f"{100 * chosen.parameters_share:.0f} %"
        total = chosen.operations / chosen.operations_share / 1e6
        share, of_all = numbers["multiply-adds"]
        assert share == f"{100 * chosen.operations_share:.0f} %"
        assert float(of_all.split()[1]) == pytest.approx(total, rel=5e-3)


def test_what_joining_gains_stands_in_the_card_where_it_is_recommended(study):
    found = study.results.facts.recommendations[0]
    assert ("join layers 4 and 7", "+0.050", "") in numbers_of(study, found, pair=JOINED)
    unclear = JOINED.model_copy(update={"recommended": False})
    assert numbers_of(study, found) == numbers_of(study, found, pair=unclear)


def numbers_of(study, found, **fields):
    return only(study, found.model_copy(update=fields))["numbers"]


def only(study, found):
    """The one card of one recommendation."""
    (((card,)),) = make_cards([found], study.results.scores).values()
    return card


def test_its_bars_are_the_scores_and_end_where_the_network_is_cut(study, cards):
    curves = study.results.scores.curves
    for card, found in answers(study, cards):
        own = curves[(curves["model"] == found.model) & (curves["fold"] == "mean") & (curves["metric"] == found.metric)]
        own = own[(own["split"] == "unseen") & (own["step"] == found.recommended.step)].sort_values("depth")
        assert [bar["share"] for bar in card["layers"]] == pytest.approx(
            list(own["value"] / own["value"].max()), abs=1e-4
        )
        taken = found.recommended.depth
        assert [bar["looks"] for bar in card["layers"]] == [*[""] * taken, "taken", *["cut"] * (4 - taken)]
        assert [bar["words"].split("(")[1].split(")")[0] for bar in card["layers"]] == list(LAYERS)


def test_where_lower_is_better_the_lowest_bar_is_the_largest_score(study):
    found = study.results.facts.recommendations[0]
    higher, lower = (
        [bar["share"] for bar in only(study, found.model_copy(update={"better": better}))["layers"]]
        for better in ("higher", "lower")
    )
    assert lower == pytest.approx([min(higher) / share for share in higher], rel=1e-3)
    assert max(lower) == lower[higher.index(min(higher))] == 1.0


def test_without_a_recommendation_it_gives_the_reason(study):
    unbeaten = Baseline(name="chance", value=0.9)
    found = study.results.facts.recommendations[0].model_copy(update={"unbeaten": unbeaten})
    card = only(study, found)
    assert card["answer"] == f"No recommendation: {reason(found)}."
    assert (card["numbers"], card["layers"]) == ([], [])


def test_what_is_not_known_of_ties_and_a_doubt_are_told(study):
    fields = {"shortlist": [], "shortlist_scope": None, "doubtful": True}
    card = only(study, study.results.facts.recommendations[0].model_copy(update=fields))
    assert ("ties (at most)", "–", "") in card["numbers"]
    assert card["doubt"].startswith("But it is not shown that")
