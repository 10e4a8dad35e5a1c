"""Files of embeddings as cells of the workflow, one fold each: stored and measured by the stages' own code."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.commands.score.asked import CHECKPOINT
from stages.commands.score.embedding_file import EmbeddingFile
from stages.measure.checks import check_params
from stages.measure.jobs import plan_jobs
from stages.measure.outputs.cell_tables import write_tables
from stages.measure.outputs.notes import notes
from stages.measure.params import MeasureParams
from stages.measure.run import measure
from stages.measure.workers import worker_count
from stages.shared.checkpoints.training_table import COLUMNS as TRAINING_COLUMNS
from stages.shared.checkpoints.training_table import write_training
from stages.shared.embeddings.embedding_store import SAMPLE_COLUMNS, Embeddings, open_embeddings
from stages.shared.embeddings.embedding_writer import EmbeddingWriter
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import Cell
from stages.shared.tables.metric_table import finish_cell

SEED = 0


@dataclass(frozen=True)
class Folders:
    """Where cells are kept while they are scored, each below as `<dataset>/<model>/<fold>/<seed>`."""

    embeddings: Path
    measures: Path
    training: Path


def check_folds(files: Sequence[Path], embedded: Sequence[EmbeddingFile]) -> None:
    """Check that several files are folds of one network: the same layers, and classes of their own.

    Raises:
        UserError: naming the first file that differs.
    """
    first, of_class = embedded[0], dict[str, Path]()
    for path, each in zip(files, embedded, strict=True):
        if (each.layers, set(each.labels)) != (first.layers, set(first.labels)):
            described = [", ".join(f"{layer.name} ({layer.width})" for layer in one.layers) for one in (first, each)]
            raise UserError(
                f"{path}: must hold the layers and splits of {files[0]}, {described[0]} on {', '.join(first.labels)}, "
                f"found {described[1]} on {', '.join(each.labels)}"
            )
        for name in np.unique(each.labels[UNSEEN]).tolist():
            if name in of_class:
                raise UserError(
                    f"{path}: several files are folds, each with unseen classes of its own; found {name!r} in "
                    f"{of_class[name]}, too; score the files one by one, or give each its own classes"
                )
            of_class[name] = path


def write_cell(folders: Folders, cell: Cell, embedded: EmbeddingFile) -> None:
    """Store a file's embeddings as those of a network that is measured as it is, and an empty training curve.

    Raises:
        UserError: a value is not finite.
    """
    names = dict(zip(("dataset", "model", "fold", "seed"), cell, strict=True))
    path = place(folders.embeddings, cell)
    path.parent.mkdir(parents=True)
    writer = EmbeddingWriter(
        path,
        samples=_samples(embedded),
        steps=CHECKPOINT.steps,
        layers=embedded.layers,
        classes=(),
        dtype="float32",
        attributes=names | {"frozen": True},
    )
    with writer:
        for layer in embedded.layers:
            for split in embedded.labels:
                writer.write(layer.name, CHECKPOINT.steps[0], embedded.features(layer, split))
    step = pd.DataFrame([names | {"step": CHECKPOINT.steps[0]}], columns=list(TRAINING_COLUMNS))
    write_training(place(folders.training, cell) / "training.csv", step, cell)


def open_cell(folders: Folders, cell: Cell, params: MeasureParams) -> Embeddings:
    """Open a stored cell, and check the parameters that depend on it.

    Raises:
        UserError: a class has too few images for the probe, for example.
    """
    store = open_embeddings(place(folders.embeddings, cell))
    check_params(store, params)
    return store


def measure_cell(folders: Folders, cell: Cell, store: Embeddings, params: MeasureParams) -> list[str]:
    """Score a stored cell as the measure stage does; return what a user should know, one sentence each."""
    path, out = place(folders.embeddings, cell), place(folders.measures, cell)
    out.mkdir(parents=True)
    measured = measure(path, store, params, plan_jobs(store, params), workers=worker_count(None))
    write_tables(out, store, measured, params.analyses)
    finish_cell(out, cell)
    return notes(store, params, measured.results)


def place(folder: Path, cell: Cell) -> Path:
    """Where a folder has a cell's part."""
    return folder.joinpath(*map(str, cell))


def _samples(embedded: EmbeddingFile) -> pd.DataFrame:
    """The images, split after split."""
    splits = [
        pd.DataFrame({"sample_id": embedded.ids[split], "split": split, "label": labels, "group": ""})
        for split, labels in embedded.labels.items()
    ]
    return pd.concat(splits, ignore_index=True)[list(SAMPLE_COLUMNS)]
