"""Which representation to take from a frozen network, from representations.csv: chosen as a layer is, on other sets."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...core.inference.representations import gain_of
from ...core.representations.candidates import Candidate
from ...core.representations.choice import Choice
from ...core.scores.refits import class_groups, left_out_part
from ...shared.tables.metric_table import ALL_BUT_ONE_CLASS, CHOOSING, JUDGED, LAYERS_SEPARATOR
from ..facts import RepresentationRecord

KEYS = ["layers", "join", "recipe"]


def representations(table: pd.DataFrame) -> Iterator[RepresentationRecord]:
    """Yield what to take from each network of each dataset, in the order of the grid.

    Args:
        table: `CELL_COLUMNS` and those of the analysis, of sets in the place of folds. Of several seeds, which differ
            if weights are random, means are taken, as of layers.
    """
    of_seeds = table.groupby(["dataset", "model", "fold", *KEYS, "kind", "part"], sort=False, dropna=False)["value"]
    for (dataset, model), rows in of_seeds.mean().reset_index().groupby(["dataset", "model"], sort=False):
        yield record_of(choice_of(rows), str(dataset), str(model))


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
