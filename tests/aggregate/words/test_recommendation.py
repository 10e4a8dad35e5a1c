from dataclasses import replace

import pytest

from stages.aggregate.facts import Missing, RegretRecord, ScopeRecord
from stages.aggregate.recommend.criteria import CRITERIA
from stages.aggregate.words.recommendation import (
    CRITERION_WORDS,
    LACKING,
    brief_ties,
    caveat,
    explain_brackets,
    lost,
    notes,
    payoff,
    reason,
    scored_as,
    sentences,
    use_cells,
)
from stages.aggregate.words.verdict import brief_fine_tuning, brief_untrained, headline
from stages.core.inference.gain import Payoff
from tests.aggregate.recommended import (
    FOLDS_ALONE,
    LEADS,
    NONE,
    NOT_WORTH_IT,
    OF_LAST,
    OVER_LAST,
    RECOMMENDATION,
    SHORTLIST,
    TWO_FOLDS,
    UNDECIDED,
    UNTRAINED,
    every_use,
    layer,
    recommendation,
    useless,
)


def test_the_sentences_name_the_layer_what_it_takes_whether_choosing_pays_and_what_ties():
    assert sentences(RECOMMENDATION) == (
        "discovery (NMI): layer 5 of 9 (`blocks.3`, NMI 0.388 [0.310, 0.470]) at step 100, with 50% of the parameters "
        "and 40% of the multiply-adds. Choosing pays: +0.140 [+0.030, +0.250] over the last layer (0.240) and "
        "+0.080 [-0.020, +0.170] over the second-to-last. Not distinguishable (other classes), with the most that each "
        "may fall short (the recommended one, 0.055): layers 4 (`blocks.2`, 0.051) and 6 (`blocks.4`, 0.034). "
        "What fine-tuning to step 100 did to the best score: raised, +0.090 [+0.020, +0.160] (other classes); to the "
        "last layer's: lowered, -0.050 [-0.080, -0.020] (other classes). Pre-trained network: layer 3 of 9 "
        "(`blocks.1`), +0.210 [+0.120, +0.300] over its own last."
    )


def test_the_uses_whose_scores_are_of_scaled_rows_are_named():
    found = [recommendation(use="retrieval", normalize="l2"), recommendation(normalize="l2")]
    assert (scored_as(found), scored_as([RECOMMENDATION])) == ("Scores use L2-normalized embeddings.", "")
    assert scored_as([recommendation(use="classifier"), *found]) == (
        "Retrieval and discovery use L2-normalized embeddings."
    )
    groups = scored_as([recommendation(normalize="l2", neighbours="other_groups")])
    assert groups == "Scores use L2-normalized embeddings. Neighbours come only from different groups."


GAINED = "+0.140 [+0.030, +0.250]"


@pytest.mark.parametrize(
    ("gain", "cell", "told"),
    [
        (
            OVER_LAST,
            GAINED,
            f"Choosing pays: {GAINED} over the last layer (0.240) and +0.080 [-0.020, +0.170] over the sec",
        ),
        (
            UNDECIDED,
            "+0.140 [-0.010, +0.250]",
            "Whether choosing pays is undecided (at most +0.270): +0.140 [-0.010, +0.250] over the last layer (0.240) ",
        ),
        (
            FOLDS_ALONE,
            GAINED,
            f"Whether choosing pays is undecided (not proven): {GAINED} over the last layer (0.240) and ",
        ),
        (
            TWO_FOLDS,
            "+0.140 (not proven)",
            "is undecided (not proven): +0.140 (not proven) over the last layer (0.240) and ",
        ),
        (OF_LAST, "–", "Whether choosing pays is undecided (at most +0.018): +0.080 [-0.020, +0.170] over the sec"),
        (
            NOT_WORTH_IT,
            "–",
            "Choosing does not pay: no earlier layer is shown to be better than the last (at most +0.018). There is ",
        ),
        (NONE, "–", "Whether choosing pays is undecided: +0.080 "),
    ],
)
def test_whether_choosing_pays_is_told_with_what_it_gains(gain, cell, told):
    found = recommendation(gain_over_last=gain)
    assert use_cells(found)["gain over last"] == cell
    assert told in sentences(found)
    unknown = recommendation(gain_over_last=NONE, gain_over_before=NONE)
    assert use_cells(unknown)["over second-to-last"] == "–"
    assert "Whether choosing pays is undecided. " in sentences(unknown)


def test_an_undecided_gain_is_told_with_the_gain_that_would_be_shown():
    small = replace(UNDECIDED, estimate=-0.002, detectable=0.116)
    assert payoff(recommendation(gain_over_last=small)).startswith(
        "The last layer does as well (at most +0.270; 20 classes show a gain of about 0.12): -0.002 ["
    )
    of_images = replace(small, estimate=0.01, scope="images")
    assert payoff(recommendation(gain_over_last=of_images)).startswith(
        "Whether choosing pays is undecided (at most +0.270; these images show a gain of about 0.12): +0.010 ["
    )
    assert "does as well" not in payoff(recommendation(gain_over_last=replace(small, status=Payoff.PAYS)))


def test_the_network_before_fine_tuning_has_an_answer_of_its_own():
    itself = UNTRAINED.model_copy(update={"gain_over_last": NOT_WORTH_IT})
    found = [recommendation(use="retrieval"), recommendation(untrained=itself), recommendation(untrained=None)]
    assert (
        brief_untrained(found) == "Pre-trained network, over its own last layer: retrieval 3/9 +0.210, discovery 3/9."
    )
    assert brief_untrained(found[2:]) == ""
    assert sentences(found[1]).endswith(" Pre-trained network: layer 3 of 9 (`blocks.1`).")


def test_a_score_of_which_less_is_better_is_lowered_where_it_gets_better():
    found = recommendation(better="lower", metric="collapse", use="geometry")
    assert (
        "did to the best score (lower is better): lowered, -0.090 [-0.160, -0.020] (other classes, no proven level); "
        "to the last layer's: raised, +0.050 [+0.020, +0.080] (" in sentences(found)
    )
    assert brief_fine_tuning([RECOMMENDATION, found]) == (
        "Fine-tuning: discovery +0.09, geometry (lower is better) -0.09"
    )


def test_ties_are_told_as_far_as_they_are_known():
    assert brief_ties(RECOMMENDATION) == "4 (-0.05), 6"
    four = [*SHORTLIST, layer(6, "blocks.5", 0.3), layer(7, "blocks.6", 0.3)]
    assert brief_ties(recommendation(shortlist=four, loss_at_most=None)) == "4, 6-8"
    five = [layer(depth, "x", 0.3, loss_at_most=loss) for depth, loss in ((1, 0.2), (2, 0.06), (3, 0.05), (5, 0.01))]
    assert brief_ties(recommendation(shortlist=five)) == "2, 3, 4 (-0.05), 6"  # 6 costs more than the one to take
    assert brief_ties(recommendation(shortlist=five, loss_at_most=0.04)) == "2-4, 6"
    unbounded = [each.model_copy(update={"loss_at_most": None}) for each in SHORTLIST]
    assert brief_ties(recommendation(shortlist=unbounded)) == "4, 6"
    told = sentences(recommendation(shortlist=unbounded, loss_at_most=None))
    assert "Not distinguishable (other classes): layers 4 (`blocks.2`) and 6 (`blocks.4`)." in told
    next_to_it = [each.model_copy(update={"loss_at_most": None}) for each in four[2:]]
    assert brief_ties(recommendation(shortlist=next_to_it)) == "6-8"
    assert brief_ties(recommendation(shortlist=SHORTLIST[1:2])) == "none"
    assert "No other layer ties with it (other classes)." in sentences(recommendation(shortlist=SHORTLIST[1:2]))
    unproven = recommendation(shortlist=SHORTLIST[1:2], shortlist_scope="images")
    assert brief_ties(unproven) == "–"
    assert "Ties are not proven (other images, no proven level)." in sentences(unproven)
    unknown = recommendation(shortlist=[], shortlist_scope=None)
    assert brief_ties(unknown) == "–"
    assert "Which layers tie with it is not known." in sentences(unknown)


def test_a_doubt_follows_the_choice():
    doubtful = recommendation(doubtful=["chance", "raw_pixels"], pixels=0.3)
    but = "it is not shown that a layer beats chance (0.010) and raw pixels (0.300)"
    assert f" of the multiply-adds. But {but}. Choosing pays" in sentences(doubtful)
    assert (caveat(doubtful), caveat(RECOMMENDATION)) == (but, None)
    of_pixels = recommendation(doubtful=["raw_pixels"])
    assert caveat(of_pixels) == "it is not shown that a layer beats raw pixels (0.100)"
    assert caveat(recommendation(doubtful=None, pixels=None)) == "it is untested if a layer beats chance (0.010)"


def test_an_interval_is_that_of_the_wider_scope_that_is_known_and_so_explained():
    assert use_cells(RECOMMENDATION)["score"] == "0.388 [0.310, 0.470]"
    assert explain_brackets(every_use()) == (
        "[ ]: 95% for other unseen classes and retraining (unproven: OOD detection)."
    )
    unknown = ScopeRecord(value=None, low=None, high=None, lead=None, lead_at_least=None, lead_at_most=None)
    for classes in (None, unknown):
        images = recommendation(use="classifier", metric="probe_accuracy", classes=classes, gain_over_last=NONE)
        assert use_cells(images)["score"] == "0.389 [0.370, 0.410]"
        assert explain_brackets([images]) == (
            "[ ]: for other images of these classes (unproven, so undecided: classifier)."
        )
    both = explain_brackets([RECOMMENDATION, images])
    assert both == (
        "[ ]: 95% for other unseen classes and retraining; classifier: for other images of these classes "
        "(unproven, so undecided: classifier)."
    )
    none = recommendation(classes=None, images=None, gain_over_last=NONE)
    assert use_cells(none)["score"] == "0.390"
    why = "The gain has no interval, so undecided: discovery."
    assert explain_brackets([none]) == f"{why} Ties: 95% for other unseen classes and retraining."
    perfect = recommendation(classes=None, images=None, gain_over_last=NONE, value=1.0, shortlist_scope=None)
    assert explain_brackets([perfect]) == why.replace(",", " (perfect scores do not vary),")


def test_the_headline_answers_for_each_use_by_names_that_can_be_typed():
    assert headline(every_use()) == (
        "handwriting, a at step 100: take blocks.3 for classifier, retrieval, discovery and OOD detection: choosing "
        "pays."
    )
    first = [
        recommendation(use=use, metric=LEADS[use], layer=layer, step=step)
        for use, layer, step in (("classifier", "bn2", 0), ("retrieval", "blocks.2", 100), ("discovery", "bn2", 0))
    ]
    assert headline(first) == (
        "handwriting, a: take bn2 (pre-trained) for classifier and discovery: choosing pays; take blocks.2 for "
        "retrieval: choosing pays."
    )
    other = recommendation(use="discovery", model="b", value=0.5, candidate_steps=[100])
    assert headline([*first[:2], other]).endswith(
        "; take blocks.2 of a for retrieval: choosing pays; take blocks.3 of b for discovery: choosing pays."
    )


def test_the_headline_has_three_verdicts_the_surest_first():
    of_last = {"layer": "bn2", "depth": 8}
    undecided = recommendation(use="classifier", gain_over_last=UNDECIDED)
    untrained = recommendation(use="classifier", gain_over_last=FOLDS_ALONE, step=0)
    no = recommendation(use="detection", gain_over_last=NOT_WORTH_IT, **of_last)
    last = recommendation(use="retrieval", gain_over_last=OF_LAST, **of_last)
    assert headline([undecided, no, RECOMMENDATION, last]) == (
        "handwriting, a at step 100: take blocks.3 for discovery: choosing pays; try blocks.3 (50% of parameters) for "
        "classifier and the last layer, bn2, for retrieval: gain undecided; take the last layer, bn2, for OOD "
        "detection: no earlier one is shown to be better (at most +0.018)."
    )
    assert headline([untrained, last]) == (
        "handwriting, a: try blocks.3 (pre-trained, 50% of parameters) for classifier and the last layer, bn2, for "
        "retrieval: gain undecided."
    )
    as_well = recommendation(use="classifier", gain_over_last=replace(UNDECIDED, estimate=-0.01))
    assert headline([as_well, last]) == (
        "handwriting, a at step 100: try the last layer, bn2, for retrieval: gain undecided; the last layer does as "
        "well as blocks.3 for classifier."
    )
    only = recommendation(layer="pool", depth=0, last_depth=0, step=0, candidate_steps=[0], gain_over_last=NONE)
    assert headline([only]) == "handwriting, a: take the only layer, pool, for discovery."


def test_of_pure_noise_the_headline_begins_with_the_doubt():
    unsure = [each.model_copy(update={"doubtful": ["chance"], "pixels": None}) for each in every_use()]
    unsure[0] = unsure[0].model_copy(update={"doubtful": None})
    unsure[3] = unsure[3].model_copy(update={"doubtful": []})  # at no proven level
    assert headline(unsure).startswith(
        "handwriting, a at step 100: no layer is shown to beat chance for retrieval and discovery; if any, take blocks"
    )
    assert "if any" not in headline([*unsure[:2], every_use()[2]])  # one of which a layer is shown to
    undecided = [each.model_copy(update={"gain_over_last": UNDECIDED}) for each in unsure]
    assert " for retrieval and discovery; if any, try blocks.3 (" in headline(undecided)


def test_the_headline_never_names_a_network_of_no_use():
    scratch = useless(model="scratch", value=0.45)
    assert "scratch" not in headline([scratch, RECOMMENDATION])
    assert headline([scratch]) == f"handwriting: nothing for discovery: {reason(scratch)}."
    retrieval = recommendation(use="retrieval", metric="map_at_r")
    assert headline([retrieval, scratch]).endswith(
        f"for retrieval: choosing pays; nothing for discovery: {reason(scratch)}."
    )


def test_the_headline_has_the_best_of_all_networks_where_none_is_of_use_and_each_use_its_reason():
    poor, best = useless(value=0.2), useless(model="b", value=0.3)
    worse = useless(use="classifier", metric="ood_fpr95_knn", better="lower", value=0.8)
    least = useless(use="classifier", metric="ood_fpr95_knn", better="lower", model="b", value=0.6)
    twin = useless(use="retrieval", value=0.3)
    assert headline([worse, poor, twin, least, best]) == (
        f"handwriting: nothing for classifier: {reason(least)}; nothing for discovery and retrieval: {reason(best)}."
    )


@pytest.mark.parametrize(
    ("at_least", "at_most", "error", "told"),
    [
        (0.01, 0.04, None, "0.010–0.040"),
        (-0.01, 0.04, 0.003, "0.000–0.040 ± 0.003"),
        (None, 0.04, None, "≤ 0.040"),
        (0.05, 0.04, None, "≤ 0.040"),
        (-0.02, 0.0004, None, "none seen"),
    ],
)
def test_what_is_lost_to_the_best_is_a_bracket(at_least, at_most, error, told):
    record = RegretRecord(criterion="last_layer", value=0.5, at_least=at_least, at_most=at_most, error=error)
    assert lost(record) == told


def test_every_missing_thing_and_criterion_has_words():
    assert set(LACKING) == set(Missing)
    assert notes(recommendation(missing=[Missing.GROUPS])) == [LACKING[Missing.GROUPS]]
    assert set(CRITERION_WORDS) == set(CRITERIA)
    assert len({*CRITERION_WORDS.values()}) == len(CRITERIA)
