"""Which folds a dataset has, and why no others: of images that are there, or of what is yet to be downloaded."""

from collections.abc import Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path

from ..prepare.candidates import Candidate, Split
from ..prepare.folds import MAX_DEFAULT_FOLDS, count_choices
from ..prepare.params import DatasetParams
from ..prepare.raw_data import has_only_source_file
from ..prepare.splits import FoldPlan, plan_folds
from ..shared.runtime.errors import UserError, prefix_errors
from ..shared.workflow.params import ALL
from .config import Config

DOWNLOADS = {"calligraphy": (20, 0, 0), "cifar100": (100, 500, 100)}
"""Sources that download: number of classes, and of train and test images in each (0: not the same in every class)."""

PLENTY = 100
"""Images of a class where neither source nor entry says how many."""


def is_absent(config: Config, raw: Path, dataset: str) -> bool:
    """Return whether a dataset is yet to be downloaded."""
    return config.datasets[dataset].source in DOWNLOADS and has_only_source_file(raw / dataset)


def is_counted(params: DatasetParams) -> bool:
    """Return whether the source in `DOWNLOADS`, or its entry, says how many images there are."""
    limits = (params.train or params.train_total, params.test or params.test_total)
    return bool(DOWNLOADS[params.source][1] or (params.unseen and (params.all_unseen or all(limits))))


def expected_images(params: DatasetParams) -> list[Candidate]:
    """Make up images of a source in `DOWNLOADS`: as many as it has or, where it does not say, as the entry asks for."""
    classes, train, test = DOWNLOADS[params.source]
    unseen = () if params.all_unseen else params.unseen_classes or ()
    named = dict.fromkeys([*(params.seen_classes or ()), *unseen])
    seen = len(params.seen_classes or ()) or max(1, classes - (len(unseen) or params.unseen_count or 0))
    totals = [ceil((total or 0) / seen) for total in (params.train_total, params.test_total)]
    counts: dict[Split, int] = {
        "train": train or max(params.train or 0, totals[0], params.unseen or 0) or PLENTY,
        "test": test or max(params.test or 0, totals[1]) or PLENTY,
    }
    return [
        Candidate(f"{split}/{label}/{number}", label, split, "", bytes)
        for label in [*named, *(f"class {number}" for number in range(classes - len(named)))]
        for split, count in counts.items()
        for number in range(count)
    ]


def find_folds(config: Config, raw: Path, dataset: str, *, counted: bool = False) -> FoldPlan:
    """Find the folds of a dataset, which must have those of the grid, and the images of each; none is read.

    Args:
        config: the parameters.
        raw: the folder that holds the dataset's.
        dataset: its id.
        counted: whether the numbers of images must be right, so that images whose number only the files tell are
            downloaded.

    Raises:
        UserError: the splits cannot be made, or a fold is not among them.
    """
    from ..prepare.sources import list_images  # takes a second to import

    params, seed = config.datasets[dataset], config.root_seed(dataset)
    with ExitStack() as resources, prefix_errors(f"datasets.{dataset}"):
        if is_absent(config, raw, dataset) and (is_counted(params) or not counted):
            candidates = expected_images(params)
        else:
            candidates = list_images(raw / dataset, params, seed, resources).candidates
        plan = plan_folds(candidates, params, seed)
    refuse_lacking(plan, dataset, config.run.folds, params)
    return plan


def refuse_lacking(plan: FoldPlan, dataset: str, wanted: Sequence[str], params: DatasetParams) -> None:
    """Refuse a grid with folds that a dataset lacks.

    Args:
        plan: the folds that it has.
        dataset: its id.
        wanted: the folds of the grid.
        params: its entry.

    Raises:
        UserError: naming the first that it lacks, those that it has, why, and the remedy.
    """
    names = [*plan.splits]
    if lacking := [fold for fold in wanted if fold not in names]:
        numbered, also = [name for name in names if name != ALL], " and fold all" if ALL in names else ""
        among = f"{', '.join(numbered[:6])}{', ...' if len(numbered) > 6 else ''}"
        raise UserError(
            f"run.folds: {dataset!r} in run.datasets has no fold {lacking[0]}; it has "
            f"{len(numbered)} numbered fold{'s' * (len(numbered) > 1)} ({among}){also}, since "
            f"{_why(plan, lacking[0], params)}; remove the fold from run.folds, or the dataset from run.datasets"
        )


def _why(plan: FoldPlan, fold: str, params: DatasetParams) -> str:
    """Return why a dataset lacks a fold, and what would give it one."""
    if fold in plan.not_made or plan.alone:
        return plan.not_made.get(fold, plan.alone)
    seen, unseen = len(plan.folds[0][0].seen), len(plan.folds[0][0].unseen)
    possible = count_choices(seen, unseen)
    given = "" if params.folds is None else f"its `folds` is {params.folds}: "
    if fold != ALL and int(fold) < possible:
        return f"{given or f'at most {MAX_DEFAULT_FOLDS} are made by default: '}set its `folds` to {int(fold) + 1}"
    return f"its {seen + unseen} classes hold {possible} disjoint choices of {unseen}"
