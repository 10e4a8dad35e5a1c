"""The regret table agrees with a slow loop over the rows of random tables, and sees no label of the left-out fold."""

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.recommend.criteria import CRITERIA
from stages.aggregate.recommend.regret import REGRET_COLUMNS, known_scores, regret, regret_on_halves, regret_table
from tests.aggregate.recommend import made

CHOICE = ["fold", "criterion", "layer", "depth", "step"]


def table(layers, refits, dataset="d"):
    candidates, summary, scores = made.candidates(layers, refits)
    found = pd.concat([regret_table(each, summary, scores) for each in candidates])
    assert list(found) == list(REGRET_COLUMNS)
    return found[found["dataset"] == dataset].reset_index(drop=True)


def score(rows, **where):
    """Mean over seeds of one score, looked up row by row."""
    values = [row["value"] for row in rows if all(row[name] == value for name, value in where.items())]
    assert len(values) == len(made.SEEDS)
    return sum(values) / len(values)


def slow(layers, refits, fold, steps, sign):
    """Choice of some criteria for one fold of dataset `d`, its score and the best one, and both on halves, by loops."""
    rows = [row for row in layers.to_dict("records") if row["dataset"] == "d"]
    again = [row for row in refits.to_dict("records") if row["dataset"] == "d" and row["fold"] == fold]
    pairs = [(step, layer) for step in steps for layer in made.LAYERS]
    others = [each for each in made.FOLDS if each != fold]

    def on(fold, split="unseen", metric="nmi", step=50):
        return {la: score(rows, fold=fold, split=split, metric=metric, step=step, layer=la) for la in made.LAYERS}

    def half(number, step, layer):
        return score(again, kind="half", part=str(number), step=step, layer=layer)

    elsewhere = {(s, la): sum(on(f, step=s)[la] for f in others) for s, la in pairs}
    seen, probe = on(fold, "test"), on(fold, "test", "probe_accuracy")
    chosen = {
        "other_folds": max(pairs, key=lambda pair: sign * elsewhere[pair]),
        "last_layer": (50, "e"),
        "two_thirds": (50, "d"),
        "seen_score": (50, max(seen, key=lambda layer: sign * seen[layer])),
        "tunnel": (50, next(layer for layer in made.LAYERS if probe[layer] >= 0.95 * max(probe.values()))),
    }
    here = {(s, la): on(fold, step=s)[la] for s, la in pairs}
    best = max(here.values(), key=lambda value: sign * value)
    best_of_half = 0.0
    for number in range(made.HALVES):
        winner = max(pairs, key=lambda pair: sign * half(number, *pair))
        best_of_half += half(number + 1 if number % 2 == 0 else number - 1, *winner) / made.HALVES
    on_halves = {name: np.mean([half(n, *pair) for n in range(made.HALVES)]) for name, pair in chosen.items()}
    return chosen, {name: here[pair] for name, pair in chosen.items()}, best, on_halves, best_of_half


@pytest.mark.parametrize(("seed", "better"), [(0, "higher"), (1, "higher"), (2, "lower")])
def test_it_agrees_with_a_slow_loop(seed, better):
    layers, refits = made.tables(seed, better=better)
    found, sign = table(layers, refits), 1 if better == "higher" else -1
    for fold in made.FOLDS:
        chosen, value, best, on_halves, best_of_half = slow(layers, refits, fold, made.STEPS, sign)
        own = found[found["fold"] == fold].set_index("criterion")
        for name, (step, layer) in chosen.items():
            row = own.loc[name]
            assert (row["step"], row["layer"], row["depth"]) == (step, layer, made.LAYERS.index(layer))
            assert row[["value", "best_value", "regret_at_most", "regret_at_least"]].tolist() == pytest.approx(
                [value[name], best, sign * (best - value[name]), sign * (best_of_half - on_halves[name])]
            )
    assert (found["regret_at_most"] >= 0).all()


def test_the_mean_is_over_folds_and_names_a_choice_that_all_share():
    found = table(*made.tables(0))
    folds, mean = found[found["fold"] != "mean"], found[found["fold"] == "mean"].set_index("criterion")
    for name in ("value", "best_value", "regret_at_most", "regret_at_least"):
        expected = folds.groupby("criterion")[name].mean()
        assert mean[name].to_dict() == pytest.approx(expected.to_dict())
    assert list(mean.index) == list(folds["criterion"].unique()) == [name for name in CRITERIA if name in mean.index]
    assert mean.loc["two_thirds", ["layer", "depth", "step"]].tolist() == ["d", 3, 50]
    assert mean.loc["seen_score", "layer"] == ""
    assert mean.loc["random_layer", "layer"] == ""


@pytest.mark.parametrize("seed", range(3))
def test_the_choice_for_a_fold_does_not_see_its_unseen_classes(seed):
    """Labels enter by scores alone: with other ones on the fold, every choice for it stays, and its score does not."""
    layers, refits = made.tables(seed)
    before = table(layers, refits)
    labelled = (layers["split"] == "unseen") & (layers["fold"] == "1")
    other, other_refits = made.tables(seed + 100)
    own = (layers["dataset"] == "d") & labelled
    of_fold = (refits["fold"] == "1") & (refits["dataset"] == "d")
    after = table(
        layers.assign(value=layers["value"].where(~own, other["value"])),
        refits.assign(value=refits["value"].where(~of_fold, other_refits["value"])),
    )
    at_fold = before["fold"] == "1"
    pd.testing.assert_frame_equal(before.loc[at_fold, CHOICE], after.loc[at_fold, CHOICE])
    for name in ("value", "regret_at_least"):
        assert (before.loc[at_fold, name] != after.loc[at_fold, name]).all()
    elsewhere = before["fold"].isin(["0", "2"]) & (before["criterion"] == "other_folds")
    assert (before.loc[elsewhere, CHOICE] != after.loc[elsewhere, CHOICE]).any(axis=None)


def test_without_halves_the_regret_is_bounded_from_above_alone():
    with_halves, without = table(*made.tables(0)), table(*made.tables(0, halves=False))
    assert without["regret_at_least"].isna().all()
    assert set(without["criterion"]) == set(with_halves["criterion"])
    assert without["regret_at_most"].notna().all()


def test_what_was_not_measured_has_no_row():
    layers, refits = made.tables(0)
    found = table(layers[~layers["metric"].isin(["probe_accuracy"])], refits)
    assert set(CRITERIA) - set(found["criterion"]) == {"tunnel"}


def test_a_case_by_hand():
    """Half 0 finds the second layer best, which has 0.4 on half 1; half 1 the first, which has 0.5 on half 0."""
    halves = np.array([[[0.5, 0.9, 0.2]], [[0.6, 0.4, 0.3]]])
    assert regret_on_halves(halves, [(0, 0)]) == pytest.approx(0.45 - 0.55)
    assert regret_on_halves(halves, [(0, 0), (0, 2)]) == pytest.approx(0.45 - 0.4)
    assert regret(halves[0], [(0, 0)]) == pytest.approx((0.5, 0.9))
    assert regret(halves[0], [(0, 0), (0, 2)]) == pytest.approx((0.35, 0.9))


def test_the_best_checkpoint_is_chosen_with_the_layer():
    halves = np.array([[[0.1, 0.2], [0.7, 0.3]], [[0.1, 0.2], [0.6, 0.9]]])  # best: (1, 0), then (1, 1)
    assert regret_on_halves(halves, [(0, 1)]) == pytest.approx((0.6 + 0.3) / 2 - 0.2)
    assert regret_on_halves(halves[:, :1], [(0, 1)]) == pytest.approx(0)
    assert regret(halves[0], [(0, 1)]) == pytest.approx((0.2, 0.7))


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_the_true_regret_lies_between_the_two_on_average(spread):
    """Layers that differ by `spread`, whose scores on all images are the means of their scores on two halves."""
    random = np.random.default_rng(0)
    true = spread * random.normal(size=9)
    halves = true + random.normal(size=(4000, 2, 1, 9))
    at_most, at_least = [], []
    for pair in halves:
        value, best = regret(pair.mean(axis=0), [(0, 4)])
        at_most.append(best - value)
        at_least.append(regret_on_halves(pair, [(0, 4)]))
    truth = true.max() - true[4]
    assert min(at_most) >= 0
    assert np.mean(at_most) > truth + 0.01
    assert np.mean(at_least) < truth + 0.05
    assert spread or abs(np.mean(at_least)) < 0.05  # layers that do not differ have no regret


def test_other_datasets_are_all_but_a_networks_own():
    (first, second), summary, scores = made.candidates(*made.tables(0))
    depths = [each.row.best_depth / each.row.last_depth for each in (first, second)]
    assert depths[0] != depths[1]
    for network, elsewhere in ((first, depths[1]), (second, depths[0])):
        assert [known.other_datasets for known in known_scores(network, summary, scores)] == [(elsewhere,)] * len(
            made.FOLDS
        )
