"""Which representation to take from a network, from representations.csv: chosen as a layer is, on other sets or folds.

Of a frozen network every set is judged by what was chosen on the others, fitted without it. Of a fine-tuned one, a
fold's network and recipes have not seen its unseen classes. Those of the other folds, which choose for it, have.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...core.inference.best import best_candidate
from ...core.inference.contrasts import Float64
from ...core.inference.representations import gain_of, gain_over_folds
from ...core.representations.candidates import Candidate
from ...core.representations.choice import Choice
from ...core.scores.refits import class_groups, left_out_part
from ...shared.tables.metric_table import ALL_BUT_ONE_CLASS, CHOOSING, JUDGED, LAYERS_SEPARATOR
from ..facts import RepresentationRecord

KEYS = ["layers", "join", "recipe"]


def representations(table: pd.DataFrame) -> Iterator[RepresentationRecord]:
    """Yield what to take from each network of each dataset, in the order of the grid.

    Args:
        table: `CELL_COLUMNS` and those of the analysis, of sets in the place of folds where there are any. Of several
            seeds of a frozen network, which differ if weights are random, means are taken, as of layers. A fine-tuned
            network of one fold has nothing to choose on.
    """
    for (dataset, model), rows in table.groupby(["dataset", "model"], sort=False):
        if (rows["kind"] == CHOOSING).any():
            of_seeds = rows.groupby(["fold", *KEYS, "kind", "part"], sort=False, dropna=False)["value"]
            yield record_of(choice_of(of_seeds.mean().reset_index()), str(dataset), str(model))
        elif rows["fold"].nunique() > 1:
            yield tuned_record(rows, str(dataset), str(model))


def tuned_record(rows: pd.DataFrame, dataset: str, model: str) -> RepresentationRecord:
    """Record what is chosen of one fine-tuned network, among its pre-trained and last checkpoint."""
    rows = rows.sort_values("step", kind="stable")
    candidates, steps = rows[KEYS].drop_duplicates(), rows["step"].unique().tolist()
    values, left = (_arranged(rows, kind, candidates) for kind in (JUDGED, ALL_BUT_ONE_CLASS))
    means = np.nanmean(values, axis=3)  # (T, J, S, C)
    scores = means.mean(axis=2).swapaxes(0, 1)  # (J, T, C)
    singles = np.flatnonzero((candidates["join"] == "single") & (candidates["recipe"] == "plain"))
    best = best_candidate(scores.mean(axis=0))
    assert best is not None, "MAP@R is finite"
    layers, join, recipe = candidates.iloc[best[1]]
    return RepresentationRecord(
        dataset=dataset,
        model=model,
        layers=layers.split(LAYERS_SEPARATOR),
        join=join,
        recipe=recipe,
        value=over_other_folds(scores),
        layer_value=over_other_folds(scores[:, :, singles]),
        last_layer=candidates["layers"].iloc[singles[-1]],
        last_value=scores[:, -1, singles[-1]].mean(),
        gain_over_last=gain_over_folds(means, left, int(singles[-1])),
        n_classes=int(np.isfinite(values[0, :, 0, :, 0]).sum()),
        n_sets=len(scores),
        n_candidates=scores[0].size,
        step=steps[best[0]],
        of_steps=(over_other_folds(scores[:, :1]), over_other_folds(scores[:, -1:])) if len(steps) > 1 else None,
    )


def over_other_folds(scores: Float64) -> float:
    """Choose on all folds but each of (J, T, C), and average what that scores on this fold."""
    chosen = [best_candidate(np.delete(scores, fold, axis=0).mean(axis=0)) for fold in range(len(scores))]
    return float(np.mean([own[best] for own, best in zip(scores, chosen, strict=True)]))


def _arranged(rows: pd.DataFrame, kind: str, candidates: pd.DataFrame) -> Float64:
    """Return the scores of one kind, (T, J, S, P, C) of P parts, with NaN if a fold has fewer parts."""
    cell, own = ["step", "fold", "seed"], rows[rows["kind"] == kind].sort_values("part", kind="stable")
    own = own.assign(part=own.groupby([*cell, *KEYS], sort=False).cumcount())
    axes = [*(rows[name].unique() for name in cell), own["part"].unique()]
    table = own.pivot(index=[*cell, "part"], columns=KEYS, values="value")
    found = table.reindex(pd.MultiIndex.from_product(axes), columns=pd.MultiIndex.from_frame(candidates))
    return found.to_numpy(np.float64).reshape(*map(len, axes), len(candidates))


def record_of(choice: Choice, dataset: str, model: str) -> RepresentationRecord:
    """Record what is chosen of one network."""
    own = choice.candidates[choice.chosen]
    return RepresentationRecord(
        dataset=dataset,
        model=model,
        layers=list(own.arrays),
        join=own.join,
        recipe=own.recipe,
        value=choice.score,
        layer_value=choice.score_of(choice.judged_single),
        last_layer=choice.candidates[choice.control].arrays[0],
        last_value=float(choice.values[choice.control]),
        gain_over_last=gain_of(choice, range(len(choice.candidates))),
        n_classes=len(choice.classes),
        n_sets=len(choice.choosing),
        n_candidates=len(choice.candidates),
    )


def choice_of(rows: pd.DataFrame) -> Choice:
    """Return the scores of all candidates as they were measured; gains are over the plain last layer."""
    candidates = rows[KEYS].drop_duplicates()
    listed = pd.MultiIndex.from_frame(candidates)

    def of(kind: str, by: str) -> pd.DataFrame:
        return rows[rows["kind"] == kind].pivot(index=KEYS, columns=by, values="value").reindex(listed)

    judged, choosing = of(JUDGED, "part"), of(CHOOSING, "fold")
    fold_of = dict(zip(*(rows.loc[rows["kind"] == JUDGED, name] for name in ("part", "fold")), strict=True))
    sets = sorted(map(str, choosing), key=int)
    singles = np.flatnonzero((candidates["join"] == "single") & (candidates["recipe"] == "plain"))
    classes = tuple(map(str, judged))
    parts = [left_out_part([classes[k] for k in group]) for group in class_groups(classes)]
    without = of(ALL_BUT_ONE_CLASS, "part")
    return Choice(
        candidates=tuple(Candidate(tuple(own[0].split(LAYERS_SEPARATOR)), own[1], own[2]) for own in listed),
        classes=classes,
        folds=np.array([sets.index(fold_of[name]) for name in classes]),
        class_scores=judged.to_numpy(),
        without=without[parts if len(without.columns) else []].to_numpy().T,
        choosing=choosing[sets].to_numpy().T,
        control=int(singles[-1]),
    )
