import pytest

from stages.aggregate.findings.facts import Status
from stages.aggregate.recommend.criteria import all_criteria
from stages.aggregate.recommend.schema import Missing, ScopeRecord
from stages.aggregate.words.findings import STATUSES
from stages.aggregate.words.recommendation import (
    LACKING,
    brief_fine_tuning,
    brief_gains,
    brief_ties,
    caveat,
    criterion_words,
    explain_brackets,
    headline,
    lost,
    notes,
    pair,
    reason,
    scored_as,
    sentences,
    use_cells,
)
from stages.measure.metrics import SCORES
from tests.aggregate.recommended import (
    JOINED,
    LEADS,
    RECOMMENDATION,
    REGRET,
    SHORTLIST,
    every_use,
    layer,
    recommendation,
    useless,
)

ALL_CRITERIA = all_criteria([name for name, score in SCORES.items() if score.label_free])


def test_the_sentences_name_the_layer_what_ties_what_it_takes_and_what_others_lose():
    assert sentences(RECOMMENDATION) == (
        "discovery (NMI): layer 5 of 9 (`blocks.3`, NMI 0.388 [0.310, 0.470]) at step 100, with 50 % of the parameters "
        "and 40 % of the multiply-adds. Not distinguishable (other classes), with what each may lose at most (the "
        "recommended one, 0.055): layers 4 (`blocks.2`, 0.051) and 6 (`blocks.4`, 0.034). "
        "On unseen classes that such a choice did not know: last layer -0.140, layer before it -0.080. "
        "What fine-tuning to step 100 did to the best score: raised, +0.090 [+0.020, +0.160] (other classes); to that "
        "of the last layer: lowered, -0.050 [-0.080, -0.020] (other classes). Before fine-tuning, layer 3 (`blocks.1`) "
        "may lose 0.130 at most."
    )


def test_joining_is_told_as_far_as_it_gains():
    assert "before it -0.080. Layers 4 (`blocks.2`) and 7" in sentences(recommendation(pair=JOINED))
    assert pair(recommendation(pair=JOINED)) == (
        "Layers 4 (`blocks.2`) and 7 (`blocks.5`) joined, the rows of each scaled to length 1, gained +0.050 [+0.010, "
        "+0.090] (no proven level) over the best single layer of rows of length 1."
    )
    unclear = JOINED.model_copy(update={"low": -0.01, "recommended": False})
    assert pair(recommendation(pair=unclear)).endswith(" of length 1: not shown to help.")
    one_fold = recommendation(pair=unclear.model_copy(update={"low": None, "high": None}))
    assert pair(one_fold) == pair(RECOMMENDATION) == ""


def test_the_uses_whose_scores_are_of_scaled_rows_are_named():
    found = [recommendation(use="retrieval", normalize="l2"), recommendation(normalize="l2")]
    assert (scored_as(found), scored_as([RECOMMENDATION])) == ("Scores are of rows of length 1.", "")
    assert scored_as([recommendation(use="classifier"), *found]) == (
        "Scores for retrieval and discovery are of rows of length 1."
    )
    groups = scored_as([recommendation(normalize="l2", neighbours="other_groups")])
    assert groups == "Scores are of rows of length 1. Neighbours are images of other groups alone."


def test_what_to_do_with_layers_is_a_line_for_all_uses():
    found = [
        recommendation(use="retrieval", pair=JOINED),
        recommendation(pair=JOINED),
        recommendation(use="classifier"),
    ]
    assert brief_gains(found) == "Join layers 4 and 7 for retrieval +0.050 and discovery +0.050."
    assert brief_gains([RECOMMENDATION]) == ""


def test_what_is_lost_is_turned_where_lower_scores_are_better():
    assert (use_cells(RECOMMENDATION)["last"], use_cells(RECOMMENDATION)["before"]) == ("-0.140", "-0.080")
    assert use_cells(recommendation(better="lower"))["last"] == "+0.140"
    assert use_cells(recommendation(regret=REGRET[:2]))["before"] == "–"
    single = recommendation(regret=REGRET[1:])  # no other fold to choose on
    assert use_cells(single)["last"] == "-0.150"
    assert "last layer +0.140, layer before it +0.080" in sentences(recommendation(better="lower"))


def test_a_score_of_which_less_is_better_is_lowered_where_it_gets_better():
    found = recommendation(better="lower", metric="collapse", use="geometry")
    assert (
        "did to the best score (lower is better): lowered, -0.090 [-0.160, -0.020] (other classes, no proven level); "
        "to that of the last layer: raised, +0.050 [+0.020, +0.080] (" in sentences(found)
    )
    assert brief_fine_tuning([RECOMMENDATION, found]) == (
        "Fine-tuning: discovery +0.09, geometry (lower is better) -0.09"
    )


@pytest.mark.parametrize("status", [Status.RAISED, Status.LOWERED, Status.NOT_DISTINGUISHABLE])
def test_what_fine_tuning_did_has_words_for_every_status(status):
    change = RECOMMENDATION.fine_tuning.model_copy(update={"status": status})
    told = sentences(recommendation(fine_tuning=change))
    assert f"fine-tuning to step 100 did to the best score: {STATUSES[status]}, +0.090 [" in told
    assert "; to that of the last layer: lowered, -0.050 [-0.080, -0.020] (other classes)." in told


def test_a_checkpoint_is_named_unless_the_network_was_measured_as_it_is():
    assert " at step 0 (not fine-tuned), with 50 %" in sentences(recommendation(step=0))
    frozen = sentences(recommendation(step=0, candidate_steps=[0]))
    assert "0.470]), with 50 %" in frozen
    assert "Before fine-tuning" not in frozen


def test_ties_are_told_as_far_as_they_are_known():
    assert brief_ties(RECOMMENDATION) == "4 (-0.05), 6"
    four = [*SHORTLIST, layer(6, "blocks.5", 0.3), layer(7, "blocks.6", 0.3)]
    assert brief_ties(recommendation(shortlist=four), priced=False) == "4, 6-8"
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
    assert "Whether others tie is not shown (other images, no proven level)." in sentences(unproven)
    unknown = recommendation(shortlist=[], shortlist_scope=None)
    assert brief_ties(unknown) == "–"
    assert "Which layers tie with it is not known." in sentences(unknown)


def test_without_a_recommendation_there_is_a_reason_and_nothing_else():
    why = "no layer beats raw pixels (NMI 0.390 at best, raw pixels 0.500)"
    assert sentences(useless()) == f"discovery (NMI): no recommendation, since {why}."
    assert (reason(useless()), reason(RECOMMENDATION)) == (why, None)


def test_a_doubt_follows_the_choice():
    doubtful = recommendation(doubtful=True, pixels=0.3)
    but = "it is not shown that a layer beats chance (0.010) and raw pixels (0.300)"
    assert f" of the multiply-adds. But {but}. Not dist" in sentences(doubtful)
    assert (caveat(doubtful), caveat(RECOMMENDATION)) == (but, None)
    assert caveat(recommendation(doubtful=True, chance=None)) == "it is not shown that a layer beats raw pixels (0.100)"
    assert caveat(recommendation(doubtful=None, pixels=None)) == "no bound tells if a layer beats chance (0.010)"


def test_a_single_layer_leaves_no_choice():
    only = recommendation(layer="pool", depth=0, last_depth=0, step=0, candidate_steps=[0], shortlist=[])
    assert sentences(only) == "discovery (NMI): its only layer is `pool`, NMI 0.388 [0.310, 0.470]."


def test_an_interval_is_that_of_the_wider_scope_that_is_known_and_so_explained():
    assert use_cells(RECOMMENDATION)["score"] == "0.388 [0.310, 0.470]"
    assert explain_brackets(every_use()) == (
        "[ ]: 95 % for other unseen classes and retraining (classifier and detection: not proven)."
    )
    unknown = ScopeRecord(value=None, low=None, high=None, lead=None, lead_at_least=None, lead_at_most=None)
    for classes in (None, unknown):
        images = recommendation(use="classifier", metric="probe_accuracy", classes=classes)
        assert use_cells(images)["score"] == "0.389 [0.370, 0.410]"
        assert explain_brackets([images]) == "[ ]: for other images of these classes (classifier: not proven)."
    both = explain_brackets([RECOMMENDATION, images])
    assert both == (
        "[ ]: 95 % for other unseen classes and retraining; classifier: for other images of these classes "
        "(classifier: not proven)."
    )
    none = recommendation(classes=None, images=None)
    assert use_cells(none)["score"] == "0.390"
    assert explain_brackets([none]) == "No interval is known. Ties: 95 % for other unseen classes and retraining."
    untied = recommendation(classes=None, images=None, shortlist_scope=None)
    assert explain_brackets([untied]) == "No interval is known."


def test_what_other_choices_lose_is_said_of_what_they_did_not_know():
    assert "On unseen classes that such a choice did not know: " in sentences(RECOMMENDATION)
    assert "On images that such a choice did not know: " in sentences(recommendation(n_folds=1))


def test_the_headline_names_the_best_layer_for_each_use_as_it_can_be_typed():
    assert headline(every_use()) == (
        "take, of a at step 100, blocks.3 for classifier, retrieval, discovery and detection."
    )
    first = [
        recommendation(use=use, metric=LEADS[use], layer=layer, step=step)
        for use, layer, step in (("classifier", "bn2", 0), ("retrieval", "blocks.2", 100), ("discovery", "bn2", 0))
    ]
    assert headline(first) == (
        "take, of a, bn2 at step 0 (not fine-tuned) for classifier and discovery; blocks.2 at step 100 for retrieval."
    )
    other = recommendation(use="discovery", model="b", value=0.5, candidate_steps=[100])
    assert headline([*first[:2], other]).endswith(
        "; blocks.2 of a at step 100 for retrieval; blocks.3 of b at step 100 for discovery."
    )


def test_of_pure_noise_the_headline_begins_with_the_doubt():
    unsure = [each.model_copy(update={"doubtful": True, "pixels": None}) for each in every_use()]
    unsure[0] = unsure[0].model_copy(update={"doubtful": None})
    unsure[3] = unsure[3].model_copy(update={"doubtful": False})  # at no proven level
    assert headline(unsure).startswith(
        "no layer is shown to beat chance for retrieval and discovery; if any, take, of a at step 100, blocks.3 for"
    )
    assert headline([*unsure[:2], every_use()[2]]).startswith("take, of a")  # one of which a layer is shown to


def test_the_headline_never_names_a_network_of_no_use():
    scratch = useless(model="scratch", value=0.45)
    assert "scratch" not in headline([scratch, RECOMMENDATION])
    assert headline([scratch]) == f"take nothing for discovery: {reason(scratch)}."
    retrieval = recommendation(use="retrieval", metric="map_at_r")
    assert headline([retrieval, scratch]).startswith("take, of a at step 100, blocks.3 for retrieval; nothing for disc")


def test_the_headline_has_the_best_of_all_networks_where_none_is_of_use_and_each_use_its_reason():
    poor, best = useless(value=0.2), useless(model="b", value=0.3)
    worse = useless(use="classifier", metric="ood_fpr95_knn", better="lower", value=0.8)
    least = useless(use="classifier", metric="ood_fpr95_knn", better="lower", model="b", value=0.6)
    twin = useless(use="retrieval", value=0.3)
    assert headline([worse, poor, twin, least, best]) == (
        f"take nothing for classifier: {reason(least)}; nothing for discovery and retrieval: {reason(best)}."
    )


def test_what_is_lost_to_the_best_is_a_bracket():
    assert lost(0.01, 0.04) == "0.010–0.040"
    assert lost(-0.01, 0.04) == "0.000–0.040"
    assert lost(0.01, 0.04, ends=(-0.02, 0.07)) == "0.010–0.040 [-0.020, 0.070]"
    assert lost(None, 0.04) == lost(0.05, 0.04) == "≤ 0.040"
    assert (lost(0.01, 0.04, 0.02), lost(None, 0.04, 0.02)) == ("0.010–0.040 ± 0.020", "≤ 0.040 ± 0.020")
    assert lost(-0.01, 0.0004, 0.0) == lost(None, 0.0, 0.0) == "none seen"  # which is no proof of no loss


def test_every_missing_thing_is_noted():
    assert set(LACKING) == set(Missing)
    assert notes(recommendation(missing=[Missing.OPERATIONS], unmeasured=["rankme", "alpha_req"])) == [
        "Multiply-adds are not known.",
        "Not measured without labels: RankMe / min(N, D) and alpha-ReQ.",
    ]
    assert notes(RECOMMENDATION) == []


def test_every_criterion_has_a_name_of_its_own():
    names = [criterion_words(criterion) for criterion in ALL_CRITERIA]
    assert len(set(names)) == len(names)
    assert criterion_words("nearest_to_one_alpha_req") == "alpha-ReQ nearest to 1"
    assert criterion_words("lowest_rankme") == "lowest RankMe / min(N, D)"
