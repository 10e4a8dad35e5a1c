"""What is recommended for a use follows from the tables' own numbers."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.facts import Missing
from stages.aggregate.recommend.decide import _fine_tuning, recommend_all, recommend_network
from stages.aggregate.recommend.regret import regret_table
from stages.core.inference import scopes
from stages.core.inference.gain import Gain, Payoff, ties
from stages.core.inference.layer_comparison import best_of_two, losses_at_most, score_intervals
from stages.core.inference.scopes import class_inference
from stages.core.scores.catalogue import SCORES
from tests.aggregate.recommend import made
from tests.aggregate.refit_frames import refits_of


def of_tables(layers, refits):
    """What is recommended for discovery on dataset `d`, by all folds that the tables have, and the regrets in it."""
    layers, refits = (table[table["dataset"] == "d"] for table in (layers, refits))
    run = made.RUN.model_copy(update={"datasets": ["d"], "folds": list(layers["fold"].unique())})
    (network,), summary, scores = made.candidates(layers, refits, run)
    regrets = regret_table(network, summary, scores)
    return recommend_network(network, scores, regrets, worthwhile=0.02), regrets


@cache
def usual():
    """What is recommended on `separated(0)`."""
    return of_tables(*separated(0))[0]


def separated(seed, pixels=0.0, **tables):
    """Random tables in which raw pixels score this much in every refit; classes differ little, folds a bit more."""
    layers, refits = made.tables(seed, **tables)
    layers.loc[(layers["layer"] == "pixels") & (layers["metric"] == "nmi"), "value"] = pixels
    again = ["dataset", "fold", "seed", "step", "layer"]
    unseen = layers[(layers["metric"] == "nmi") & (layers["split"] == "unseen")].set_index(again)["value"]
    around = unseen.reindex(pd.MultiIndex.from_frame(refits[again])).to_numpy()
    noise = np.random.default_rng(seed).normal(0, 0.02, len(refits))
    return layers, refits.assign(value=around + noise)


@pytest.mark.parametrize(("seed", "better"), [(0, "higher"), (1, "higher"), (2, "lower")])
def test_the_best_mean_over_folds_is_recommended_with_its_cost(seed, better):
    layers, refits = separated(seed, pixels=0.0 if better == "higher" else 2.0, better=better)
    every, regrets = recommend_all(*made.gathered(layers, refits), worthwhile=0.02)
    found = next(each for each in every if (each.dataset, each.use) == ("d", "discovery"))
    regrets = regrets[regrets["metric"] == "nmi"]
    own = layers[(layers["metric"] == "nmi") & (layers["split"] == "unseen") & (layers["dataset"] == "d")]
    means = own[own["depth"] >= 0].groupby(["step", "layer"])["value"].mean()
    step, name = means.idxmax() if better == "higher" else means.idxmin()
    best = found.recommended
    assert (best.step, best.layer, best.depth) == (step, name, made.LAYERS.index(name))
    assert (best.value, best.last_value) == pytest.approx((means[step, name], means[step, "e"]))
    assert (best.parameters, best.parameters_share) == (10 * (best.depth + 1), pytest.approx((best.depth + 1) / 5))
    assert (best.operations, best.operations_share) == (1000 * (best.depth + 1) ** 2, (best.depth + 1) ** 2 / 25)
    assert found.missing == []
    assert found.candidate_steps == [0, 50]
    own = regrets[(regrets["dataset"] == "d") & (regrets["fold"] == "mean")]
    own = own[["criterion", "value", "regret_at_most", "regret_at_least"]]
    shown = [[each.criterion, each.value, each.at_most, each.at_least] for each in found.regret]
    assert shown == own.to_numpy().tolist()
    of_d = regrets["dataset"].eq("d") & regrets["fold"].ne("mean")
    for each in found.regret:
        folds = regrets[of_d & regrets["criterion"].eq(each.criterion)]
        middle = (folds["regret_at_least"] + folds["regret_at_most"]) / 2
        assert each.error == pytest.approx(middle.std() / len(folds) ** 0.5)


@pytest.mark.parametrize(("seed", "better"), [(0, "higher"), (1, "higher"), (2, "lower")])
def test_a_gain_is_that_of_the_choice_of_the_other_folds_on_the_one_left_out(seed, better):
    layers, refits = made.tables(seed, better=better)
    found, _ = of_tables(layers, refits)
    own = layers[(layers["metric"] == "nmi") & (layers["split"] == "unseen") & (layers["dataset"] == "d")]
    every = own[own["depth"] >= 0].groupby(["fold", "step", "layer"])["value"].mean()
    every = every if better == "higher" else -every

    def gained(scores, at, layer):
        lead = []
        for fold in made.FOLDS:
            chosen = scores.drop(fold, level="fold").groupby(["step", "layer"]).mean().idxmax()
            lead.append(scores[(fold, *chosen)] - scores[fold, at, layer])
        return np.mean(lead)

    assert found.gain_over_last.crossvalidated == pytest.approx(gained(every, 50, "e"))
    assert found.gain_over_before.crossvalidated == pytest.approx(gained(every, 50, "d"))
    untrained = every[every.index.get_level_values("step") == 0]
    best = untrained.groupby("layer").mean().idxmax()
    assert (found.untrained.layer.step, found.untrained.layer.layer) == (0, best)
    expected = None if best == "e" else pytest.approx(gained(untrained, 0, "e"))
    assert found.untrained.gain_over_last.estimate == expected


def leading(*leads):
    """Tables in which layers are better than the last one by this much, at every step."""
    layers, refits = separated(0)
    of_layer = dict(zip(made.LAYERS, (*leads, 0.0), strict=True))
    for table in (layers, refits):
        known = table["metric"].eq("nmi") & table["layer"].isin(list(made.LAYERS))
        noise = np.random.default_rng(0).normal(0, 0.001, len(table))
        table.loc[known, "value"] = (0.5 + table["layer"].map(of_layer) + noise)[known]
    return layers, refits


def test_where_choosing_does_not_pay_the_last_layer_of_the_last_checkpoint_is_taken():
    tables = leading(-0.3, -0.2, -0.1, 0.0)
    found, _ = of_tables(*tables)
    assert found.gain_over_last.status == Payoff.DOES_NOT_PAY
    assert (found.best.layer, found.best.step) == ("e", 50)
    assert (found.gain_over_last.estimate, found.gain_over_before.estimate) == (None, None)
    assert 0 < found.gain_over_last.at_most < 0.02
    assert found.best.classes.value == found.best.value  # of a layer that was not chosen
    assert found.best.classes.low < found.best.value < found.best.classes.high
    assert found.untrained.layer.layer == "e"
    stricter, _ = recommend_all(*made.gathered(*tables), worthwhile=0.0)  # of all uses, on both datasets
    assert {each.gain_over_last.status for each in stricter} == {Payoff.UNDECIDED}


def test_where_choosing_pays_the_best_layer_is_taken_before_and_after_fine_tuning():
    found, _ = of_tables(*leading(-0.3, 0.2, -0.1, 0.0))
    assert found.gain_over_last.status == found.untrained.gain_over_last.status == Payoff.PAYS
    assert (found.best.layer, found.untrained.layer.layer) == ("b", "b")


def test_of_a_single_layer_no_gain_is_known():
    layers, refits = (table[table["layer"].isin(["pixels", "a"])] for table in separated(0))
    found, _ = of_tables(layers, refits)
    assert found.gain_over_last == found.gain_over_before == Gain()


def test_gains_of_a_single_fold_are_in_the_scope_of_its_interval():
    layers, refits = (table[table["fold"] == "0"] for table in made.tables(3))
    found, _ = of_tables(layers, refits)
    assert found.gain_over_last.at_most == 1  # as far as scores are apart
    assert found.gain_over_last.scope == found.gain_over_before.scope == found.best.scope == "images"
    assert found.gain_over_last.low <= found.gain_over_last.estimate <= found.gain_over_last.high
    without, _ = of_tables(layers, refits[refits["kind"] != "half"])
    assert without.gain_over_last == Gain()


def test_the_shortlist_and_fine_tuning_are_the_recipe_applied_to_the_arrays():
    layers, refits = separated(0)
    found, _ = of_tables(layers, refits)

    def arrays(step):
        own = layers[(layers["metric"] == "nmi") & (layers["split"] == "unseen") & (layers["step"] == step)]
        own = own[(own["dataset"] == "d") & (own["depth"] >= 0)].sort_values(["fold", "seed", "depth"])
        again = refits[(refits["dataset"] == "d") & (refits["step"] == step) & (refits["kind"] == "class")]
        again = again[again["depth"] >= 0].sort_values(["fold", "seed", "part", "depth"])
        return refits_of(
            own["value"].to_numpy(dtype=float).reshape(3, 2, 5),
            again["value"].to_numpy(dtype=float).reshape(3, 2, 4, 5),
        )

    tied = ties(class_inference(arrays(found.recommended.step)))
    assert found.shortlist_scope == "classes"
    assert [each.layer for each in found.shortlist] == [made.LAYERS[i] for i in np.flatnonzero(tied)]
    of_all = score_intervals(class_inference(arrays(0), arrays(50)), SCORES["nmi"])[1]
    of_its_checkpoint = score_intervals(class_inference(arrays(found.best.step)), SCORES["nmi"])[1]
    chosen = found.best.classes
    assert (chosen.value, chosen.low, chosen.high) == pytest.approx((of_all.value, of_all.low, of_all.high))
    assert of_all.value < of_its_checkpoint.value < found.best.value  # the more it was chosen from
    bounds = losses_at_most(class_inference(arrays(0), arrays(50))).reshape(2, 5)
    for each in [found.best, *found.shortlist]:
        assert each.loss_at_most == pytest.approx(bounds[found.candidate_steps.index(each.step), each.depth])
    change = best_of_two(class_inference(arrays(50), arrays(0)), 5)
    assert (found.fine_tuning.step, found.fine_tuning.scope) == (50, "classes")
    assert (found.fine_tuning.change, found.fine_tuning.low, found.fine_tuning.high) == pytest.approx(
        (change.value, *change.interval())
    )
    both, last = class_inference(arrays(50), arrays(0)), found.fine_tuning.last
    lasts = both.contrasts(np.array([[0, 0, 0, 0, 1, 0, 0, 0, 0, -1.0]])).estimate(0)
    assert lasts.value == pytest.approx(arrays(50).values[..., 4].mean() - arrays(0).values[..., 4].mean())
    assert (last.change, last.low, last.high) == pytest.approx((lasts.value, *lasts.interval()))
    assert last.scope == "classes"


@pytest.mark.parametrize(("seed", "better"), [(0, "higher"), (1, "higher"), (2, "lower"), (3, "lower")])
def test_what_a_layer_may_lose_at_most_is_no_less_than_what_it_loses_here(seed, better):
    found, _ = of_tables(*separated(seed, pixels=0.0 if better == "higher" else 2.0, better=better))
    assert found.shortlist
    for record in (found.best, *found.shortlist):
        assert record.loss_at_most >= abs(found.best.value - record.value)


def test_unknown_costs_are_none():
    """Embeddings from files have no parameters and no operations."""
    layers, refits = separated(0)
    found, _ = of_tables(layers.assign(operations=0, parameters=0), refits)
    for each in (found.recommended, *found.shortlist):
        assert (each.parameters, each.parameters_share, each.operations, each.operations_share) == (None,) * 4
    assert found.missing == []


def test_a_network_that_raw_pixels_beat_gets_no_recommendation():
    found, _ = of_tables(*separated(0, pixels=0.99))
    assert (found.recommended, found.doubtful, found.shortlist) == (None, [], [])
    assert (found.unbeaten.name, found.unbeaten.value) == ("raw_pixels", pytest.approx(0.99))


def test_a_network_not_shown_to_beat_raw_pixels_is_recommended_with_a_caveat():
    best = usual().recommended.value
    for below, doubtful in ((0.001, ["raw_pixels"]), (best, [])):
        layers, refits = separated(0, pixels=best - below)
        found, _ = of_tables(layers.assign(chance=np.nan), refits)
        assert found.recommended.value == pytest.approx(best)
        assert (found.doubtful, found.chance) == (doubtful, None)


def test_whether_pixels_are_beaten_takes_account_of_all_checkpoints():
    best, shown = usual().recommended, []
    for below in np.linspace(0.01, 0.3, 4):
        layers, refits = separated(0, pixels=best.value - below)
        (network, _), *_ = made.candidates(layers, refits)
        shown.append(network.unshown_levels(0, 50))
        assert of_tables(layers, refits)[0].doubtful == shown[-1]
    assert [] in shown
    assert ["raw_pixels"] in shown


def test_all_that_is_said_of_a_choice_is_in_a_scope_in_which_all_checkpoints_are_known(monkeypatch):
    """Of two folds many classes tell of others before any training, and of the later checkpoint nothing does."""
    monkeypatch.setattr(scopes, "MIN_CLASSES", 8)
    layers, refits = separated(0)
    layers, refits = (table[table["fold"].isin(["0", "1"])] for table in (layers, refits))
    tuned = (layers["step"] == 50) & (layers["metric"] == "nmi") & (layers["layer"] != "pixels")
    layers = layers.assign(value=layers["value"] - 0.15 * tuned)
    found, _ = of_tables(layers, refits)
    best = found.best
    assert (best.step, found.shortlist_scope, best.scope, best.classes) == (0, "images", "images", None)
    assert all(each.loss_at_most is not None for each in found.shortlist)


def test_without_intervals_the_means_decide_whether_raw_pixels_are_beaten():
    layers, refits = separated(0)
    for pixels, beaten in ((0.0, True), (0.99, False)):
        layers.loc[(layers["layer"] == "pixels") & (layers["metric"] == "nmi"), "value"] = pixels
        found, _ = of_tables(layers, refits.head(0))
        assert (found.recommended is not None) == beaten
        assert {each.at_least for each in found.regret} == {None}
        assert (found.shortlist_scope, found.fine_tuning) == (None, None)
        assert found.missing == [Missing.HALVES]


def test_a_network_at_chance_gets_no_recommendation():
    layers, refits = made.tables(0)
    layers = layers[layers["layer"] != "pixels"].assign(chance=1.0)
    found, _ = of_tables(layers, refits[refits["layer"] != "pixels"])
    assert found.pixels is None
    assert (found.unbeaten.name, found.unbeaten.value) == ("chance", 1.0)


def test_a_layer_exactly_at_chance_is_not_recommended():
    layers, refits = (table[table["layer"] != "pixels"] for table in made.tables(0))
    best = of_tables(layers, refits)[0].best.value
    found, _ = of_tables(layers.assign(chance=best), refits)
    assert found.recommended is None
    found, _ = of_tables(layers.assign(chance=best - 1e-9), refits)
    assert found.recommended.value == pytest.approx(best)


@pytest.mark.parametrize("unknown", [0, 1])
def test_where_a_value_of_either_checkpoint_is_missing_fine_tuning_is_not_judged(unknown):
    (network, _), summary, scores = made.candidates(*separated(0))
    regrets = regret_table(network, summary, scores)
    assert recommend_network(network, scores, regrets, worthwhile=0.02).fine_tuning is not None
    incomplete = network.refits | {network.steps[unknown]: None}
    found = recommend_network(replace(network, refits=incomplete), scores, regrets, worthwhile=0.02)
    assert found.fine_tuning is None
    chosen_unknown = network.steps[unknown] == found.best.step
    assert (found.best.loss_at_most is None) == chosen_unknown
    assert (found.best.scope is None) == chosen_unknown


def test_a_checkpoint_that_was_not_fitted_again_on_halves_is_no_candidate():
    layers, refits = made.tables(0)
    without_halves = layers, refits[(refits["step"] == 50) | (refits["kind"] != "half")]
    unknown = (layers["step"] == 0) & (layers["layer"] == "b")
    without_a_value = layers.assign(value=layers["value"].mask(unknown)), refits
    for tables in (without_halves, without_a_value):
        found, _ = of_tables(*tables)
        assert (found.candidate_steps, found.best.step) == ([50], 50)


def test_without_halves_a_checkpoint_that_was_not_scored_without_classes_is_no_candidate():
    layers, refits = made.tables(0)
    classes = refits[refits["kind"] == "class"]
    for rows, steps in ((classes[classes["step"] == 50], [50]), (classes, [0, 50]), (classes.head(0), [0, 50])):
        assert of_tables(layers, rows)[0].candidate_steps == steps


def test_of_several_later_checkpoints_the_best_was_chosen_too():
    rng, steps, L = np.random.default_rng(2), (0, 10, 20, 30), 5
    refits = {s: refits_of(0.1 * rng.normal(size=(4, 1, L)), 0.1 * rng.normal(size=(4, 1, 5, L))) for s in steps}
    means = np.stack([each.values.mean(axis=(0, 1)) for each in refits.values()])
    network = SimpleNamespace(means=means, steps=list(steps), refits=refits, points=range(L))
    first, *later = refits.values()
    found, expected = _fine_tuning(network), best_of_two(class_inference(*later, first), 3 * L)
    assert (found.step, found.change) == (steps[means[1:].max(axis=1).argmax() + 1], pytest.approx(expected.value))
    assert found.change < best_of_two(class_inference(refits[found.step], first), L).value


def test_fine_tuning_is_judged_by_the_best_layer_where_the_last_one_never_varies():
    rng, L = np.random.default_rng(2), 3
    arrays = {s: [s / 20 + 0.1 * rng.normal(size=(4, 1, *n, L)) for n in ((), (5,))] for s in (0, 10)}
    for values in (each for of_step in arrays.values() for each in of_step):
        values[..., -1] = -9
    refits = {step: refits_of(*of_step) for step, of_step in arrays.items()}
    means = np.stack([each.values.mean(axis=(0, 1)) for each in refits.values()])
    found = _fine_tuning(SimpleNamespace(means=means, steps=[0, 10], refits=refits, points=range(L)))
    expected = best_of_two(class_inference(refits[10], refits[0]), L)
    assert (found.change, found.last) == (pytest.approx(expected.value), None)


def test_no_layer_may_lose_more_than_the_scores_limits_are_apart():
    layers, refits = separated(0)
    found, _ = of_tables(layers.assign(value=5 * layers["value"]), refits)
    assert max(each.loss_at_most for each in found.shortlist) == 1
