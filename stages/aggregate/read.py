"""The tables of a grid's cells in memory, and what reads them: nothing but what was asked for.

It walks the grid, never the folder: a model taken out leaves its files, and the table of an analysis that was not asked
for is not read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from ..core.scores.description import Score
from ..shared.embeddings.split_names import SEEN, UNSEEN
from ..shared.networks import training_table
from ..shared.tables import metric_table
from ..shared.tables import scores as scores_file
from ..shared.tables.gallery import GALLERY_FILE, read_gallery, read_thumbnails
from ..shared.workflow.csv_table import CELL_COLUMNS, TEXT, Columns
from ..shared.workflow.digests import cell_id
from ..shared.workflow.params import ALL, Cell, RunParams, check_as_many_sets
from .columns import frame

IMAGES = "images.parquet"
EMBEDDING = ["layer", "pooling"]
"""What names an embedding; the head's pooling is empty."""

IMAGE = ["sample_id", "label", "group"]

CURVE_COLUMNS = {"cell": TEXT, **training_table.COLUMNS}
"""Columns of training.csv.

Attributes:
    cell: `<dataset>/<model>/<fold>/<seed>`.
"""

ReadImages = Callable[[Cell, Sequence[int], Iterable[str]], pd.DataFrame]
"""Gives what a cell's images contribute: a cell, the steps and the columns that are wanted -> a row for each step,
split, embedding and image (the columns of `EMBEDDING` and `IMAGE` among them); it may give further rows and columns."""


@dataclass(frozen=True)
class Tables:
    """What the cells of a grid measured, each table in the order of the grid.

    Attributes:
        grid: which cells, with sets of classes in the place of folds where classes are scored in sets.
        courses: `CURVE_COLUMNS`, of a frozen network a row of step 0 alone.
        layers: the metric rows, all columns of `stages.shared.tables.metric_table`.
        refits: `CELL_COLUMNS` and `REFIT_COLUMNS` of cells that leave classes out.
        analyses: analysis -> `CELL_COLUMNS` and those of `ANALYSIS_TABLES`; of one that was not asked for, no rows.
        catalogue: the facts of every score, by name, in the order of tables and figures.
        images: gives what the images of a cell contribute.
    """

    grid: RunParams
    courses: pd.DataFrame
    layers: pd.DataFrame
    refits: pd.DataFrame
    analyses: Mapping[str, pd.DataFrame]
    catalogue: Mapping[str, Score]
    images: ReadImages


def read_tables(measures: Path, training: Path | None, run: RunParams, analyses: Sequence[str]) -> Tables:
    """Read what the cells of a grid measured, with sets of classes in the place of folds where there are any.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/`, as the measure stage wrote it.
        training: holds `<dataset>/<model>/<fold>/<seed>/training.csv`; None: the networks were not trained here.
        run: the grid.
        analyses: the analyses asked for (`measure.analyses`).

    Raises:
        UserError: a cell lacks a table, has one that is damaged or of another version, or datasets have different
            numbers of sets.
    """
    grid = with_sets(measures, run)
    first = next(iter(grid.cells()))

    def stack(file: str, read: Callable[[Path], pd.DataFrame], columns: Columns) -> pd.DataFrame:
        folders = ((cell, _folder(measures, cell, file)) for cell in grid.cells() if cell[2] != ALL)
        return frame((read(folder).assign(**cell_id(cell)) for cell, folder in folders), CELL_COLUMNS | dict(columns))

    return Tables(
        grid,
        read_courses(training, run) if training else untrained(run),
        metric_table.concat_layer_scores([read_layers(measures, cell) for cell in grid.cells()]),
        stack(metric_table.REFITS, metric_table.read_refits, metric_table.REFIT_COLUMNS),
        {
            name: stack(f"{name}.csv", partial(metric_table.read_analysis, analysis=name), columns)
            if name in analyses
            else frame([], CELL_COLUMNS | columns)
            for name, columns in metric_table.ANALYSIS_TABLES.items()
        },
        scores_file.read_scores(_folder(measures, first, scores_file.FILE), first),
        partial(read_images, measures),
    )


def with_sets(measures: Path, run: RunParams) -> RunParams:
    """Return a grid with its sets of classes in the place of folds, where classes are scored in sets.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/`, with a folder of each set.
        run: the grid.

    Raises:
        UserError: its datasets have different numbers of sets.
    """
    folders = {cell: measures.joinpath(*map(str, cell)) for cell in run.cells() if cell[2] != ALL}
    counts = {cell[0]: metric_table.count_sets(folder) for cell, folder in folders.items() if folder.is_dir()}
    check_as_many_sets(counts)
    count = max(counts.values(), default=0)
    return run.model_copy(update={"folds": [str(number) for number in range(count)]}) if count else run


def untrained(run: RunParams) -> pd.DataFrame:
    """Return the training curves of networks that were not trained: a row of step 0 alone for each cell."""
    rows = (dict.fromkeys(CURVE_COLUMNS) | cell_id(cell) | {"step": 0, "cell": _name(cell)} for cell in run.cells())
    return frame(rows, CURVE_COLUMNS)


def read_courses(training: Path, run: RunParams) -> pd.DataFrame:
    """Stack the training curves of all cells; `accuracy` is empty at step 0, where a head is random."""
    tables = []
    for cell in run.cells():
        folder = training.joinpath(*map(str, cell))
        training_table.open_training(folder, cell).check("training.csv")
        table = training_table.read_training(folder / "training.csv")[list(training_table.COLUMNS)]
        tables.append(table.assign(accuracy=table["accuracy"].where(table["step"] > 0), cell=_name(cell)))
    return frame(tables, CURVE_COLUMNS)


def read_layers(measures: Path, cell: Cell) -> pd.DataFrame:
    """Read a cell's metric table, without the accuracy of heads at step 0, which are random."""
    records = metric_table.read_layer_scores(_folder(measures, cell, "layers.csv") / "layers.csv")
    return records[~(is_head(records) & (records["step"] == 0))]


def is_head(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which metric rows are of the network's own head; a tap may be named like it, but has a depth."""
    return (rows["layer"] == metric_table.HEAD) & rows["depth"].isna()


def is_pixels(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which metric rows are of the raw-pixel baseline."""
    return rows["depth"].eq(-1).fillna(value=False).astype(bool)


def read_images(measures: Path, cell: Cell, steps: Sequence[int], columns: Iterable[str]) -> pd.DataFrame:
    """Read what a cell's images contribute, as `ReadImages`: test images of seen classes, and those of unseen ones."""
    import pyarrow.parquet as pq  # here: arrays are scored without it

    path = _folder(measures, cell, IMAGES) / IMAGES
    present, filters = pq.read_schema(path).names, [("split", "in", [SEEN, UNSEEN]), ("step", "in", list(steps))]
    wanted = ["step", "split", *EMBEDDING, *IMAGE, *(name for name in columns if name in present)]
    images: pd.DataFrame = pq.read_table(path, columns=wanted, filters=filters).to_pandas()
    return images.astype(dict.fromkeys(images.select_dtypes("float32"), "float64"))


def read_versions(measures: Path, run: RunParams) -> list[tuple[str, Mapping[str, str]]]:
    """Read with which versions of libraries each stage made each cell, in the order of the grid, beside its name.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/versions.json`, of those that were embedded here.
        run: the grid.

    Raises:
        UserError: a cell's file is damaged or was lost.
    """
    read, file = metric_table.read_versions, metric_table.VERSIONS
    return [(_name(cell), own) for cell in run.cells() for own in read(_folder(measures, cell, file)).values()]


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
    return {cell: read_gallery(_folder(measures, cell, GALLERY_FILE)) for cell in run.cells()}


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


def _folder(measures: Path, cell: Cell, name: str) -> Path:
    """Return a cell's folder, in which a file is as the measure stage wrote it."""
    folder = metric_table.cell_folder(measures, cell)
    metric_table.open_cell(folder, cell).check(name)
    return folder


def _name(cell: Cell) -> str:
    return "/".join(map(str, cell))
