"""Reads what the cells of the grid wrote, and nothing but what was asked for.

It walks the grid, never the folder: a model taken out leaves its files. The table of an analysis that was not asked for
is not read, and a checkpoint that was not asked for is refused.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from stages.aggregate.columns import frame
from stages.shared.core.csv_table import CELL_COLUMNS, TEXT
from stages.shared.core.digests import cell_id, rerun_hint
from stages.shared.core.params import ALL, Cell, CheckpointSteps, RunParams, check_as_many_sets
from stages.shared.networks import training_table
from stages.shared.runtime.errors import UserError
from stages.shared.tables import gallery, metric_table
from stages.shared.tables import scores as scores_file
from stages.shared.tables.gallery import read_thumbnails
from stages.shared.tables.scores import Score

IMAGES = "images.parquet"
OPEN = {"measure": metric_table.open_cell, "finetune": training_table.open_training}

CURVE_COLUMNS = {"cell": TEXT, **training_table.COLUMNS}
"""Columns of training.csv.

Attributes:
    cell: `<dataset>/<model>/<fold>/<seed>`.
"""


def with_sets(measures: Path, run: RunParams) -> RunParams:
    """Return a grid with its sets of classes in the place of folds, where classes are scored in sets.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/`, with a folder of each set.
        run: the grid.

    Raises:
        UserError: its datasets have different numbers of sets.
    """
    folders = {cell: measures.joinpath(*map(str, cell)) for cell in _of_unseen(run)}
    counts = {cell[0]: metric_table.count_sets(folder) for cell, folder in folders.items() if folder.is_dir()}
    check_as_many_sets(counts)
    count = max(counts.values(), default=0)
    return run.model_copy(update={"folds": [str(number) for number in range(count)]}) if count else run


def read_curves(training: Path, run: RunParams, checkpoints: CheckpointSteps) -> pd.DataFrame:
    """Stack the training curves of all cells, in the order of the grid, under a further column `cell`.

    Args:
        training: holds `<dataset>/<model>/<fold>/<seed>/training.csv`.
        run: the grid.
        checkpoints: the steps at which networks were tested, unless they are frozen.

    Returns:
        `CURVE_COLUMNS`, of a frozen network a row of step 0 alone. `accuracy` is empty at step 0, where a head is
        random.

    Raises:
        UserError: a cell has no curve, or one of another version, of another cell or of other steps.
    """
    tables = []
    for cell in run.cells():
        path = _file(training, cell, "training.csv", "training curve", "finetune")
        table = training_table.read_training(path)
        tested = table.loc[table["accuracy"].notna(), "step"].tolist()
        if tested and tested != checkpoints.steps:
            raise UserError(
                f"{path}: must give the accuracy at the steps of finetune.steps, {_listed(checkpoints.steps)}, found "
                f"it at {_listed(tested)}; {rerun_hint('finetune', cell_id(cell))}"
            )
        accuracy = table["accuracy"].where(table["step"] > 0)
        tables.append(table[list(training_table.COLUMNS)].assign(accuracy=accuracy, cell=_name(cell)))
    return frame(tables, CURVE_COLUMNS)


def read_layers(measures: Path, curves: pd.DataFrame, run: RunParams, checkpoints: CheckpointSteps) -> pd.DataFrame:
    """Stack the metric tables of all cells, in the order of the grid.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/layers.csv`.
        curves: as `read_curves` gives them; a network whose curve ends at step 0 was measured as it is.
        run: the grid.
        checkpoints: the steps at which the other networks were measured.

    Returns:
        All columns of `stages.shared.tables.metric_table`, without the accuracy of heads at step 0, which are random.

    Raises:
        UserError: a cell has no table, or one of another version, of another cell, or of a step not asked for.
    """
    last, tables = curves.groupby("cell")["step"].max(), []
    for cell in run.cells():
        path = _file(measures, cell, "layers.csv", "measures")
        records = metric_table.read_layer_scores(path)
        kept = checkpoints.kept(frozen=bool(last.get(_name(cell), 0) == 0))
        further = sorted(set(records["step"]) - set(kept))
        if further:
            raise UserError(
                f"{path}: must hold the checkpoints that were asked for (finetune.steps, finetune.keep), "
                f"{_listed(kept)}, and no other, found {_listed(further)}; run `dvc repro`"
            )
        tables.append(records[~(is_head(records) & (records["step"] == 0))])
    return metric_table.concat_layer_scores(tables)


def is_head(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which metric rows are of the network's own head; a tap may be named like it, but has a depth."""
    return (rows["layer"] == metric_table.HEAD) & rows["depth"].isna()


def is_pixels(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which metric rows are of the raw-pixel baseline."""
    return rows["depth"].eq(-1).fillna(value=False).astype(bool)


def read_catalogue(measures: Path, run: RunParams) -> dict[str, Score]:
    """Read the facts of every score, by name, in the order of tables and figures.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/scores.json`.
        run: the grid.

    Raises:
        UserError: a cell has none, or other ones than the first cell of the grid.
    """
    paths = {cell: _file(measures, cell, scores_file.FILE, "facts of the scores") for cell in run.cells()}
    catalogues = {cell: scores_file.read_scores(path.parent, cell) for cell, path in paths.items()}
    first, catalogue = next(iter(catalogues.items()))
    for cell, scores in catalogues.items():
        different = [name for name in {**catalogue, **scores} if catalogue.get(name) != scores.get(name)]
        if different or list(catalogue) != list(scores):
            raise UserError(
                f"{paths[cell]}: must say of every score what the cell {_name(first)} says, found other facts of "
                f"{', '.join(different) or 'their order'}: the two were measured by different versions; "
                f"{rerun_hint('measure', cell_id(cell))}, or that of {_name(first)}"
            )
    return catalogue


def read_versions(measures: Path, run: RunParams) -> list[tuple[str, Mapping[str, str]]]:
    """Read with which versions of libraries each stage made each cell, in the order of the grid, beside its name.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/versions.json`, of those that were embedded here.
        run: the grid.

    Raises:
        UserError: a cell's file is damaged or was lost.
    """
    folders = {cell: _file(measures, cell, metric_table.VERSIONS, None).parent for cell in run.cells()}
    return [
        (_name(cell), own) for cell, folder in folders.items() for own in metric_table.read_versions(folder).values()
    ]


def read_analyses(measures: Path, run: RunParams, analyses: Collection[str]) -> dict[str, pd.DataFrame]:
    """Stack the tables of the analyses that were asked for, in the order of the grid, without fold `all`.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/<analysis>.csv`.
        run: the grid.
        analyses: the analyses asked for (`measure.analyses`).

    Returns:
        Analysis -> columns dataset, model, fold, seed, then those of `ANALYSIS_TABLES`; of an analysis that was not
        asked for, no rows.

    Raises:
        UserError: a cell lacks a table, or has one of another version.
    """

    def read(analysis: str, cell: Cell) -> pd.DataFrame:
        path = _file(measures, cell, f"{analysis}.csv", f"table of {analysis} (measure.analyses)")
        return metric_table.read_analysis(path.parent, analysis).assign(**cell_id(cell))

    cells = [*_of_unseen(run)]
    return {
        analysis: frame((read(analysis, cell) for cell in cells if analysis in analyses), CELL_COLUMNS | columns)
        for analysis, columns in metric_table.ANALYSIS_TABLES.items()
    }


def read_refits(measures: Path, run: RunParams) -> pd.DataFrame:
    """Stack the scores that were fitted again, of all cells that leave classes out, in the order of the grid.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/refits.parquet`, where scores were fitted again.
        run: the grid.

    Returns:
        Columns dataset, model, fold, seed, then `REFIT_COLUMNS`.

    Raises:
        UserError: a cell's table is damaged or of another version, or was lost.
    """
    folders = {cell: _file(measures, cell, metric_table.REFITS, None).parent for cell in _of_unseen(run)}
    tables = (metric_table.read_refits(folder).assign(**cell_id(cell)) for cell, folder in folders.items())
    return frame(tables, CELL_COLUMNS | metric_table.REFIT_COLUMNS)


def read_galleries(measures: Path, run: RunParams) -> dict[Cell, pd.DataFrame]:
    """Read where every cell's layers put the images that have a thumbnail, in the order of the grid.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/gallery.parquet`.
        run: the grid.

    Returns:
        Cell -> columns of `stages.shared.tables.gallery`; of fold `all`, which has no unseen classes, no rows.

    Raises:
        UserError: a cell has no gallery, or one that is damaged, another cell's or of another version.
    """
    paths = {cell: _file(measures, cell, gallery.GALLERY_FILE, "gallery") for cell in run.cells()}
    return {cell: gallery.read_gallery(path.parent) for cell, path in paths.items()}


def read_all_thumbnails(thumbnails: Path, run: RunParams) -> dict[str, pd.DataFrame]:
    """Read the thumbnails of every dataset, in the order of the grid.

    Args:
        thumbnails: holds `<dataset>/thumbnails.parquet`.
        run: the grid.

    Returns:
        Dataset -> columns of `stages.shared.tables.gallery`.

    Raises:
        UserError: a dataset has none, or some that are damaged, another dataset's or of another version.
    """
    return {dataset: read_thumbnails(thumbnails / dataset, dataset) for dataset in run.datasets}


def image_paths(measures: Path, dataset: str, model: str, fold: str, run: RunParams) -> dict[int, Path]:
    """Where every seed of one dataset, model and fold has its per-image contributions, if it has any.

    Raises:
        UserError: they are not as the measure stage wrote them.
    """
    return {seed: _file(measures, (dataset, model, fold, seed), IMAGES, None) for seed in run.seeds}


def _file(root: Path, cell: Cell, name: str, what: str | None, stage: str = "measure") -> Path:
    """Return the path of a cell's file, which is as the stage wrote it; with `what` it is, it must exist."""
    path = metric_table.cell_folder(root, cell) / name
    if what is None or path.parent.is_dir():
        OPEN[stage](path.parent, cell).check(name)
    if what is not None and not path.is_file():
        dataset, model, fold, seed = cell
        raise UserError(
            f"{dataset}, {model}, fold {fold}, seed {seed}: the grid (`run` in params.yaml) names this cell, but it "
            f"has no {what}: {path} does not exist; compute it with `dvc repro {stage}@{'-'.join(map(str, cell))}`, "
            "or take it out of the grid"
        )
    return path


def _of_unseen(run: RunParams) -> list[Cell]:
    return [cell for cell in run.cells() if cell[2] != ALL]


def _name(cell: Cell) -> str:
    return "/".join(map(str, cell))


def _listed(steps: Iterable[int]) -> str:
    return ", ".join(map(str, steps))
