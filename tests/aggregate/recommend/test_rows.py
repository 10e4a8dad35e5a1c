"""Every way of choosing a layer is scored in the rows in which the recommended one is chosen."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize as unit

from stages.aggregate.params import AggregateParams
from stages.aggregate.recommend.criteria import CRITERIA
from stages.library import score
from stages.library.export import compute_results
from stages.library.settings import arguments_of
from stages.measure.params import MeasureParams
from stages.shared.workflow.params import parse
from tests.measure.synthetic import DEFAULT

LAYERS = {"a": (2.0, 0.0), "b": (0.8, 0.0), "c": (0.4, 1.5), "d": (1.0, 1.5)}
"""How far images lie from their class, and how much the lengths of their rows differ."""

CLASSES, EACH, FOLDS = 4, 10, 3


def rows_of(layer, depth, seed):
    """One layer's embedding of images of four classes, (40, 8) float32, the classes in order."""
    random = np.random.default_rng([depth, seed])
    noise, spread = LAYERS[layer]
    y = np.repeat(np.arange(CLASSES), EACH)
    X = random.normal(size=(CLASSES, 8))[y] + noise * random.normal(size=(len(y), 8))
    return (X * np.exp(spread * random.normal(size=(len(y), 1)))).astype(np.float32)


@pytest.fixture(scope="module")
def arrays():
    """(dataset, fold, split, layer) -> its embedding; in the second dataset the layers come in another order."""
    return {
        (dataset, fold, split, layer): rows_of(layer, depth, 100 * number + 10 * fold + (split == "test"))
        for number, (dataset, order) in enumerate((("one", "abcd"), ("two", "cabd")))
        for fold in range(FOLDS)
        for split in ("unseen", "test")
        for depth, layer in enumerate(order)
    }


@pytest.fixture(scope="module", params=["l2", "none"])
def study(request, arrays, tmp_path_factory):
    """The results of each of two datasets, and what scales rows as these do."""
    asked = {"metrics": ["map_at_r", "probe_accuracy"], "normalize": request.param}
    params = parse(DEFAULT | asked | {"refits": DEFAULT["refits"] | {"metrics": ["map_at_r"]}}, MeasureParams, where="")
    aggregate = AggregateParams(main_metric="map_at_r", accuracy_margin=0.05)
    scaled = unit if request.param == "l2" else np.asarray
    results = {}
    for dataset in ("one", "two"):
        found = score(**joined(arrays, dataset), **arguments_of(params), metrics=params.metrics)
        out = tmp_path_factory.mktemp(dataset) / "measures"
        results[dataset], *_ = compute_results(out, found, measure=params, aggregate=aggregate, workers=1)
    return results, lambda X: scaled(X.astype(np.float64))


def joined(arrays, dataset):
    """What one dataset's embeddings are for `score`: of every fold the seen images, then the unseen ones."""
    parts = [(fold, split) for fold in range(FOLDS) for split in ("test", "unseen")]
    layers = dict.fromkeys(layer for of, _, _, layer in arrays if of == dataset)
    kinds = [f"new{fold}" if split == "unseen" else "old" for fold, split in parts]
    return {
        "layers": {name: np.concatenate([arrays[dataset, *part, name] for part in parts]) for name in layers},
        "labels": [f"{kind}{c}" for kind in kinds for c in np.repeat(range(CLASSES), EACH)],
        "seen": np.repeat([split == "test" for _, split in parts], CLASSES * EACH),
        "folds": np.repeat([fold for fold, _ in parts], CLASSES * EACH),
    }


def map_at_r(X):
    """MAP@R of images of four classes in order, by definition."""
    y, found = np.repeat(np.arange(CLASSES), EACH), []
    for i, row in enumerate(X):
        others = np.delete(np.arange(len(X)), i)
        nearest = others[np.argsort(np.linalg.norm(X[others] - row, axis=1))][: EACH - 1]
        right = y[nearest] == y[i]
        found.append((np.cumsum(right) / np.arange(1, EACH) * right).mean())
    return np.mean(found)


def table_of(arrays, scaled, dataset, split):
    """MAP@R of every fold and layer, (folds, layers), and the layers' names from input to output."""
    names = list(dict.fromkeys(layer for where, _, _, layer in arrays if where == dataset))
    values = [[map_at_r(scaled(arrays[dataset, fold, split, name])) for name in names] for fold in range(FOLDS)]
    return np.array(values), names


def expected_choices(arrays, scaled, dataset, fold):
    """What every criterion but the random one and the tunnel chooses for a fold: layers, without ties."""
    unseen, names = table_of(arrays, scaled, dataset, "unseen")
    chosen = {
        "other_folds": np.delete(unseen, fold, axis=0).mean(axis=0).argmax(),
        "last_layer": 3, "penultimate": 2, "two_thirds": 2,
        "seen_score": table_of(arrays, scaled, dataset, "test")[0][fold].argmax(),
    }  # fmt: skip
    return {criterion: names[layer] for criterion, layer in chosen.items()}


@pytest.mark.parametrize("dataset", ["one", "two"])
def test_each_rule_chooses_and_is_scored_in_the_rows_of_the_choice(study, arrays, dataset):
    results, scaled = study[0][dataset], study[1]
    own = results.tables["regret.csv"].query("metric == 'map_at_r'")
    assert set(own["criterion"]) == set(CRITERIA) - {"other_datasets"}
    unseen, names = table_of(arrays, scaled, dataset, "unseen")
    for row in own[own["fold"] != "mean"].itertuples():
        values, chosen = unseen[int(row.fold)], expected_choices(arrays, scaled, dataset, int(row.fold))
        of_choice = values.mean() if row.criterion == "random_layer" else values[names.index(row.layer)]
        assert (row.value, row.best_value) == pytest.approx((of_choice, values.max())), row.criterion
        if row.criterion not in ("random_layer", "tunnel"):
            assert row.layer == chosen[row.criterion], row.criterion
    (found,) = results.facts.of_use("retrieval")
    assert (found.best.layer, found.best.last_value) == (
        names[unseen.mean(axis=0).argmax()],
        pytest.approx(unseen.mean(axis=0)[-1]),
    )


def test_a_recommendation_names_the_rows_of_its_score(study):
    results, scaled = study[0]["one"], study[1]
    l2 = bool(np.isclose(np.linalg.norm(scaled(np.full((1, 2), 3.0))), 1))
    assert ("map_at_r" in results.facts.unit_rows) == l2
    for use, rows in (("retrieval", "l2" if l2 else "none"), ("classifier", "none")):
        assert {each.normalize for each in results.facts.of_use(use)} == {rows}


def test_rows_decide_in_this_study(arrays):
    """Else what is above would hold in other rows, too."""
    for dataset in ("one", "two"):
        for split in ("unseen", "test"):
            as_stored, of_length_1 = (table_of(arrays, scaled, dataset, split)[0] for scaled in (np.asarray, unit))
            assert as_stored.mean(axis=0).argmax() != of_length_1.mean(axis=0).argmax()
