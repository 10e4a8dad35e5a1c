import numpy as np
import pytest

from stages.measure.checks import check_cell, check_finite, check_params
from stages.measure.params import MeasureParams
from stages.measure.run import plan_jobs
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import parse
from tests.measure.synthetic import DEFAULT, probe, small_store, write_last_step, write_store


def params(**changes):
    return parse(DEFAULT | changes, MeasureParams, where="measure")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("checks") / "store"
    write_store(path)
    return open_embeddings(path)


def test_the_cell_must_be_the_one_asked_for(store):
    check_cell(store, ("toy", "net", "0", 7))
    for wanted, name in ((("toy", "net", "0", 8), "toy-net-0-8"), (("toy", "net", "all", 7), "toy-net-all-7")):
        with pytest.raises(UserError, match=f"must hold the cell {name}, found toy-net-0-7"):
            check_cell(store, wanted)


@pytest.mark.parametrize(
    ("sizes", "changes", "message"),
    [
        (None, {"extra": {"metrics": [], "steps": [3]}}, r"measure\.extra\.steps: must name checkpoints, found 3; "),
        (None, {"probe": probe([0, 7])}, r"measure\.probe\.steps: must name checkpoints, found 7; .* give 0, 5, 10: "),
        ({"test": (5, 5)}, {"knn_k": "paper"}, "knn_k: paper uses k from the split `unseen`, found only test"),
        ({"test": (5, 5), "unseen": (9,)}, {}, "split 'unseen' must have at least 2 classes .* found only 'unseen0'"),
        (
            None,
            {"probe": probe("all", folds=9)},
            r"folds, 9, in the split 'test', found 'test0' \(8\), 'test1' \(8\), 'test2' \(8\); add",
        ),
        ({"unseen": (5, 5)}, {"metrics": ["accuracy"]}, "found only accuracy, which needs the split 'test'"),
    ],
)
def test_parameters_that_do_not_fit_the_embeddings(tmp_path, sizes, changes, message):
    with pytest.raises(UserError, match=message):
        check_params(small_store(tmp_path, sizes=sizes), params(**changes))


def test_small_classes_are_accepted_without_the_probe(tmp_path):
    store = small_store(tmp_path, sizes={"test": (2, 5), "unseen": (1, 4)})
    check_params(store, params(metrics=["nmi", "knn_purity"]))


def test_nothing_embedded_at_the_last_step_alone_is_enough_for_the_other_analyses(store):
    check_params(store, params(analyses=["seen_matched", "k_sensitivity", "layer_pairs"]))
    with pytest.raises(UserError, match=r"'ood' needs embed\.train_per_class to be more than 0, .* remove ood from"):
        check_params(store, params(analyses=["ood"]))


@pytest.mark.parametrize(("name", "stops"), [("ood", True), ("layer_pairs", False)])
def test_what_an_analysis_looks_at_must_be_finite(tmp_path, name, stops):
    def spoil(X):
        X[2, 1] = np.nan  # a training image
        return X

    write_store(tmp_path / "store")
    write_last_step(tmp_path / "store", spoil={"blocks.0": spoil})
    store, chosen = open_embeddings(tmp_path / "store"), params(analyses=[name])
    if stops:
        with pytest.raises(UserError, match=r"layer 'blocks\.0' at step 10 must be finite, .* 1 of 15 train images"):
            check_finite(store, plan_jobs(store, chosen), chosen)
    else:
        check_finite(store, plan_jobs(store, chosen), chosen)
