"""Seen and unseen classes on equal terms: as many classes, as many images of each."""

from collections.abc import Iterator, Sequence

import numpy as np

from ...core.scores.arrays import Classes, Rows
from ...core.scores.catalogue import ScoreValue, needs_of, score_split, scored_by
from ...core.scores.embedded_split import EmbeddedSplit
from ...core.scores.neighbours import subset_scans
from ...shared.embeddings.embeddings import Layer
from ...shared.embeddings.split_names import SEEN, SEEN_MATCHED, UNSEEN, UNSEEN_MATCHED
from ...shared.workflow.seeding import child_seed
from ..cell import Cell
from .result import AnalysisResult, ScoreRow

DRAWS = 50
"""Number of random selections."""

SCORES = scored_by("seen_matched")
SEED_NAMES = {SEEN_MATCHED: "seen", UNSEEN_MATCHED: "unseen"}
"""Of the draws: the selections, and so the scores, hang on them."""

NOTE = (
    "seen_matched: the split {!r} has a class of one image, so that selections hold one of every class; the scores "
    "need two and are empty"
)

LONELY = "seen_matched: {} of {} selections of the split {!r} left out: their images are all of one group"

NO_SCORE = ScoreValue(np.nan)


def seen_matched(cell: Cell, layer: Layer, split: EmbeddedSplit) -> AnalysisResult:
    """Mean scores of one layer over random selections of test images, and of unseen images of equal numbers.

    A selection holds as many classes as the split of fewer classes has (the unseen one, as a rule), and of each class
    as many images as the smallest class of either split has. Where that is one, no two images share a class: all NaN.
    Where no image is a neighbour of its own group, selections of a single group are left out.
    """
    splits = {SEEN_MATCHED: cell.embedded(layer, cell.step, SEEN, cell.params.normalize), UNSEEN_MATCHED: split}
    K = min(len(each.class_sizes) for each in splits.values())
    n = int(min(each.class_sizes.min() for each in splits.values()))
    alone = [name for name, each in zip((SEEN, UNSEEN), splits.values(), strict=True) if each.class_sizes.min() == 1]
    scores, notes = [], [NOTE.format(alone[0])] if alone else []
    for split_name, (name, each) in zip((SEEN, UNSEEN), splits.items(), strict=True):
        seed = child_seed(cell.store.seed, "matched selections", SEED_NAMES[name])
        drawn = list(selections(each.y, K, n, seed)) if n > 1 else []
        usable = [rows for rows in drawn if each.leaves_neighbours(rows)]
        if len(usable) < len(drawn):
            notes.append(LONELY.format(len(drawn) - len(usable), len(drawn), split_name))
        found = means(each, usable) if usable else dict.fromkeys(SCORES, NO_SCORE)
        scores += [ScoreRow(name, m, s, K * n, K) for m, s in found.items()]
    return AnalysisResult(scores=scores, notes=notes)


def selections(y: Classes, K: int, n: int, seed: int) -> Iterator[Rows]:
    """Draw `DRAWS` selections of n images of each of K classes, without replacement.

    Yields:
        (K * n,) indices, ascending; one selection only where there is no choice.
    """
    random = np.random.default_rng(seed)
    sizes = np.bincount(y)
    no_choice = len(sizes) == K and bool((sizes == n).all())
    for _ in range(1 if no_choice else DRAWS):
        classes = random.choice(len(sizes), K, replace=False)
        yield np.sort(np.concatenate([random.choice(np.flatnonzero(y == c), n, replace=False) for c in classes]))


def means(split: EmbeddedSplit, selected: Sequence[Rows]) -> dict[str, ScoreValue]:
    """Mean value, chance and ceiling of every score over selections."""
    search, needs = split.settings.search.reduced, needs_of(SCORES)
    chosen = np.stack([np.isin(np.arange(len(split.y)), rows) for rows in selected])
    found = []
    scans = subset_scans(split.X, split.y, chosen, own_groups=split.settings.own_groups)
    for images, scan in zip(chosen, scans, strict=True):
        scores = score_split(split.part(images, search=search, needs=needs, scan=scan), SCORES)
        found.append([(score.value, score.chance, score.ceiling) for score in scores.values()])
    return {name: ScoreValue(*mean) for name, mean in zip(SCORES, np.mean(found, axis=0).tolist(), strict=True)}
