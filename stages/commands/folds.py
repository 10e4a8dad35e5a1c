"""Which folds a dataset has, and why no others: of images that are there, or of what is yet to be downloaded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from stages.aggregate.words.formatting import plural
from stages.commands.config import Config
from stages.prepare.candidates import Candidate
from stages.prepare.folds import MAX_DEFAULT_FOLDS, count_choices
from stages.prepare.limits import Resources
from stages.prepare.params import DatasetParams
from stages.prepare.source_file import has_only_source_file
from stages.prepare.splits import FoldPlan, plan_folds
from stages.shared.runtime.errors import UserError, prefix_errors
from stages.shared.settings.params import ALL

DOWNLOADS = {"calligraphy": (20, 0, 0), "cifar100": (100, 500, 100)}
"""Sources that download: number of classes, and of train and test images in each (0: not the same in every class)."""


@dataclass(frozen=True)
class DatasetFolds:
    """The folds of one dataset.

    Attributes:
        names: of those that it has.
        seen, unseen: number of classes in fold 0.
        alone: why fold 0 is the only one; empty if it need not be.
        not_made: why a fold cannot be made, by name.
    """

    names: Sequence[str]
    seen: int
    unseen: int
    alone: str = ""
    not_made: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_download(cls, params: DatasetParams) -> Self:
        """Return those that a source of `DOWNLOADS` has, as its entry says."""
        classes = DOWNLOADS[params.source][0]
        if params.all_unseen:
            return cls(["0"], 0, classes, alone="all classes are unseen")
        unseen = len(params.unseen_classes or ()) or params.unseen_count or 0
        seen = len(params.seen_classes or ()) or classes - unseen
        made = params.folds or min(count_choices(seen, unseen), MAX_DEFAULT_FOLDS)
        return cls([*map(str, range(made)), ALL], seen, unseen)

    def refuse_lacking(self, dataset: str, wanted: Sequence[str], params: DatasetParams) -> None:
        """Refuse a grid with folds that the dataset lacks.

        Args:
            dataset: its id.
            wanted: the folds of the grid.
            params: its entry.

        Raises:
            UserError: naming the first that it lacks, those that it has, why, and the remedy.
        """
        lacking = [fold for fold in wanted if fold not in self.names]
        if lacking:
            numbered = plural(len(set(self.names) - {ALL}), "numbered fold")
            among = f"{', '.join(self.names[:6])}{', ...' if len(self.names) > 6 else ''}"
            raise UserError(
                f"run.folds: {dataset!r} of run.datasets has no fold {lacking[0]}; it has {numbered} ({among}), since "
                f"{self._why(lacking[0], params)}; take the fold out of run.folds, or the dataset out of run.datasets"
            )

    def _why(self, fold: str, params: DatasetParams) -> str:
        """Return why the dataset lacks a fold, and what would give it one."""
        if fold in self.not_made or self.alone:
            return self.not_made.get(fold, self.alone)
        possible = count_choices(self.seen, self.unseen)
        given = "" if params.folds is None else f"its `folds` is {params.folds}: "
        if fold != ALL and int(fold) < possible:
            return f"{given or f'at most {MAX_DEFAULT_FOLDS} are made by default: '}set its `folds` to {int(fold) + 1}"
        return f"its {self.seen + self.unseen} classes hold {possible} disjoint choices of {self.unseen}"


def find_folds(
    config: Config,
    raw: Path,
    dataset: str,
    *,
    listed: bool = False,
    inspect: Callable[[Sequence[Candidate]], None] | None = None,
) -> tuple[DatasetFolds, FoldPlan | None]:
    """Find the folds of a dataset, which must have those of the grid.

    Args:
        config: the parameters.
        raw: the folder that holds the dataset's.
        dataset: its id.
        listed: whether to list images also where they would first be downloaded.
        inspect: looks at the images that are packed, while an archive is open.

    Returns:
        The folds, and the images of each: they are listed, none is read. None if they are yet to be downloaded.

    Raises:
        UserError: the splits cannot be made, or a fold is not among them.
    """
    from stages.prepare.packing import list_images  # takes a second to import

    params, seed, plan = config.datasets[dataset], config.root_seed(dataset), None
    if params.source in DOWNLOADS and has_only_source_file(raw / dataset) and not listed:
        folds = DatasetFolds.of_download(params)
    else:
        with Resources(config.prepare.limits) as resources, prefix_errors(f"datasets.{dataset}"):
            plan = plan_folds(list_images(raw / dataset, params, seed, resources).candidates, params, seed)
            if inspect:
                inspect(plan.packed)
        first = plan.folds[0][0]
        folds = DatasetFolds([*plan.splits], len(first.seen), len(first.unseen), plan.alone, plan.not_made)
    folds.refuse_lacking(dataset, config.run.folds, params)
    return folds, plan
