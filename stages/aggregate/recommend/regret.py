"""The regret of a choice: by how much the best candidate is better, on classes that the choice did not know."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from stages.aggregate.curves import MEAN, equally_best
from stages.aggregate.inference.contrasts import Float64
from stages.aggregate.recommend.candidates import Candidates
from stages.aggregate.recommend.criteria import Choice, all_criteria, criterion_of
from stages.aggregate.recommend.schema import Recommendation, RegretRecord
from stages.aggregate.tables.regret import Among, RegretRow


def regret(scores: Float64, choice: Choice) -> tuple[float, float]:
    """Score a choice and the best candidate, chosen and scored on the same images: their difference is too large.

    Args:
        scores: (T, L), higher is better.
        choice: the candidates, of which one is drawn at random.
    """
    steps, layers = zip(*choice, strict=True)
    return float(scores[steps, layers].mean()), float(np.nanmax(scores))


def regret_on_halves(halves: Float64, choice: Choice) -> float:
    """Score a choice and the best candidate of each half on the other half of the images: the difference is too small.

    Args:
        halves: (B, T, L) scores on halves, higher is better; halves 2 i and 2 i + 1 are a pair.
        choice: the candidates, of which one is drawn at random.

    Returns:
        The regret, mean over halves; below 0 where the choice does better than the layers that were best on halves.
    """
    B = len(halves)
    flat = halves.transpose(0, 2, 1).reshape(B, -1)  # of equally good candidates the shallowest, then the earliest
    best = equally_best(flat, "higher").argmax(axis=1)
    steps, layers = zip(*choice, strict=True)
    return float(flat[np.arange(B) ^ 1, best].mean() - halves[:, steps, layers].mean())


def regret_rows(networks: Sequence[Candidates], folds: Sequence[str]) -> list[RegretRow]:
    """Compute the regret of every criterion, for every network and use, fold by fold and over folds.

    Args:
        networks: what can be chosen.
        folds: in the order of the networks' arrays.

    Returns:
        The rows of regret.csv. A criterion that lacks what it needs has none, one that lacks it on some fold no mean.
    """
    rows: list[RegretRow] = []
    for network in networks:
        of_folds = [row for fold, name in enumerate(folds) for row in _of_fold(network, fold, name)]
        rows += [*of_folds, *_means(of_folds, len(folds))]
    return rows


def _of_fold(network: Candidates, fold: int, name: str) -> Iterator[RegretRow]:
    row, known = network.row, network.known[fold]
    criteria = all_criteria(known.label_free)
    among: dict[Among, tuple[slice, list[tuple[str, Choice | None]]]] = {
        "layers_and_checkpoints": (slice(None), [(key, each.choose(known)) for key, each in criteria.items()]),
        "layers": (slice(-1, None), [(key, each.choose(known.at_last_step())) for key, each in criteria.items()]),
    }
    for candidates, (steps, choices) in among.items():
        for criterion, choice in choices:
            if choice is None:
                continue
            value, best = regret(network.gains[fold, steps], choice)
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
                regret_at_most=best - value,
                regret_at_least=None
                if network.halves is None
                else regret_on_halves(network.halves[fold][:, steps], choice),
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
                regret_at_most=float(np.mean([row.regret_at_most for row in group])),
                regret_at_least=None
                if first.regret_at_least is None
                else float(np.mean([row.regret_at_least for row in group])),
            )


def summarize_regrets(
    recommendations: Sequence[Recommendation], kinds: Collection[str] = ()
) -> dict[str, dict[str, tuple[float | None, float]]]:
    """Average what every way of choosing, by default of all kinds, lost to the best, over datasets and networks.

    Returns:
        Use -> criterion -> at least and at most; without a criterion that is not known of every pair.
    """
    by_use: dict[str, list[Recommendation]] = {}
    for each in recommendations:
        if each.recommended is not None and each.last_depth > 0:
            by_use.setdefault(each.use, []).append(each)
    summaries = {}
    for use, networks in by_use.items():
        regrets: dict[str, list[RegretRecord]] = {}
        for record in (record for network in networks for record in network.regret):
            regrets.setdefault(record.criterion, []).append(record)
        summaries[use] = {
            criterion: (_mean([each.at_least for each in group]), float(np.mean([each.at_most for each in group])))
            for criterion, group in regrets.items()
            if len(group) == len(networks) and (not kinds or criterion_of(criterion).kind in kinds)
        }
    return summaries


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
