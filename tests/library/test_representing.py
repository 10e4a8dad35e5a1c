"""`choose_representation`: what it names, what it says that this gains, and the transformer that it makes."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_info, threadpool_limits

import stages.library as wl
from stages.aggregate.words.representations import brief_for_use
from stages.core.inference.gain import Gain
from stages.core.representations.candidates import Candidate
from stages.core.representations.dimensions import score_dimensions
from stages.core.representations.judging import Gallery
from stages.core.representations.representation import Origin
from stages.library import representing
from stages.library.checks import Layers
from stages.library.export import joined_records
from stages.library.representing import Representation
from stages.shared.embeddings.embeddings import Layer
from stages.shared.runtime import progress

CLASSES, IMAGES = 16, 8


def embeddings(seed: int = 0, nuisance: float = 3.0) -> dict[str, np.ndarray]:
    """Three layers in which classes differ little along a direction that varies much within all of them."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(CLASSES), IMAGES)
    classes, common = rng.standard_normal((CLASSES, 6)), rng.standard_normal((len(y), 3))
    layers = {}
    for number in range(3):
        of_class, of_image = rng.standard_normal((6, 20)), rng.standard_normal((3, 20))
        noise = rng.standard_normal((len(y), 20))
        layers[f"layer{number}"] = (classes[y] @ of_class + nuisance * common @ of_image + noise).astype(np.float32)
    return layers


LABELS = np.repeat([f"class {number:02}" for number in range(CLASSES)], IMAGES)


@pytest.fixture(scope="module")
def chosen():
    return wl.choose_representation(embeddings(), LABELS)


def test_a_long_choice_tells_how_far_it_is_and_keeps_blas_on_one_thread(monkeypatch, capsys):
    """Of several threads BLAS makes the choice slower, and other last digits."""
    limits, known = [], progress.progress
    monkeypatch.setattr(progress, "PLAIN_LINE_SECONDS", 0)

    def watched(items, **told):
        limits.extend(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return known(items, **told)

    monkeypatch.setattr(representing, "progress", watched)
    with threadpool_limits(2):
        assert str(wl.choose_representation(embeddings(), LABELS))
        assert max(library["num_threads"] for library in threadpool_info()) == 2
    assert set(limits) == {1}
    told = capsys.readouterr().err
    assert "joins without some classes: 1/" in told
    assert "joins by use: 1/3 uses" in told


def test_a_result_compares_joins_when_asked_and_fits_the_choice(chosen):
    """Of the unseen images that were scored; the arguments' order and seen images change nothing."""
    layers, seen = embeddings(), np.arange(len(LABELS) + 8) >= len(LABELS)
    more = {name: np.vstack([X, X[:8] + 9]) for name, X in layers.items()}
    labels = np.concatenate([LABELS, ["seen 1", "seen 2"] * 4])
    result = wl.score(more, labels, seen=seen, metrics=["map_at_r"], refits_halves=0)
    assert str(result).endswith("\n`result.recommend(use)` compares joins of layers, too.")
    assert "representation" not in vars(result)  # printing computes nothing
    assert str(result.representation) == str(chosen.narrowed("retrieval"))
    vectors = result.fit(8).transform(layers)
    assert np.array_equal(vectors, chosen.fit(8).transform(layers))
    with pytest.raises(wl.UserError, match="a result that was pickled lacks the embeddings: rescore them"):
        _ = pickle.loads(pickle.dumps(result)).representation


def test_a_recommendation_for_retrieval_names_the_representation(chosen):
    """With its gain over the best layer and over the habit; pickled results and single layers have none."""
    layers = Layers(embeddings(), dict.fromkeys(embeddings(), Layer("", "", 0, "mean", 20, 5, 7_000_000)))
    result = wl.score(layers, LABELS, metrics=["map_at_r", "nmi"], refits_halves=0)
    found = result.recommend("retrieval")
    own = found.representation
    assert (own.layers, own.join, own.recipe) == (chosen.best.arrays, chosen.best.join, chosen.best.recipe)
    assert (own.score, own.gain, own.gain_low) == (chosen.score, chosen.gain.estimate, chosen.gain.low)
    assert own.gain_over_layer == chosen.score - chosen.layer_score > 0.1
    assert (own.features, own.operations) == (chosen.fit().n_features_out_, 7e6)
    told = " ".join(repr(found).split())
    assert told.startswith(
        f"For retrieval take {own.name}: shown to be better than the habit. MAP@R within folds {own.score:.3f}, "
    )
    assert f"{own.gain:+.3f} [{own.gain_low:+.3f}, {own.gain_high:+.3f}] over the habit, layer2. " in told
    assert f"{own.features} features, 7 M multiply-adds (habit 7 M); result.fit(use='retrieval') makes it." in told
    assert f"Best single layer: {found.layer}: MAP@R {found.score:.3f}" in told
    clusters, rows = result.recommend("discovery").representation, chosen.uses["discovery"]
    assert (clusters.use, clusters.metric, clusters.score) == ("discovery", "nmi", rows["best of all"].score)
    assert clusters.gain == clusters.score - rows["habit"].score > 0.1
    assert f"NMI within folds {clusters.score:.3f}, " in " ".join(repr(result.recommend("discovery")).split())
    made = result.fit(use="discovery")
    assert (made.layers, made.recipe) == (clusters.layers, clusters.recipe)
    with pytest.raises(wl.UserError, match="use must be one that was looked at, found 'classifier'"):
        result.fit(use="classifier")
    assert pickle.loads(pickle.dumps(result)).recommend("retrieval").layer == found.layer
    alone = wl.score(layers, LABELS, metrics=["map_at_r"], refits_halves=0, joins=["single"], recipes=["plain"])
    assert alone.recommend("retrieval").representation is None
    assert "representation" not in vars(alone)


def test_a_recommendation_keeps_the_layer_where_joins_are_not_better_or_not_possible():
    few = np.isin(LABELS, ["class 00", "class 01", "class 02", "class 03"])
    layers = {"same": embeddings(nuisance=0)["layer0"][few]}
    one = wl.score(layers, LABELS[few], metrics=["map_at_r"], refits_halves=0, recipes=["plain"])
    assert one.recommend("retrieval").representation is None
    grouped = wl.score(layers, LABELS[few], LABELS[few], metrics=["map_at_r"], refits_halves=0)
    with pytest.warns(UserWarning, match="no joins of layers: every class must have images of at least two groups"):
        assert grouped.recommend("retrieval").representation is None


def test_a_score_narrows_what_its_representation_compares():
    result = wl.score(embeddings(), LABELS, metrics=["map_at_r"], refits_halves=0, joins=["all"], recipes=["centred"])
    listed = {(each.join, each.recipe) for each in result.representation.choice.candidates}
    assert listed == {("single", "plain"), ("all", "centred")}
    for wrong in ({"recipes": ["whitend"]}, {"joins": "all"}, {"control": "layer9"}):
        with pytest.raises(wl.UserError, match=f"^{next(iter(wrong))} must be"):
            wl.score({}, [], **wrong)


def test_a_score_compares_networks_or_sizes_with_the_control_that_is_named(chosen):
    """Their layers are in one table, the control last; joins are those of `choose_representation`."""
    networks = {64: embeddings(2, nuisance=0.1), "224": embeddings(1) | {"pixels": embeddings(5)["layer0"]}}
    how = {"joins": ["single", "all"], "recipes": ["plain", "within"], "control": ("224", "layer1")}
    result = wl.score(networks, LABELS, metrics=["map_at_r"], refits_halves=0, **how)
    names = [f"64 layer{n}" for n in range(3)] + ["224 layer0", "224 layer2", "224 layer1"]
    assert list(result.table.index) == ["pixels", *names]
    found = result.recommend("retrieval")
    assert found.layer.startswith("64 ")
    assert result.verdict().splitlines()[-1] == "Gains are over 224 layer1, which counts as the last layer."
    assert str(result.representation) == str(wl.choose_representation(networks, LABELS, **how).narrowed("retrieval"))
    assert result.representation.habit.arrays == ("224 layer1",)
    assert [each.arrays for each in result.representation.choice.candidates if each.join == "all"][:1] == [
        ("64 layer0", "64 layer1", "64 layer2")
    ]
    alone = wl.score(embeddings(), LABELS, metrics=["map_at_r"], refits_halves=0, control="layer0")
    assert alone.recommend("retrieval").gain != chosen.gain
    assert alone.representation.habit.arrays == ("layer0",)
    assert list(alone.table.index) == ["layer1", "layer2", "layer0"]


@pytest.mark.parametrize("function", [wl.score, wl.choose_representation])
@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"64": embeddings(), "224": embeddings()}, r"control must be .* found None; .* control=\('64', 'layer2'\)"),
        ({"64": embeddings(), "last": LABELS}, "found both: 'last' has no network; put it into one"),
        ({"habit": embeddings()}, "networks must have their own names, other than habit, .* found 'habit'; rename it"),
        ({64: embeddings(), "64": embeddings()}, "found one name twice; rename it"),
    ],
)
def test_networks_that_leave_something_open_are_refused(function, layers, message):
    with pytest.raises(wl.UserError, match=message):
        function(layers, LABELS)


def test_a_result_keeps_what_is_known_of_layers_and_groups():
    layers = Layers(embeddings(), dict.fromkeys(embeddings(), Layer("", "", 0, "mean", 20, 5, 7_000_000)))
    layers.origin = Origin("net", 32, "mean")
    groups = [f"{label} {number % 2}" for number, label in enumerate(LABELS)]
    found = wl.score(layers, LABELS, groups, metrics=["map_at_r"], refits_halves=0).representation
    assert found.table["operations"].unique().tolist() == [7e6]
    assert found.fit().origin == layers.origin
    assert str(found) == str(wl.choose_representation(layers, LABELS, groups).narrowed("retrieval"))


def test_what_varies_within_all_classes_is_taken_out(chosen):
    assert chosen.best.recipe in ("within", "whitened_within")
    assert chosen.score > chosen.layer_score + 0.1
    assert chosen.habit.arrays == ("layer2",)
    assert (chosen.habit.join, chosen.habit.recipe) == ("single", "plain")
    assert chosen.gain.low is not None
    assert 0 < chosen.gain.low <= chosen.gain.estimate <= chosen.gain.high
    assert chosen.table["map_at_r"].iloc[0] == pytest.approx(chosen.choice.values.max())
    first = " ".join(str(chosen).split())
    assert ", joins of layers included, take " in first
    assert f"{chosen.gain.estimate:+.3f} [{chosen.gain.low:+.3f}, {chosen.gain.high:+.3f}]" in first


def test_a_row_for_each_use_has_what_to_take_and_what_it_gains_and_costs(chosen):
    """The habit's score is of its own vectors, in every fold."""
    X, y = embeddings()["layer2"], np.unique(LABELS, return_inverse=True)[1]
    scored = [
        wl.score({"X": normalize(X[own])}, y[own], metrics=["probe_accuracy", "nmi"], refits_metrics=[]).table.loc["X"]
        for own in (chosen.choice.folds[y] == fold for fold in range(3))
    ]
    sizes = np.bincount(chosen.choice.folds)
    expected = {"classifier": "probe_accuracy", "discovery": "nmi"}
    lines = {line.split()[0]: line for line in str(chosen).splitlines()}
    assert [*chosen.uses] == ["classifier", "retrieval", "discovery"]
    for use in chosen.uses:
        habit, layer, best = (chosen.summary.loc[(use, what)] for what in ("habit", "best single layer", "best of all"))
        if use in expected:
            assert habit["score"] == pytest.approx(np.average([own[expected[use]] for own in scored], weights=sizes))
            assert best["gain"] == pytest.approx(best["score"] - habit["score"])
        assert best["low"] <= best["gain"] <= best["high"]
        assert best["score"] > layer["score"] + 0.05
        cells = [f"{row['score']:.3f}" for row in (habit, layer, best)]
        cells += [f"{best['gain']:+.3f}", f"[{best['low']:+.3f},", f"{best['high']:+.3f}]"]
        assert lines[use].split() == [use, *cells, str(chosen.fit(use=use).n_features_out_)]
        assert best["representation"] in " ".join(str(chosen).split())
    assert lines["habit"].split() == ["habit", "20"]
    assert max(map(len, str(chosen).splitlines())) <= 80
    assert [*chosen.summary.loc["retrieval"].index] == [
        "habit",
        "habit, any recipe",
        "best single layer",
        "best of all",
    ]


def test_candidates_of_other_uses_have_their_scores(chosen):
    uses = ["nn1_accuracy", "nmi", "probe_accuracy"]
    scored = chosen.table.dropna(subset=uses)
    assert {*range(2)} <= {*scored.index}
    assert len(scored) < 10
    X, y = embeddings()["layer2"], np.unique(LABELS, return_inverse=True)[1]
    right = []
    for fold in range(3):
        own = chosen.choice.folds[y] == fold
        cosines = normalize(X[own]) @ normalize(X[own]).T
        np.fill_diagonal(cosines, -2)
        right.append((y[own][cosines.argmax(axis=1)] == y[own]).mean())
    habit = scored[(scored["layers"] == "layer2") & (scored["recipe"] == "plain")]
    assert habit["nn1_accuracy"].item() == pytest.approx(np.average(right, weights=np.bincount(chosen.choice.folds)))


def test_a_use_without_enough_images_is_left_out():
    few = np.tile(np.arange(IMAGES) < 4, CLASSES)
    found = wl.choose_representation({name: X[few] for name, X in embeddings().items()}, LABELS[few])
    assert [*found.uses] == ["retrieval", "discovery"]
    assert [*found.narrowed("discovery").uses] == ["discovery"]
    assert "retrieval" not in str(found.narrowed("discovery"))


def test_the_page_has_what_is_taken_for_each_use(chosen):
    records = joined_records(chosen, "words", "net")
    assert [each.use for each in records] == [*chosen.uses]
    for each in records:
        best = chosen.uses[each.use]["best of all"]
        assert (each.value, each.gain_over_last) == (best.score, best.gain)
        assert tuple(each.layers) == chosen.best_for(each.use).arrays
    told = brief_for_use(records[0])
    assert told.startswith("classifier: joins of layers included, take ")
    assert f"Linear probe accuracy {records[0].value:.3f} (best single layer " in told
    lower = records[0].model_copy(update={"value": 0.1})
    assert brief_for_use(lower).startswith("classifier: joins of layers score lower than the best single layer. Linear")


def test_where_joins_gain_nothing_the_words_are_of_the_habit_or_the_layer(chosen):
    rows = chosen.uses["classifier"]
    lower, layer = chosen.narrowed(None), replace(rows["best single layer"], number=0, score=1.1)
    vars(lower)["uses"] = {"classifier": rows | {"best single layer": layer}}
    shown = layer.gain.status == "pays"
    words = "take layer0 alone: shown to be better than the habit" if shown else "try layer0 alone: undecided"
    assert f"{words} (joins score lower)." in " ".join(str(lower).split())
    assert lower.better("classifier") is None
    nothing = replace(rows["best of all"], gain=Gain(-0.1, -0.2, 0.1, scope="classes"))
    vars(lower)["uses"] = {"classifier": rows | {"best of all": nothing}}
    assert "the habit does as well as layer" in " ".join(str(lower).split())


def test_the_transformer_gives_unit_vectors_and_is_kept(chosen, tmp_path):
    layers, made = embeddings(), chosen.fit()
    vectors = made.transform(layers)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    made.save(tmp_path / "made.safetensors")
    np.testing.assert_array_equal(Representation.load(tmp_path / "made.safetensors").transform(layers), vectors)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(chosen)).fit().transform(layers), vectors)
    assert chosen.fit(dimensions=8).transform(layers).shape == (len(LABELS), 8)


def test_of_several_networks_the_control_is_named_and_none_are_joined():
    networks = {"small": embeddings(1), "large": embeddings(2, nuisance=0.1)}
    found = wl.choose_representation(networks, LABELS, control=("small", "layer2"), joins=["single", "all"])
    assert found.habit.arrays == ("small layer2",)
    assert {each.split()[0] for each in found.best.arrays} == {"large"}
    assert all(len({name.split()[0] for name in each.arrays}) == 1 for each in found.choice.candidates)
    summary = found.summary.loc["retrieval"]
    assert list(summary.index) == [
        "habit",
        "habit, any recipe",
        "best single layer",
        "small",
        "large",
        "best of all",
    ]
    assert summary.loc["small", "score"] < summary.loc["large", "score"] == pytest.approx(found.score)
    vectors = found.fit().transform(networks["large"])
    assert vectors.shape == (len(LABELS), summary.loc["best of all", "features"])


def test_fewer_dimensions_are_scored_with_axes_of_other_classes(chosen):
    layers, curve = embeddings(), chosen.curve["map_at_r"]
    y, folds = np.unique(LABELS, return_inverse=True)[1], chosen.choice.folds
    assert list(curve.index) == [32, chosen.fit().n_features_out_]
    assert curve.iloc[-1] == pytest.approx(chosen.choice.values[chosen.choice.chosen], abs=1e-3)
    scores = []
    for fold in range(folds.max() + 1):
        own = folds[y] == fold
        reference, judged = ({name: X[rows] for name, X in layers.items()} for rows in (~own, own))
        made = Representation(chosen.best.arrays, chosen.best.recipe, 32).fit(reference, LABELS[~own])
        vectors = made.transform(judged)
        scores.append(Gallery(np.arange(own.sum()), y[own], np.arange(own.sum())).score(vectors @ vectors.T))
    assert curve[32] == pytest.approx(np.concatenate(scores).mean(), abs=1e-3)


def test_dimensions_are_scored_over_all_classes_or_not_at_all():
    """Whitening leaves 32 dimensions without one fold, 18 without the other."""
    rng = np.random.default_rng(0)
    y, folds = np.repeat(np.arange(9), range(2, 11)), np.array([0] * 5 + [1] * 4)
    layers, own_groups = {"layer": rng.standard_normal((len(y), 80))}, np.arange(len(y))
    curve = score_dimensions(layers, y, own_groups, folds, Candidate(("layer",), "single", "whitened"), [5, 25, 40])
    scores = []
    for rows in (folds[y] == 0, folds[y] == 1):
        made = Representation(("layer",), "whitened").fit({"layer": layers["layer"][~rows]}, y[~rows])
        vectors = made.transform({"layer": layers["layer"][rows]})
        scores.append(Gallery(np.flatnonzero(rows), y, own_groups).score(vectors @ vectors.T))
    assert list(curve) == [5, 32]
    assert curve[32] == pytest.approx(np.concatenate(scores).mean())


def test_drawn_images_are_counted_without_a_setting_that_there_is_not(monkeypatch):
    monkeypatch.setattr(representing, "MAX_IMAGES", 80)
    found = wl.choose_representation(embeddings(), LABELS, recipes=["plain"])
    assert found.notes == ["scores are of 80 images drawn from 128"]
    assert "Scores are of 80 images drawn from 128." in " ".join(str(found).split())


def test_images_that_are_drawn_have_neighbours_of_other_groups(monkeypatch):
    monkeypatch.setattr(representing, "MAX_IMAGES", 2 * CLASSES)
    groups = np.where(np.arange(len(LABELS)) % IMAGES == 5, "one writer", "another")
    assert wl.choose_representation(embeddings(), LABELS, groups, recipes=["plain"]).notes
    monkeypatch.undo()
    few = wl.score(embeddings(), LABELS, groups, metrics=["map_at_r"], refits_halves=0, max_images=5 * CLASSES)
    assert few.representation.notes


def test_few_classes_fit_no_axes():
    few = np.isin(LABELS, [f"class {number:02}" for number in range(6)])
    found = wl.choose_representation({name: X[few] for name, X in embeddings().items()}, LABELS[few])
    assert {each.recipe for each in found.choice.candidates} == {"plain", "centred"}
    assert found.gain.low is None
    assert found.summary["low"].isna().all()
    assert list(found.curve.index)[-1] == found.fit().n_features_out_


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recipes": ["whitend"]}, "recipes must be known ones, found 'whitend'.* did you mean 'whitened'"),
        ({"joins": ["last4"]}, "joins must be known ones, found 'last4'.* did you mean 'last_4'"),
        ({"recipes": "plain"}, "recipes must be a list of names, found 'plain'"),
        ({"joins": None}, "joins must be a list of names, found None"),
        ({"joins": iter(["single"])}, "joins must be a list of names, found"),
        ({"control": "layer9"}, "control must be an array's name, found 'layer9'"),
        ({"control": ""}, "control must be an array's name, found ''"),
        ({"control": (1, 2)}, "control must be an array's name, found '1 2'"),
    ],
)
def test_unknown_names_are_refused(given, message):
    with pytest.raises(wl.UserError, match=message):
        wl.choose_representation(embeddings(), LABELS, **given)


@pytest.mark.parametrize("layers", [embeddings()["layer0"], None, [embeddings()]])
def test_layers_must_be_a_dict(layers):
    with pytest.raises(wl.UserError, match=r"layers must be a dict .* for example choose_representation\("):
        wl.choose_representation(layers, LABELS)


def test_two_arrays_of_one_name_are_refused():
    X = embeddings()["layer0"]
    with pytest.raises(wl.UserError, match="found 'net a b' twice; rename a network"):
        wl.choose_representation({"net": {"a b": X}, "net a": {"b": X}}, LABELS)


def test_the_images_themselves_are_no_candidate():
    layers = embeddings()
    found = wl.choose_representation({**layers, "pixels": layers["layer0"]}, LABELS, recipes=["plain"])
    assert found.habit.arrays == ("layer2",)
    assert not found.table["layers"].str.contains("pixels").any()


def test_of_classes_too_few_for_folds_it_says_that_the_score_is_too_high():
    few = np.isin(LABELS, [f"class {number:02}" for number in range(3)])
    told = " ".join(str(wl.choose_representation({n: X[few] for n, X in embeddings().items()}, LABELS[few])).split())
    assert "3 classes, too few for folds" in told
    assert "took no part" not in told


@pytest.mark.parametrize("dimensions", [[0], [-1], [1.5], ["a"], 5])
def test_dimensions_that_are_no_numbers_of_axes_are_refused(chosen, dimensions):
    with pytest.raises(wl.UserError, match="list of whole numbers from 1 on"):
        chosen.curve_at(dimensions)


def test_a_network_without_layers_is_refused():
    with pytest.raises(wl.UserError, match="every network must have a layer, found none in 'small'; leave it out"):
        wl.choose_representation({"large": embeddings(), "small": {"pixels": embeddings()["layer0"]}}, LABELS)


def test_tables_of_a_network_must_have_the_order_of_the_labels():
    table = pd.DataFrame(embeddings()["layer0"])
    with pytest.raises(wl.UserError, match="layer0' must have the index of labels in the same order"):
        wl.choose_representation({"large": {"layer0": table}}, pd.Series(LABELS).sample(frac=1, random_state=0))


@pytest.mark.parametrize("given", [[["all"]], []])
@pytest.mark.parametrize("what", ["joins", "recipes"])
def test_what_is_no_list_of_names_is_refused(what, given):
    with pytest.raises(wl.UserError, match="must be a list of names"):
        wl.choose_representation({"a": np.ones((4, 2))}, ["x", "x", "y", "y"], **{what: given})
