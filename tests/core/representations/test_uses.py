"""Other uses are chosen and judged as MAP@R is, by their own scores, against a naive loop of scikit-learn."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

import stages.library as wl
from stages.core.inference.representations import gain_of_judged
from stages.core.representations.choice import choose_representation
from stages.core.representations.judging import Fit
from stages.core.representations.representation import Representation
from stages.core.representations.uses import FURTHER, USES, Judged, UseScores
from tests.core.representations.test_choice import make_layers, naive_rows

METRICS = [*USES.values()]


def scores_of(layers, labels, own_groups=None, metrics=METRICS, **options):
    choice = choose_representation(layers, labels, own_groups, **options)
    y = np.unique(labels, return_inverse=True)[1]
    own = np.arange(len(y)) if own_groups is None else own_groups
    return UseScores(layers, dict.fromkeys(layers, ""), y, own, choice, metrics), choice, y


@pytest.fixture(scope="module")
def data():
    layers, labels = make_layers([6, 70, 5], [10] * 15)
    layers["layer1"] = np.random.default_rng(0).standard_normal((len(labels), 70), np.float32)
    return layers, labels


def naive(layers, choice, y, number, *, apart, on):
    """Scores of one candidate on a fold, its recipe fitted to the classes of folds that are not kept apart."""
    reference, judged = (np.flatnonzero(np.isin(choice.folds[y], folds)) for folds in ([*{0, 1, 2} - {*apart}], [on]))
    candidate = choice.candidates[number]
    rows = naive_rows(candidate.recipe, [layers[name] for name in candidate.arrays], y, reference, judged)
    vectors = normalize(rows).astype(np.float32)
    return wl.score({"vectors": vectors}, y[judged], metrics=METRICS, refits_metrics=[]).table.loc["vectors"]


def test_choices_and_scores_equal_a_naive_loop(data):
    """Habit, single layers, the best by MAP@R and of them that of all layers compete; a fold's without its images."""
    layers, labels = data
    scores, choice, y = scores_of(layers, labels, recipes=["plain", "whitened", "within"], joins=["single", "all"])
    for metric in METRICS:
        expected, habit = [], []
        for fold in range(3):
            others = [other for other in range(3) if other != fold]
            best = np.argsort(-choice.choosing[fold], kind="stable").tolist()
            whole = next(number for number in best if choice.candidates[number].join == "all")
            among = [*dict.fromkeys([choice.control, *choice.singles, whole, *best[:FURTHER]])]
            means = [
                np.mean([naive(layers, choice, y, n, apart=(fold, on), on=on)[metric] for on in others]) for n in among
            ]
            expected.append(among[int(np.argmax(means))])
            habit.append(naive(layers, choice, y, choice.control, apart=(fold,), on=fold)[metric])
        chosen = scores.choose(metric)[1]
        assert chosen == expected
        judged = [naive(layers, choice, y, n, apart=(fold,), on=fold)[metric] for fold, n in enumerate(chosen)]
        assert scores.judge(metric, chosen).value == pytest.approx(np.mean(judged), abs=1e-6)
        assert scores.judge(metric, [choice.control] * 3).value == pytest.approx(np.mean(habit), abs=1e-6)
        assert {*scores.choose(metric, singles=True)[1]} <= {*choice.singles}


def test_the_best_on_all_classes_is_what_is_taken(data):
    layers, labels = data
    scores, choice, y = scores_of(layers, labels, recipes=["plain", "within"])
    for metric in METRICS:
        means = {}
        for number in scores.shortlist():
            own = [naive(layers, choice, y, number, apart=(fold,), on=fold)[metric] for fold in range(3)]
            means[number] = np.mean(own)
        assert means[scores.choose(metric)[0]] == pytest.approx(max(means.values()))


def test_vectors_are_those_that_are_fitted_for_use(data):
    layers, labels = data
    _, choice, y = scores_of(layers, labels)
    rows, own = np.flatnonzero(choice.folds[y] > 0), np.flatnonzero(choice.folds[y] == 0)
    from stages.core.representations.choice import list_sources

    for source, _ in list_sources(layers, dict.fromkeys(layers, ""), choice.candidates, y):
        for at, X in Fit(source, rows).vectors(own):
            each = source.candidates[at]
            made = Representation(each.arrays, each.recipe).fit({n: X[rows] for n, X in layers.items()}, y[rows])
            np.testing.assert_allclose(made.transform({n: X[own] for n, X in layers.items()}), X, atol=1e-5)


def test_neither_fit_nor_choice_sees_an_image_of_a_judged_class(data, monkeypatch):
    """Images of fold 1 that become noise change its own scores, but not what is chosen for it."""
    layers, labels = data
    fit_to, vectors, references = Fit.__init__, Fit.vectors, {}

    def noted(self, source, reference):
        references[id(self)] = (self, {*y[reference]})
        fit_to(self, source, reference)

    def checked(self, rows):
        assert not references[id(self)][1] & {*y[rows]}
        looked.append(len(rows))
        return vectors(self, rows)

    looked, (scores, choice, y) = [], scores_of(layers, labels)
    judged = np.isin(labels, [name for name, fold in zip(choice.classes, choice.folds, strict=True) if fold == 1])
    noise = {name: np.where(judged[:, None], 1e6 * X[::-1] ** 2, X) for name, X in layers.items()}
    other = scores_of(noise, labels)[0]
    monkeypatch.setattr(Fit, "__init__", noted)
    monkeypatch.setattr(Fit, "vectors", checked)
    for metric in METRICS:
        chosen = [each.choose(metric)[1] for each in (scores, other)]
        assert chosen[0][1] == chosen[1][1]
        values = [each.judge(metric, [n] * 3).value for each, (_, n, _) in zip((scores, other), chosen, strict=True)]
        assert values[0] != values[1]
    assert looked


def test_scores_without_a_class_are_those_of_the_rest(data):
    layers, labels = data
    scores, choice, y = scores_of(layers, labels)
    for metric, tolerance in (("probe_accuracy", 0.08), ("nmi", 0.15)):  # the probe and clusters start from all classes
        found = scores.judge(metric, [choice.control] * 3)
        assert found.without.shape == (15,)
        for k in (0, 7):
            rest = []
            for fold in range(3):
                own = (choice.folds[y] == fold) & (y != k)
                X = normalize(layers["layer2"][own])
                rest.append(wl.score({"X": X}, y[own], metrics=[metric], refits_metrics=[]).table.loc["X", metric])
            sizes = np.array([((choice.folds == fold) & (np.arange(15) != k)).sum() for fold in range(3)])
            assert found.without[k] == pytest.approx(rest @ sizes / 14, abs=tolerance)
            assert found.without[k] != found.value


def test_a_gain_is_the_paired_jackknife_of_the_difference():
    rng = np.random.default_rng(0)
    habit, chosen = (Judged(value, value + rng.normal(0, 0.01, 15)) for value in (0.4, 0.6))
    d = chosen.without - habit.without
    half = 2.144787 * np.sqrt(14 / 15 * ((d - d.mean()) ** 2).sum())  # Student's t, 14 degrees of freedom
    found = gain_of_judged(chosen, habit)
    assert [found.estimate, found.low, found.high] == pytest.approx([0.2, 0.2 - half, 0.2 + half])
    assert (found.status, found.scope) == ("pays" if found.low > 0 else "undecided", "classes")
    assert gain_of_judged(habit, chosen).high == pytest.approx(half - 0.2)
    few = [Judged(each.value, each.without[:9]) for each in (chosen, habit)]
    assert gain_of_judged(*few).estimate is None
    assert gain_of_judged(chosen, chosen).low is None


def test_an_image_finds_none_of_its_group_and_few_images_have_no_probe(data):
    """Two images of each group and class coincide, and two groups of a class leave four images for the probe."""
    layers, labels = data
    y = np.unique(labels, return_inverse=True)[1]
    few = np.concatenate([np.flatnonzero(y == k)[[0, 0, 1, 1]] for k in range(15)])
    layers, labels = {name: X[few] for name, X in layers.items()}, labels[few]
    metrics = ["nn1_accuracy", "probe_accuracy"]
    apart, together = (scores_of(layers, labels, of, metrics)[0] for of in (few, None))
    assert apart.metrics == ["nn1_accuracy"]
    habit = [2, 2, 2]
    assert together.judge("nn1_accuracy", habit).value == 1
    assert apart.judge("nn1_accuracy", habit).value < 0.9


@pytest.mark.parametrize(("classes", "folds"), [(3, 1), (6, 2), (9, 2)])
def test_few_classes_are_chosen_without_an_interval(classes, folds):
    scores, choice, _ = scores_of(*make_layers([6, 8], [6] * classes))
    assert len(choice.choosing) == folds
    for metric in METRICS:
        chosen, judged = scores.choose(metric)
        found = scores.judge(metric, judged)
        assert 0 <= found.value <= 1
        assert len(judged) == folds
        assert gain_of_judged(found, scores.judge(metric, [choice.control] * folds)).low is None
        assert choice.candidates[chosen].recipe in ("plain", "centred") or classes >= 8
