"""The regret of a choice: by how much the best candidate is better, on classes that the choice did not know."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from scipy.stats import t as student

from stages.aggregate.curves import MEAN, equally_best
from stages.aggregate.inference.contrasts import LEVEL, Float64
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.criteria import Choice, all_criteria, criterion_of
from stages.aggregate.tables.regret import Among, RegretRow

MIN_PAIRS = 3
"""Pairs of a dataset and a network below which a mean regret has no interval."""

REFERENCE = "two_thirds"
"""The baseline that a criterion should beat."""

Pair = tuple[str, str]
"""A dataset and a network."""


def regret(halves: Float64, choice: Choice) -> tuple[float, float]:
    """Score a choice and the best candidate on images on which the best one was not chosen.

    The best candidate of each half is scored on the other half of the images, both ways, and so is the choice: the
    maximum's optimism is not counted as regret. A choice may do better than that best one, a negative regret.

    Args:
        halves: (B, T, L) scores on halves, higher is better; halves 2 i and 2 i + 1 are a pair.
        choice: the candidates, of which one is drawn at random.

    Returns:
        The choice's score and the best candidate's, means over halves. Their difference is the regret.
    """
    B = len(halves)
    flat = halves.transpose(0, 2, 1).reshape(B, -1)  # of equally good candidates the shallowest, then the earliest
    best = equally_best(flat, "higher").argmax(axis=1)
    steps, layers = zip(*choice, strict=True)
    return float(halves[:, steps, layers].mean()), float(flat[np.arange(B) ^ 1, best].mean())


def regret_rows(networks: Sequence[Candidates], folds: Sequence[str]) -> list[RegretRow]:
    """Compute the regret of every criterion, for every network, fold by fold and over folds.

    Args:
        networks: what can be chosen; those without scores on halves have no rows.
        folds: in the order of the networks' arrays.

    Returns:
        The rows of regret.csv. A criterion that lacks what it needs has none, one that lacks it on some fold no mean.
    """
    rows: list[RegretRow] = []
    for network in networks:
        if network.halves is not None:
            of_folds = [row for fold, name in enumerate(folds) for row in _of_fold(network, fold, name)]
            rows += [*of_folds, *_means(of_folds, len(folds))]
    return rows


def _of_fold(network: Candidates, fold: int, name: str) -> Iterator[RegretRow]:
    assert network.halves is not None
    row, halves, known = network.row, network.halves[fold], network.known[fold]
    criteria = all_criteria(known.label_free)
    among: dict[Among, tuple[slice, list[tuple[str, Choice | None]]]] = {
        "layers_and_checkpoints": (slice(None), [(key, each.choose(known)) for key, each in criteria.items()]),
        "layers": (slice(-1, None), [(key, each.choose(known.at_last_step())) for key, each in criteria.items()]),
    }
    for candidates, (steps, choices) in among.items():
        for criterion, choice in choices:
            if choice is None:
                continue
            value, best = regret(halves[:, steps], choice)
            step, layer = choice[0]
            point = network.points.iloc[layer] if len(choice) == 1 else None  # else one is drawn at random
            yield RegretRow(
                dataset=row.dataset,
                model=row.model,
                fold=name,
                metric=row.metric,
                candidates=candidates,
                criterion=criterion,
                kind=criteria[criterion].kind,
                layer=None if point is None else str(point["layer"]),
                depth=None if point is None else int(point["depth"]),
                step=network.steps[steps][step],
                value=network.sign * value,
                best_value=network.sign * best,
                regret=best - value,
            )


def _means(rows: Sequence[RegretRow], n_folds: int) -> Iterator[RegretRow]:
    """Average over folds; the choice is named where it was the same for all."""
    by_choice: dict[tuple[str, str], list[RegretRow]] = {}
    for row in rows:
        by_choice.setdefault((row.candidates, row.criterion), []).append(row)
    for group in by_choice.values():
        first, same = group[0], {(row.layer, row.depth) for row in group}
        if len(group) == n_folds:
            yield replace(
                first,
                fold=MEAN,
                layer=first.layer if len(same) == 1 else None,
                depth=first.depth if len(same) == 1 else None,
                step=first.step if len({row.step for row in group}) == 1 else None,
                value=float(np.mean([row.value for row in group])),
                best_value=float(np.mean([row.best_value for row in group])),
                regret=float(np.mean([row.regret for row in group])),
            )


@dataclass(frozen=True)
class MeanRegret:
    """A criterion's regret over pairs of a dataset and a network.

    Attributes:
        value: the mean.
        low, high: its interval by Student's t over pairs; None below `MIN_PAIRS`.
        pairs: how many.
    """

    value: float
    low: float | None
    high: float | None
    pairs: int


def mean_regret(regrets: Sequence[float]) -> MeanRegret:
    """Average regrets, one of each pair of a dataset and a network."""
    values = np.asarray(regrets, dtype=np.float64)
    n, mean = len(values), float(values.mean())
    if n < MIN_PAIRS:
        return MeanRegret(mean, None, None, n)
    error = float(values.std(ddof=1) / np.sqrt(n) * student.ppf((1 + LEVEL) / 2, n - 1))
    return MeanRegret(mean, mean - error, mean + error, n)


@dataclass(frozen=True)
class CriterionRegret:
    """What one criterion lost to the best, on average.

    Attributes:
        criterion: the criterion.
        by_dataset: mean over a dataset's networks, against the best layer at the last step.
        overall: over all pairs of a dataset and a network.
        beyond_reference: how much more than `REFERENCE`; None of that itself.
        with_checkpoints: against the best layer at any checkpoint.
    """

    criterion: str
    by_dataset: dict[str, float]
    overall: MeanRegret
    beyond_reference: MeanRegret | None
    with_checkpoints: MeanRegret


@dataclass(frozen=True)
class RegretSummary:
    """What choosing a layer cost over pairs of a dataset and a network, by the main score."""

    metric: str
    datasets: list[str]
    n_pairs: int
    criteria: list[CriterionRegret]


def summarize_regrets(rows: Sequence[RegretRow], pairs: Sequence[Pair]) -> RegretSummary | None:
    """Average every criterion's regret over pairs of a dataset and a network; None where nothing is known.

    Args:
        rows: of regret.csv.
        pairs: those that count.
    """
    regrets: dict[tuple[str, str], dict[Pair, float]] = {}
    for row in rows:
        if row.fold == MEAN and (row.dataset, row.model) in pairs:
            regrets.setdefault((row.criterion, row.candidates), {})[row.dataset, row.model] = row.regret
    if not regrets:
        return None
    reference, criteria = regrets.get((REFERENCE, "layers"), {}), []
    for criterion in _in_order(name for name, _ in regrets):
        layers = regrets.get((criterion, "layers"))
        if layers:
            beyond = [value - reference.get(pair, np.nan) for pair, value in layers.items()]
            criteria.append(
                CriterionRegret(
                    criterion,
                    {
                        dataset: float(np.mean([value for _, value in group]))
                        for dataset, group in groupby(layers.items(), lambda item: item[0][0])
                    },
                    mean_regret(list(layers.values())),
                    None if criterion == REFERENCE else mean_regret(beyond),
                    mean_regret(list(regrets[criterion, "layers_and_checkpoints"].values())),
                )
            )
    return RegretSummary(rows[0].metric, list(dict.fromkeys(dataset for dataset, _ in pairs)), len(pairs), criteria)


def _in_order(names: Iterable[str]) -> list[str]:
    """Sort names of criteria as tables have them."""
    known = dict.fromkeys(names)
    label_free = dict.fromkeys(score for name in known if (score := criterion_of(name).score))
    return [name for name in all_criteria(label_free) if name in known]
