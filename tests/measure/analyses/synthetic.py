"""A cell of small embeddings, with what is embedded at the last step alone, and one layer of it."""

from stages.measure.cell import Cell
from stages.measure.params import MeasureParams
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.workflow.params import parse
from tests.measure.synthetic import DEFAULT, write_last_step, write_store

SIZES = {"test": (8, 8, 8), "unseen": (9, 11, 10)}


def toy_cell(tmp_path, split, *, sizes=None, layer="blocks.0", last=None, **changes):
    """Write a store, open it as a cell with the default parameters and changes, and read a layer of one split."""
    sizes = sizes or SIZES
    path = tmp_path / "store"
    write_store(path, sizes=sizes)
    if "test" in sizes:
        write_last_step(path, **(last or {}))
    cell = Cell(open_embeddings(path), parse(DEFAULT | changes, MeasureParams, where="measure"))
    chosen = next(each for each in cell.store.layers if each.name == layer)
    return cell, chosen, cell.embedded(chosen, cell.step, split)
