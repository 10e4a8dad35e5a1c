"""What a title may say, from rows whose intervals are made up."""

from dataclasses import replace

import pandas as pd
import pytest

from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.words.averages import Averages
from stages.aggregate.words.figure_titles import (
    layers_title,
    networks_title,
    pairs_title,
    training_title,
)
from tests.aggregate.networks import NETWORK, NO_INTERVALS, STEPS, evidence, network

ROW = replace(NETWORK, model="small", best_depth=4, last_depth=8, baseline=0.1, chance=0.0, unseen=0.6)


def of(tied, *, scope="classes", **changed):
    return replace(ROW, **({"tied_classes": None, "tied_images": None} | {f"tied_{scope}": tied} | changed))


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (of("4"), "Unseen classes separate best at layer 5 of 9, not at the last (NMI)"),
        (of("3;4;5;7"), "Unseen classes separate best at one of layers 4-6 and 8 of 9, not at the last (NMI)"),
        (of("3;5"), "Unseen classes separate best at one of layers 4 and 6 of 9, not at the last (NMI)"),
        (
            of("4", scope="images", metric="knn_purity"),
            "These unseen classes separate best at layer 5 of 9, not at the last (k-NN purity)",
        ),
        (
            of("4", scope="images"),
            "These unseen classes separate best at layer 5 of 9 (no interval of a proven level) (NMI)",
        ),
        (
            of("4;8", metric="silhouette", tied_images="4"),  # proven of these classes, which the figure does not show
            "Unseen classes separate best at an undecided layer: layers 5 and 9 of 9 tie (no interval of a proven "
            "level) (silhouette)",
        ),
        (
            of("4;7;8"),
            "Unseen classes separate best at an undecided layer: layers 5, 8 and 9 of 9 tie (NMI)",
        ),
        (of("8", best_depth=8), "Unseen classes separate best at layer 9 of 9 (NMI)"),
        (
            of("0;1;2;3;4;5;6;7;8", scope="images", metric="knn_purity"),
            "These unseen classes separate best at an undecided layer: layers 1-9 of 9 tie (k-NN purity)",
        ),
        (of(None), "Unseen classes separate best at layer 5 of 9 (no interval of a proven level) (NMI)"),
        (of("4", baseline=0.7), "No layer separates unseen classes better than raw pixels (NMI)"),
        (of("0", best_depth=0, last_depth=0), "Unseen classes score 0.60 at the one layer that was measured (NMI)"),
    ],
)
def test_one_network_by_one_score(known, message):
    assert layers_title([known]) == message


@pytest.mark.parametrize(
    ("tied", "message"),
    [
        (["4", "3;4"], "before the last layer by 2 of 2 scores"),
        (["4", "4;8", "5"], "before the last layer by 2 and at an undecided layer by 1 of 3 scores"),
        (
            ["4", "8", "7;8"],
            "before the last layer by 1, at the last layer by 1 and at an undecided layer by 1 of 3 scores",
        ),
        (["4", None], "before the last layer by 1 of 1 scores that have intervals of a proven level"),
        ([None, None], "before the last layer by 2 of 2 scores (no interval of a proven level)"),
    ],
)
def test_one_network_by_several_scores(tied, message):
    assert layers_title([of(each) for each in tied]) == f"Unseen classes separate best {message}"


def test_a_tie_of_no_proven_level_is_undecided_all_the_same():
    rows = [of("4", metric="few_shot_accuracy_1"), of("4;8", metric="few_shot_accuracy_5")]
    assert layers_title(rows) == (
        "Unseen classes separate best before the last layer by 1 and at an undecided layer by 1 of 2 scores (no "
        "interval of a proven level)"
    )


def test_several_networks():
    beyond = network("b", tied_classes="8", lead_classes_at_least=-0.1)
    title = "An earlier layer separates unseen classes better than the last: supported in 1, inconclusive in 1 of 2 "
    assert networks_title(evidence(network(), beyond)) == title + "networks at step 100 (other classes, each by itself)"
    unknown = evidence(network(**NO_INTERVALS), network("b", **NO_INTERVALS))
    assert networks_title(unknown) == (
        "Unseen classes separate best before the last layer in 2 of 2 networks (no interval of a proven level)"
    )
    assert networks_title(evidence(network())) == layers_title([network()])


def test_what_fine_tuning_did():
    tuned = {"a": {"classes": Estimate(0.2, 0.01, 5), "images": Estimate(0.0, 0.1, 5)}}
    assert training_title(evidence(network(), changes=tuned)) == (
        "What fine-tuning did to g of unseen classes: raised (other classes), not distinguishable (other images) at "
        "step 100"
    )


def test_without_intervals_the_course_of_g_is_described():
    falls = STEPS.assign(model="b", unseen=[0.35, 0.4, 0.3])
    assert training_title(evidence(network(), network("b"), steps=pd.concat([STEPS, falls]))) == (
        "g of unseen classes is better after training than before in 1 of 2 networks (no interval of a proven level)"
    )
    assert training_title(evidence(network(), steps=STEPS)) == (
        "g of unseen classes is better after training than before in 1 of 1 network (no interval of a proven level)"
    )
    assert " in 0 of 1 network " in training_title(evidence(network(better="lower"), steps=STEPS))
    assert "one step" in training_title(evidence(network()))


def test_a_best_score_that_is_nearer_to_chance_than_to_a_perfect_one_is_said_to_be():
    near, far = of("4", unseen=0.62, chance=0.5, ceiling=1.0), of("4", unseen=0.8, chance=0.5, ceiling=1.0)
    lower = of("4", unseen=0.86, chance=0.95, ceiling=0.0, baseline=None, better="lower")
    words = ", but nearer to chance than to a perfect score"
    assert layers_title([near]).endswith(words)
    assert layers_title([lower]).endswith(words)
    assert not layers_title([far]).endswith(words)
    assert layers_title([near, lower]).endswith(words)
    assert not layers_title([near, far]).endswith(words)


@pytest.mark.parametrize(
    ("n_folds", "n_seeds", "words", "over"),
    [
        (1, 1, "one seed", "seeds"),
        (1, 3, "mean of 3 seeds", "seeds"),
        (4, 1, "mean of 4 folds, one seed each", "folds"),
        (4, 2, "mean of 4 folds, 2 seeds each", "folds"),
    ],
)
def test_a_caption_says_what_values_are_means_of(n_folds, n_seeds, words, over):
    averages = Averages(n_folds, n_seeds)
    assert averages.words == words
    assert averages.vary == (words != "one seed")
    assert averages.spread == f"± 1 standard deviation over {over} (ddof = 1)"


def test_the_largest_change_between_neighbouring_layers():
    assert pairs_title([0.9, 0.6], "unseen classes") == (
        "On unseen classes the representation changes most from layer 2 to 3 of 3 (CKA 0.60)"
    )
