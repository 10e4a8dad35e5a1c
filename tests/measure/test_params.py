import subprocess
import sys

import pytest

from stages.measure.params import MeasureParams, available, chosen_steps
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import read_section
from tests.measure.synthetic import DEFAULT, write_params


def read(tmp_path, **changes):
    return read_section(write_params(tmp_path / "params.yaml", **changes), "measure", MeasureParams)


def test_the_default_section_is_read(tmp_path):
    params = read(tmp_path)
    assert params.metrics == ["nmi", "knn_purity", "nn1_accuracy", "probe_accuracy", "accuracy"]
    assert (params.kmeans.starts, params.kmeans.seed, params.probe.C, params.probe.folds) == (3, 0, 1.0, 3)


def test_further_scores_and_analyses_may_be_none_or_many(tmp_path):
    none = read(tmp_path)
    assert (none.extra.metrics, none.analyses, none.all_metrics) == ([], [], none.metrics)
    many = read(tmp_path, extra={"metrics": ["ami", "collapse"], "steps": [5]}, analyses=["ood", "layer_pairs"])
    assert many.all_metrics == [*none.metrics, "ami", "collapse"]
    assert many.analyses == ["ood", "layer_pairs"]


def refits(**changes):
    """The `refits` part of the section, changed."""
    return {"refits": DEFAULT["refits"] | changes}


def test_clusters_are_refitted_where_all_images_are_searched_as_hard_as_halves(tmp_path):
    assert read(tmp_path).refits_clusters
    assert not read(tmp_path, **refits(starts=4)).refits_clusters


@pytest.mark.parametrize("steps", ["ends", "all", [0, 100]])
def test_probe_steps_are_a_word_or_a_list(tmp_path, steps):
    assert read(tmp_path, probe={"C": 1, "folds": 2, "steps": steps}).probe.steps == steps


@pytest.mark.parametrize(("steps", "expected"), [("ends", (0, 10)), ("all", (0, 5, 10)), ([5], (5,))])
def test_steps_are_chosen_by_word_or_list(steps, expected):
    assert chosen_steps(steps, (0, 5, 10)) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ["nmj"]}, r"measure\.metrics\.0: .*unknown score 'nmj': did you mean 'nmi'"),
        (
            {"extra": {"metrics": ["sillhouette"], "steps": "ends"}},
            r"measure\.extra\.metrics\.0: .*did you mean 'silhouette'",
        ),
        ({"extra": {"metrics": ["ami", "ami"], "steps": "ends"}}, r"extra\.metrics must not repeat a name, found"),
        (
            {"extra": {"metrics": ["ami", "nmi"], "steps": "ends"}},
            r"must not repeat a name of metrics, .*'nmi'",
        ),
        ({"analyses": ["k_sensitvity"]}, "unknown analysis 'k_sensitvity': did you mean 'k_sensitivity'"),
        ({"analyses": ["ood", "ood"]}, r"analyses must not repeat a name"),
        ({"metrics": ["nmi", "nmi"]}, "must not repeat a name"),
        (
            {"kmeans": {"starts": 4, "polished": 5, "seed": 0}},
            r"measure\.kmeans: polished must be at most starts \(4\), found 5; lower polished",
        ),
        (
            refits(metrics=["knn_purty"]),
            r"refits\.metrics\.0: 'knn_purty' is no score that can be refitted: did you",
        ),
        (refits(metrics=["rankme"]), r"'rankme' is no score that can be refitted"),
        (refits(metrics=["nmi", "nmi"]), r"refits\.metrics must not repeat a name"),
        (refits(halves=5), r"refits\.halves: must be even, since halves come in pairs, found 5"),
        (refits(polished=4), r"measure\.refits: polished must be at most starts \(3\), found 4"),
        ({"probe": {"C": 1.0, "folds": 5, "steps": [-1]}}, r"measure\.probe\.steps.*found -1"),
        ({"representations": {"joins": ["last_3"]}}, r"measure\.representations\.joins\.0: .*'single', 'last_2'"),
        ({"representations": {"recipes": []}}, r"measure\.representations\.recipes: .*at least 1 item"),
        ({"representations": {"joins": ["all", "all"]}}, r"representations\.joins must not repeat a name"),
        ({"nmi": 1}, r"measure\.nmi is not a parameter"),
    ],
)
def test_wrong_values_are_named(tmp_path, changes, message):
    with pytest.raises(UserError, match=r"(?s)" + message):
        read(tmp_path, **changes)


def test_reading_the_parameters_imports_no_numerical_library():
    slow = {"sklearn", "scipy", "torch", "pandas", "zarr"}
    code = f"import sys, stages.measure.params; print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_looks_at_seen_classes_is_left_out_where_all_are_unseen(tmp_path):
    asked = read(tmp_path, analyses=["seen_matched", "k_sensitivity", "ood", "scalings"])
    assert available(asked, "0", ["test", "unseen"], frozen=True) == (asked, [])
    assert available(asked, "0", ["unseen"], frozen=False) == (asked, [])
    kept, notes = available(asked, "0", ["unseen"], frozen=True)
    assert kept.analyses == ["k_sensitivity", "scalings"]
    assert notes == ["seen_matched, ood left out: fold 0 has no seen classes"]
    assert kept.model_copy(update={"analyses": asked.analyses}) == asked
    kept, notes = available(asked, "0", ["unseen"], frozen=True, of_others=True)
    assert kept.analyses == ["k_sensitivity", "ood", "scalings"]
    assert notes == ["seen_matched left out: fold 0 has no seen classes"]
