"""What a title may say, from rows whose intervals are made up."""

from dataclasses import replace

import pandas as pd
import pytest

from stages.aggregate.figures.messages import (
    layer_message,
    networks_message,
    pairs_message,
    scores_message,
    steps_message,
)
from stages.aggregate.findings.facts import DepthFinding, FineTuningFinding
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.inference.layer_comparison import Lead
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
        (of("4", scope="images"), "These unseen classes separate best at layer 5 of 9, not at the last (NMI)"),
        (
            of("4;7;8"),
            "Where unseen classes separate best is open: layers 5, 8 and 9 of 9 tie, the last among them (NMI)",
        ),
        (of("8", best_depth=8), "Unseen classes separate best at the last of 9 layers (NMI)"),
        (
            of("0;1;2;3;4;5;6;7;8", scope="images"),
            "All 9 layers tie: none is shown to separate these unseen classes better than the others (NMI)",
        ),
        (of(None), "NMI on unseen classes is best at layer 5 of 9; no interval is known"),
        (of("4", baseline=0.7), "No layer separates unseen classes better than raw pixels (NMI)"),
        (of("0", best_depth=0, last_depth=0), "NMI on unseen classes is 0.60 at the one layer that was measured"),
    ],
)
def test_one_network_by_one_score(known, message):
    assert layer_message(known) == message
    assert scores_message([known]) == message


@pytest.mark.parametrize(
    ("tied", "message"),
    [
        (["4", "3;4"], "Unseen classes separate best before the last of 9 layers by both scores"),
        (["4", "3;4", "5"], "Unseen classes separate best before the last of 9 layers by all 3 scores"),
        (
            ["4", "4;8", "5"],
            "Unseen classes separate best before the last of 9 layers by 2 of 3 scores; by 1 this is open",
        ),
        (
            ["4", "8", "7;8"],
            "Unseen classes separate best before the last of 9 layers by 1 of 3 scores and at the last layer by 1 of 3 "
            "scores; by 1 this is open",
        ),
        (["4;8", "7;8"], "By none of 2 scores is a layer shown to separate unseen classes better than the last"),
        (
            ["4", None],
            "Unseen classes separate best before the last of 9 layers by 1 of 1 scores that have intervals",
        ),
        ([None, None], "By 2 scores, layer 5 of 9 is best on unseen classes; no interval is known"),
    ],
)
def test_one_network_by_several_scores(tied, message):
    assert scores_message([of(each) for each in tied]) == message


def judged(**leads):
    """A finding for each network; of `pixels` no layer beats these."""
    bounds = {name: Lead(-1, 1) if lead == "pixels" else lead for name, lead in leads.items()}
    return [DepthFinding(name, lead, None, leads[name] != "pixels") for name, lead in bounds.items()]


@pytest.mark.parametrize(
    ("leads", "message"),
    [
        (
            {"a": Lead(0.1, 0.2), "b": Lead(0.1, 0.2)},
            "An earlier layer separates unseen classes better than the last in both networks",
        ),
        (
            {"a": Lead(0.1, 0.2), "b": Lead(-0.1, 0.2), "c": Lead(-0.3, -0.2)},
            "An earlier layer separates unseen classes better than the last in 1 of 3 networks; in 1 the last layer is "
            "best; in 1 this is open",
        ),
        (
            {"a": Lead(-0.1, 0.2), "b": "pixels"},
            "An earlier layer is shown to beat the last in none of 2 networks; in 1 this is open; in 1 no layer is "
            "shown to beat raw pixels",
        ),
        (
            {"a": None, "b": None},
            "The best layer comes before the last in both networks; no interval is known",
        ),
    ],
)
def test_several_networks(leads, message):
    rows = [of("4", model=name) for name in leads]
    assert networks_message(rows, judged(**leads)) == message


def test_a_network_alone_is_spoken_of_by_its_layers():
    assert networks_message([of("4")], judged(small=Lead(0.1, 0.2))) == layer_message(of("4"))


CHANGES = {"raised": Estimate(0.2, 0.01, 5), "lowered": Estimate(-0.2, 0.01, 5), "neither": Estimate(0.0, 0.1, 5)}


@pytest.mark.parametrize(
    ("changes", "scope", "message"),
    [
        (["raised"], "classes", "Fine-tuning raised g on unseen classes"),
        (["lowered"], "images", "Fine-tuning lowered g on these unseen classes"),
        (["neither"], "classes", "Fine-tuning did not change g on unseen classes distinguishably"),
        (
            ["raised", "lowered", "neither"],
            "classes",
            "Fine-tuning raised g on unseen classes in 1 of 3 networks and lowered g on unseen classes in 1 of 3 "
            "networks; in 1 no change is distinguishable",
        ),
        (
            ["neither", "neither"],
            "classes",
            "Fine-tuning changed g on unseen classes distinguishably in none of 2 networks",
        ),
    ],
)
def test_what_fine_tuning_did(changes, scope, message):
    findings = [
        FineTuningFinding(str(i), **({"classes": None, "images": None} | {scope: CHANGES[change]}))
        for i, change in enumerate(changes)
    ]
    steps = pd.DataFrame({"model": [str(i) for i in range(len(changes))], "step": 0, "unseen": 0.5})
    assert steps_message(steps, findings) == message


def test_without_intervals_the_course_of_g_is_described():
    steps = pd.DataFrame({"model": ["a", "a", "b", "b"], "step": [0, 50, 0, 50], "unseen": [0.2, 0.4, 0.5, 0.3]})
    assert steps_message(steps, []) == (
        "g on unseen classes is higher after training than before in 1 of 2 networks; no interval is known"
    )
    assert steps_message(steps[:2], []) == (
        "g on unseen classes goes from 0.20 at step 0 to 0.40 at step 50; no interval is known"
    )
    assert "one step" in steps_message(steps[:1], [])


def test_the_largest_change_between_neighbouring_layers():
    assert pairs_message([0, 1, 2], [0.9, 0.6], "unseen") == (
        "On unseen classes the representation changes most from layer 2 to 3 of 3 (CKA 0.60)"
    )
