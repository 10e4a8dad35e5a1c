import pytest

from stages.aggregate.findings.status import Status
from stages.aggregate.recommend.criteria import all_criteria
from stages.aggregate.recommend.schema import Missing, RegretRecord
from stages.aggregate.words.recommendation import MISSING, caveat, describe, missing, reason, recommendation_sentences
from stages.aggregate.words.regret import KINDS, criterion_words
from stages.aggregate.words.scores import SCORE_WORDS
from stages.measure.metrics import SCORES
from tests.aggregate.recommended import (
    END,
    RECOMMENDATION,
    REGRET,
    SHORTLIST,
    START,
    layer,
    recommendation,
    useless,
)

ALL_CRITERIA = all_criteria([name for name, score in SCORES.items() if score.label_free])


def one_line(text):
    return " ".join(text.split())


def test_the_sentences_name_the_layer_what_ties_what_it_takes_and_what_choosing_cost():
    assert recommendation_sentences(RECOMMENDATION) == (
        "handwriting, a: take features from layer 5 of 9 (`blocks.3`, NMI 0.390) at step 100, with 50 % of the "
        "parameters and 40 % of the multiply-adds. Not distinguishable from it (other classes): layers 4 and 6; the "
        "shallowest, layer 4 (`blocks.2`), with 38 % of the parameters and 25 % of the multiply-adds. On classes that "
        "it did not know, such a choice lost 0.020 to the best, the layer at two thirds of the depth 0.040."
    )


def test_the_description_adds_what_fine_tuning_did_and_a_table_of_baselines():
    lines = describe(RECOMMENDATION).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 15
    assert (
        "Fine-tuning to step 100 made it better: +0.090 [+0.020, +0.160] (other classes) over step 0, where `blocks.1` "
        "is best (NMI 0.300). On known classes: 0.600 by a linear probe on `blocks.5` at step 0; accuracy 0.760 at "
        "step 100."
    ) in one_line(describe(RECOMMENDATION))
    assert [one_line(line) for line in lines[-4:]] == [
        "Score lost on unknown classes to best layer and step",
        "the other folds (as recommended) 0.010 0.020",
        "last layer 0.150 0.160",
        "two thirds of the depth 0.030 0.040",
    ]


@pytest.mark.parametrize("metric", SCORE_WORDS)
def test_every_score_fits_the_terminal(metric):
    everything = [RegretRecord(criterion=name, layers=0.1, layers_and_checkpoints=0.2) for name in ALL_CRITERIA]
    text = describe(recommendation(metric=metric, regret=everything))
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 16


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.LOWERED, "Fine-tuning to step 100 made it worse: +0.090"),
        (Status.NOT_DISTINGUISHABLE, "What fine-tuning to step 100 did is not distinguishable: +0.090"),
    ],
)
def test_what_fine_tuning_did_is_said_in_plain_words(status, words):
    change = RECOMMENDATION.fine_tuning.model_copy(update={"status": status})
    assert words in one_line(describe(recommendation(fine_tuning=change)))


def test_a_checkpoint_is_named_where_there_was_a_choice():
    first = SHORTLIST[1].model_copy(update={"step": 0})
    assert " at step 0, before fine-tuning, with 50 %" in recommendation_sentences(recommendation(recommended=first))
    frozen = recommendation(recommended=first, candidate_steps=[0], checkpoints=[START], fine_tuning=None)
    assert "NMI 0.390), with 50 % of the parameters" in recommendation_sentences(frozen)
    assert "Fine-tuning" not in describe(frozen)
    assert [one_line(line) for line in describe(frozen).splitlines()[-4:-2]] == [
        "Score lost on unknown classes to best layer",
        "the other folds (as recommended) 0.010",
    ]


def test_ties_are_said_as_far_as_they_are_known():
    text = recommendation_sentences(recommendation(shortlist=SHORTLIST[1:], shortlist_scope="images"))
    assert "Not distinguishable from it (other images): layer 6. On classes" in text
    text = recommendation_sentences(recommendation(shortlist=SHORTLIST[1:2]))
    assert "No other layer ties with it (other classes)." in text
    text = recommendation_sentences(recommendation(shortlist=[], shortlist_scope=None))
    assert "Which layers tie with it is not known (no interval: " in text


def test_nothing_is_claimed_that_is_not_known():
    unknown = layer(4, "blocks.3", 0.39, parameters_share=None)
    text = recommendation_sentences(recommendation(recommended=unknown, regret=REGRET[1:], shortlist=[unknown]))
    assert "NMI 0.390) at step 100. No other layer" in text
    assert text.endswith("What this choice costs on classes that it does not know was not measured.")
    assert "lost" not in describe(recommendation(regret=[]))
    unprobed = START.model_copy(update={"probe_accuracy": None, "probe_layer": None})
    assert "On known classes: accuracy 0.760 at step 100." in one_line(
        describe(recommendation(checkpoints=[unprobed, END]))
    )


def test_without_a_recommendation_there_is_a_reason_and_nothing_else():
    expected = "handwriting, a: no recommendation: no layer beats raw pixels (NMI 0.390 at best, raw pixels 0.500)."
    assert recommendation_sentences(useless()) == expected
    assert one_line(describe(useless())) == expected
    assert (reason(useless()), reason(RECOMMENDATION)) == (
        expected.split("recommendation: ")[1][:-1],
        None,
    )


def test_a_doubt_follows_the_choice():
    doubtful = recommendation(doubtful=True, pixels=0.3)
    but = "it is not shown that a layer beats raw pixels (0.300)"
    assert f" of the multiply-adds. But {but}. Not dist" in recommendation_sentences(doubtful)
    assert (caveat(doubtful), caveat(RECOMMENDATION)) == (but, None)


def test_a_single_layer_leaves_no_choice():
    only = recommendation(recommended=layer(0, "pool", 0.3), last_depth=0, candidate_steps=[0], shortlist=[])
    assert recommendation_sentences(only) == "handwriting, a: its only layer is `pool`, NMI 0.300."


def test_what_is_missing_is_said_once():
    first = recommendation(missing=[Missing.OPERATIONS], unmeasured=["rankme", "alpha_req"])
    assert missing([first, recommendation(missing=[Missing.OPERATIONS])]).splitlines() == [
        "Multiply-adds are not known.",
        "Not measured without labels: RankMe / min(N, D) and alpha-ReQ.",
    ]
    assert missing([RECOMMENDATION]) == ""
    assert set(MISSING) == set(Missing)


def test_every_criterion_has_a_name_of_its_own():
    names = [criterion_words(criterion) for criterion in ALL_CRITERIA]
    assert len(set(names)) == len(names)
    assert {each.kind for each in ALL_CRITERIA.values()} == set(KINDS)
    assert criterion_words("nearest_to_one_alpha_req") == "alpha-ReQ nearest to 1"
    assert criterion_words("lowest_rankme") == "lowest RankMe / min(N, D)"
