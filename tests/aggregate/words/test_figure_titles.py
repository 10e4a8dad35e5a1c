"""What a title may say, from rows whose intervals are made up."""

from dataclasses import replace

import pytest

from stages.aggregate.findings.facts import Course, DepthFinding, FineTuningFinding
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import Lead
from stages.aggregate.words.figure_titles import (
    Averages,
    course_of_g_title,
    fine_tuning_title,
    layer_title,
    networks_title,
    pairs_title,
    robustness_title,
    scores_title,
)
from tests.aggregate.networks import NETWORK

ROW = replace(NETWORK, model="small", best_depth=4, last_depth=8, baseline=0.1, chance=0.0, unseen=0.6)


def of(tied, *, scope="classes", **changed):
    return replace(ROW, **({"tied_classes": None, "tied_images": None} | {f"tied_{scope}": tied} | changed))


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (of("4"), "Unseen classes separate best at layer 5 of 9, not at the last (NMI)"),
        (of("3;4;5;7"), "Unseen classes separate best at one of layers 4-6 and 8 of 9, not at the last (NMI)"),
        (of("3;5"), "Unseen classes separate best at layer 4 or 6 of 9, not at the last (NMI)"),
        (
            of("4", scope="images", metric="knn_purity"),
            "These unseen classes separate best at layer 5 of 9, not at the last (k-NN purity)",
        ),
        (of("4", scope="images"), "NMI on unseen classes is best at layer 5 of 9 (no interval of a proven level)"),
        (
            of("4;7;8"),
            "Where unseen classes separate best is undecided: layers 5, 8 and 9 of 9 tie, the last among them (NMI)",
        ),
        (of("8", best_depth=8), "Unseen classes separate best at the last of 9 layers (NMI)"),
        (
            of("0;1;2;3;4;5;6;7;8", scope="images", metric="knn_purity"),
            "All 9 layers tie: none is shown to separate these unseen classes better than the others (k-NN purity)",
        ),
        (of(None), "NMI on unseen classes is best at layer 5 of 9 (no interval of a proven level)"),
        (of("4", baseline=0.7), "No layer separates unseen classes better than raw pixels (NMI)"),
        (of("0", best_depth=0, last_depth=0), "NMI on unseen classes is 0.60 at the one layer that was measured"),
    ],
)
def test_one_network_by_one_score(known, message):
    assert layer_title(known) == message
    assert scores_title([known]) == message


@pytest.mark.parametrize(
    ("tied", "message"),
    [
        (["4", "3;4"], "Unseen classes separate best before the last of 9 layers by both scores"),
        (["4", "3;4", "5"], "Unseen classes separate best before the last of 9 layers by all 3 scores"),
        (
            ["4", "4;8", "5"],
            "Unseen classes separate best before the last of 9 layers by 2 of 3 scores; undecided by 1",
        ),
        (
            ["4", "8", "7;8"],
            "Unseen classes separate best before the last of 9 layers by 1 of 3 scores and at the last layer by 1 of 3 "
            "scores; undecided by 1",
        ),
        (["4;8", "7;8"], "By none of 2 scores is a layer shown to separate unseen classes better than the last"),
        (
            ["4", None],
            "Unseen classes separate best before the last of 9 layers by 1 of 1 scores that have intervals",
        ),
        ([None, None], "By 2 scores, layer 5 of 9 is best on unseen classes (no interval of a proven level)"),
    ],
)
def test_one_network_by_several_scores(tied, message):
    assert scores_title([of(each) for each in tied]) == message


PIXELS = Lead(0.1, 0.2)
"""Of a network whose layers are not shown to beat raw pixels."""


def judged(**leads):
    return [DepthFinding(name, lead, None, lead is not PIXELS) for name, lead in leads.items()]


@pytest.mark.parametrize(
    ("leads", "message"),
    [
        (
            {"a": Lead(0.1, 0.2), "b": Lead(0.1, 0.2)},
            "An earlier layer separates unseen classes better than the last in both networks",
        ),
        (
            {"a": Lead(0.1, 0.2), "b": Lead(-0.1, 0.2), "c": Lead(-0.3, -0.2)},
            "An earlier layer separates unseen classes better than the last in 1 of 3 networks; the last layer is best "
            "in 1; undecided in 1",
        ),
        (
            {"a": Lead(-0.1, 0.2), "b": PIXELS},
            "An earlier layer is shown to beat the last in none of 2 networks; undecided in 1; no layer is shown "
            "to beat chance and raw pixels in 1",
        ),
        (
            {"a": None, "b": None},
            "The best layer comes before the last in both networks (no interval of a proven level)",
        ),
    ],
)
def test_several_networks(leads, message):
    rows = [of("4", model=name) for name in leads]
    assert networks_title(rows, judged(**leads)) == message


def test_a_network_alone_is_spoken_of_by_its_layers():
    assert networks_title([of("4")], judged(small=Lead(0.1, 0.2))) == layer_title(of("4"))


CHANGES = {"raised": Estimate(0.2, 0.01, 5), "lowered": Estimate(-0.2, 0.01, 5), "neither": Estimate(0.0, 0.1, 5)}


@pytest.mark.parametrize(
    ("changes", "scope", "message"),
    [
        (["raised"], "classes", "Fine-tuning raised g of unseen classes"),
        (["lowered"], "images", "Fine-tuning lowered g of these unseen classes"),
        (["neither"], "classes", "No detectable effect of fine-tuning on g of unseen classes"),
        (
            ["raised", "lowered", "neither"],
            "classes",
            "Fine-tuning raised g of unseen classes in 1 of 3 networks and lowered g of unseen classes in 1 of 3 "
            "networks; no detectable effect in 1",
        ),
        (
            ["neither", "neither"],
            "classes",
            "No detectable effect of fine-tuning on g of unseen classes in any of 2 networks",
        ),
    ],
)
def test_what_fine_tuning_did(changes, scope, message):
    findings = [
        FineTuningFinding(str(i), **({"classes": None, "images": None} | {scope: CHANGES[change]}))
        for i, change in enumerate(changes)
    ]
    assert fine_tuning_title(findings) == message


def test_without_intervals_the_course_of_g_is_described():
    ends = [Course(0, 0.2, 50, 0.4), Course(0, 0.5, 50, 0.3)]
    assert fine_tuning_title([]) is None
    assert course_of_g_title(ends) == (
        "g of unseen classes is higher after training than before in 1 of 2 networks (no interval of a proven level)"
    )
    assert course_of_g_title(ends[:1]) == (
        "g of unseen classes goes from 0.20 at step 0 to 0.40 at step 50 (no interval of a proven level)"
    )
    assert "one step" in course_of_g_title([])


def test_a_best_score_that_is_nearer_to_chance_than_to_a_perfect_one_is_said_to_be():
    near, far = of("4", unseen=0.62, chance=0.5, ceiling=1.0), of("4", unseen=0.8, chance=0.5, ceiling=1.0)
    lower = of("4", unseen=0.86, chance=0.95, ceiling=0.0, baseline=None, better="lower")
    words = ", but nearer to chance than to a perfect score"
    assert layer_title(near).endswith(words)
    assert layer_title(lower).endswith(words)
    assert not layer_title(far).endswith(words)
    assert scores_title([near, lower]).endswith(words)
    assert not scores_title([near, far]).endswith(words)


def test_corruption_and_where_raw_pixels_win():
    assert (
        robustness_title((0.4, 0.9), {})
        == "On corrupted images the best layers of clean ones keep 40 to 90 % of their score"
    )
    both = robustness_title((0.4, 0.9), {"noise": [1, 3]})
    assert both.endswith("of their score; raw pixels beat every layer under noise (severity 1 and 3)")
    assert robustness_title(None, {"noise": [1]}) == "Raw pixels beat every layer under noise (severity 1)"


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
    assert pairs_title([0, 1, 2], [0.9, 0.6], "unseen") == (
        "On unseen classes the representation changes most from layer 2 to 3 of 3 (CKA 0.60)"
    )
