"""What more labels would gain: the bound of ten classes or more, of fewer the benchmark's numbers."""

import json
from pathlib import Path

from stages.aggregate.words.labels import MIN_CLASSES, benchmark, chosen_by, more_labels, why_chosen_by
from tests.aggregate.recommended import recommendation

STUDY = Path(__file__).parents[3] / "docs/study/labels.json"


def of_classes(classes, images, metric="map_at_r", loss_at_most=0.043):
    found = recommendation(use="retrieval", metric=metric, n_folds=1, n_classes=classes, n_images=images)
    best = found.best.model_copy(update={"loss_at_most": loss_at_most})
    return found.model_copy(update={"best": best})


def test_of_ten_classes_the_bound_over_classes_is_given_if_it_is_proven():
    assert more_labels([of_classes(10, 500)]) == "Another layer would gain at most: retrieval 0.04."
    assert more_labels([of_classes(10, 500, metric="silhouette")]) == ""
    assert more_labels([of_classes(10, 500, loss_at_most=None)]) == ""


def test_of_fewer_the_largest_benchmark_that_the_labels_suffice_for_is_quoted():
    of_study = [each for each in json.loads(STUDY.read_text()) if each["score"] == "map_at_r"]
    (record,) = (each for each in of_study if (each.get("classes"), each.get("images")) == (5, 10))
    assert more_labels([of_classes(7, 7 * 12)]) == (
        "In a benchmark, choosing on 5 classes x 10 images fell short on average (at most, in 19 of 20 draws): "
        f"retrieval {record['mean']:.2f} ({record['in_19_of_20']:.2f})."
    )
    assert more_labels([of_classes(1, 1)]) == ""


def test_uses_share_the_size_that_the_benchmark_has_for_each():
    probe = of_classes(8, 8 * 25, "probe_accuracy").model_copy(update={"use": "classifier"})
    sizes = {metric: {(n, per) for n, per, *_ in rows} for metric, rows in benchmark().items()}
    assert (8, 20) in sizes["map_at_r"] - sizes["probe_accuracy"]
    told = more_labels([probe, of_classes(8, 8 * 25)])
    for use, metric in (("classifier", "probe_accuracy"), ("retrieval", "map_at_r")):
        (mean,) = (mean for n, per, mean, _ in benchmark()[metric] if (n, per) == (5, 20))
        assert f"{use} {mean:.2f} (" in told.partition("5 classes x 20 images fell short on average ")[2]


def test_the_benchmark_is_the_study_s():
    of_study = [each for each in json.loads(STUDY.read_text()) if each.get("classes", MIN_CLASSES) < MIN_CLASSES]
    of_text = [
        {"score": score, "classes": classes, "images": images, "mean": mean, "in_19_of_20": worst}
        for score, rows in benchmark().items()
        for classes, images, mean, worst in rows
    ]
    assert of_text == [{key: each[key] for key in of_text[0]} for each in of_study]


def test_the_score_that_chose_with_few_labels_is_named_with_its_regret_and_no_benchmark_of_another():
    found = of_classes(5, 50, "nmi").model_copy(update={"use": "discovery", "chosen_by": "map_at_r"})
    assert chosen_by([found, of_classes(5, 50)]) == "With few labels, MAP@R chose the layer for discovery."
    assert why_chosen_by(found) == (
        "With few labels, MAP@R chose the layer. On six datasets, its choice fell 0.06 short of the best NMI, and "
        "NMI's choice 0.08."
    )
    assert more_labels([found]) == chosen_by([of_classes(5, 50)]) == why_chosen_by(of_classes(5, 50)) == ""
