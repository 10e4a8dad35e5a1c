"""Cells whose files a test writes or changes by hand."""

from pathlib import Path

from stages.core.scores.catalogue import SCORES
from stages.shared.images.image_store import FORMAT, MANIFEST
from stages.shared.networks.training_table import FORMAT as TRAINING_FORMAT
from stages.shared.tables.metric_table import finish_cell
from stages.shared.tables.scores import FILE as FACTS
from stages.shared.tables.scores import write_scores
from stages.shared.workflow.digests import DIGESTS, cell_id, write_digests
from stages.shared.workflow.params import Cell


def seal(folder: Path) -> None:
    """Write the digests of a cell's measures, `<dataset>/<model>/<fold>/<seed>`, and the facts of scores."""
    if not (folder / FACTS).exists():
        write_scores(folder, SCORES)
    finish_cell(folder, cell_at(folder))


def seal_prepared(folder: Path) -> None:
    """Write the digests of a dataset's manifest, which is all that is there."""
    write_digests(folder / DIGESTS, [folder / MANIFEST], format=FORMAT, of={"dataset": folder.name})


def cell_at(folder: Path) -> Cell:
    dataset, model, fold, seed = folder.parts[-4:]
    return dataset, model, fold, int(seed)


def seal_training(file: Path) -> None:
    """Write the digests of a cell's training.csv as it is now."""
    of = cell_id(cell_at(file.parent))
    write_digests(file.with_name(DIGESTS), [file], format=TRAINING_FORMAT, of=of)


def seal_all(measures: Path) -> None:
    """Write the digests of every cell's measures as they are now."""
    for folder in {file.parent for file in measures.glob("*/*/*/*/*")}:
        seal(folder)
