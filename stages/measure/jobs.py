"""What one cell's measurement consists of: its jobs, and the settings of each split."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.measure.analyses.registry import ANALYSES, Extra
from stages.measure.embedded_split import Settings
from stages.measure.metrics import HEAD_SCORES, LAYER_SCORES, PROBE, is_clustered
from stages.measure.params import MeasureParams, chosen_steps
from stages.measure.scores.kmeans import Search
from stages.measure.scores.neighbours import others
from stages.shared.core.seeding import child_seed
from stages.shared.embeddings.embedding_store import Embeddings, Layer
from stages.shared.embeddings.split_names import SEEN, TRAIN, UNSEEN, parse_corrupted_split
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import row_keys


@dataclass(frozen=True)
class Job:
    """One layer of one split at one step, and what to compute of it.

    Attributes:
        step: the checkpoint's step; for the raw-pixel baseline, which is the same at every step, the first.
        split: the split's name.
        layer: the layer.
        metrics: names of scores of layers.
        analyses: names from `ANALYSES`; at the last step, of some at the first as well, and of the baseline.
        refits: names of scores that are fitted again.
    """

    step: int
    split: str
    layer: Layer
    metrics: tuple[str, ...]
    analyses: tuple[str, ...] = ()
    refits: tuple[str, ...] = ()

    @property
    def keys(self) -> dict[str, Any]:
        """What names the embedding's rows in tables."""
        return row_keys(self.step, self.split, *self.layer.keys)


def plan_jobs(store: Embeddings, params: MeasureParams) -> list[Job]:
    """List every layer of every split at every step, the baseline once for each split, in the order of the tables."""
    jobs = []
    for step, split, layer in product(store.steps, store.splits, store.layers):
        if not is_baseline(layer):
            jobs.append(job_at(step, split, layer, store.steps, params))
        elif step == store.steps[0]:  # once, with what is asked for at any step, in the order of the last
            at_steps = [job_at(each, split, layer, store.steps, params) for each in reversed(store.steps)]
            metrics, analyses, refits = (
                tuple(dict.fromkeys(name for job in at_steps for name in getattr(job, names)))
                for names in ("metrics", "analyses", "refits")
            )
            jobs.append(Job(step, split, layer, metrics, analyses, refits))
    return [job for job in jobs if job.metrics or job.analyses]


def is_baseline(layer: Layer) -> bool:
    """Whether a layer is the raw-pixel baseline."""
    return layer.depth < 0


def job_at(step: int, split: str, layer: Layer, steps: Sequence[int], params: MeasureParams) -> Job:
    """Name what is asked for of one layer of one split at one step: the probe only at its own steps, as are refits.

    Analyses are of the last of the checkpoints' `steps`, some of the first as well.
    """
    probed = step in chosen_steps(params.probe.steps, steps)
    wanted = wanted_at(step, steps, params)
    metrics = tuple(name for name in wanted if name in LAYER_SCORES and (probed or name != PROBE))
    here = [name for name in params.analyses if ANALYSES[name].belongs_to(split)]
    analyses = tuple(n for n in here if step == steps[-1] or (step == steps[0] and ANALYSES[n].ends))
    refitted = split == UNSEEN and step in chosen_steps(params.refits.steps, steps)
    names = [name for name in params.refits.metrics if params.refits_clusters or not is_clustered(name)]
    refits = tuple(name for name in names if name in metrics and refitted)
    return Job(step, split, layer, metrics, analyses, refits)


def wanted_at(step: int, steps: Sequence[int], params: MeasureParams) -> list[str]:
    """Names of the scores that are asked for at one step."""
    return params.all_metrics if step in chosen_steps(params.extra.steps, steps) else params.metrics


def head_metrics(step: int, store: Embeddings, params: MeasureParams) -> tuple[str, ...]:
    """Names of the scores of the network's own head at one step; none where there are no logits of its images."""
    if SEEN not in store.splits or not store.classes:
        return ()
    return tuple(name for name in wanted_at(step, store.steps, params) if name in HEAD_SCORES)


def extra_splits(store: Embeddings) -> dict[Extra, tuple[str, ...]]:
    """Splits that were embedded at the last checkpoint alone, by what analyses call them."""
    splits = store.last_step.splits if store.last_step else ()
    found: dict[Extra, tuple[str, ...]] = {
        "train": tuple(split for split in splits if split == TRAIN),
        "corrupted": tuple(split for split in splits if parse_corrupted_split(split)),
    }
    return {kind: names for kind, names in found.items() if names}


def settings_of(store: Embeddings, split: str, params: MeasureParams) -> Settings:
    """How one split's scores are computed."""
    reference = UNSEEN if params.knn_k == "paper" else split
    largest = int(np.unique(store.labels(reference), return_counts=True)[1].max())
    y, own_groups = np.unique(store.labels(split), return_inverse=True)[1], None
    groups = groups_of(store, split) if params.neighbours == "other_groups" else None
    if groups is not None:
        check_groups(groups, f"the split `{split}`")
        own_groups = np.unique(groups, return_inverse=True)[1]
    return Settings(
        normalize=params.normalize,
        neighbours=min(largest, int(others(y, own_groups)[1].min())),
        search=Search(params.kmeans.starts, params.kmeans.polished, params.kmeans.seed),
        C=params.probe.C,
        folds=params.probe.folds,
        probe_seed=child_seed(store.seed, "probe folds"),
        few_shot_seed=child_seed(store.seed, "few-shot episodes"),
        own_groups=own_groups,
    )


def check_groups(groups: NDArray[np.str_], what: str) -> None:
    """Refuse images of one group, of which none would have a neighbour of another.

    Raises:
        UserError: there is one; names it.
    """
    if len(np.unique(groups)) < 2:
        raise UserError(
            f"measure.neighbours: {what} must have images of at least two groups, so that all have neighbours of "
            f"another one, found {groups[0]!r} alone; choose `all`, or add groups"
        )


def groups_of(store: Embeddings, split: str) -> NDArray[np.str_] | None:
    """Groups of one split's images; None where images have none."""
    samples = store.samples[store.samples["split"] == split]
    grouped = "group" in samples and (samples["group"] != "").any()
    return samples["group"].to_numpy(dtype=str) if grouped else None
