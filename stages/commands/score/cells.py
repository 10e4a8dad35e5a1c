"""Files of embeddings as cells of the workflow, one fold each: stored and measured by the stages' own code."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.commands.score.embedding_file import STEP, EmbeddingFile, write_store
from stages.measure.checks import check_params
from stages.measure.jobs import plan_jobs
from stages.measure.outputs.cell_tables import write_tables
from stages.measure.outputs.notes import notes
from stages.measure.params import MeasureParams
from stages.measure.run import measure, worker_count
from stages.shared.checkpoints import training_table
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.settings.params import Cell
from stages.shared.tables.metric_table import finish_cell

EMBEDDINGS, MEASURES, TRAINING = "embeddings", "measures", "training"
"""Folders that hold a part of every cell, as `<dataset>/<model>/<fold>/<seed>`."""


def measure_files(files: Sequence[EmbeddingFile], cells: Sequence[Cell], params: MeasureParams, out: Path) -> list[str]:
    """Score files as the measure stage scores cells; the training curves are empty.

    Args:
        files: a fold each.
        cells: their names.
        params: the `measure` section.
        out: holds `EMBEDDINGS`, `MEASURES` and `TRAINING` then.

    Returns:
        What a user should know, one sentence each.

    Raises:
        UserError: a value is not finite, or a class has too few images for the probe, for example.
    """
    stores = []
    for cell, file in zip(cells, files, strict=True):
        names: dict[str, str | int] = dict(zip(("dataset", "model", "fold", "seed"), cell, strict=True))
        write_store(_place(out / EMBEDDINGS, cell), file, names)
        step = pd.DataFrame([names | {"step": STEP}], columns=list(training_table.COLUMNS))
        training_table.write_training(_place(out / TRAINING, cell) / "training.csv", step, cell)
        stores.append(open_embeddings(_place(out / EMBEDDINGS, cell)))
        check_params(stores[-1], params)
    said = []
    for cell, store in zip(cells, stores, strict=True):
        measures, jobs = _place(out / MEASURES, cell), plan_jobs(store, params)
        measures.mkdir(parents=True)
        measured = measure(_place(out / EMBEDDINGS, cell), store, params, jobs, workers=worker_count(None))
        write_tables(measures, store, measured, params.analyses)
        finish_cell(measures, cell)
        said += notes(store, params, measured.results)
    return said


def _place(folder: Path, cell: Cell) -> Path:
    return folder.joinpath(*map(str, cell))
