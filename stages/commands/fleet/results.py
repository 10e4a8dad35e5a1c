"""The results of the cells that are done, while others are not: those of the largest whole grid among them."""

import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.commands.dvc_project.workspace import Lock, read_by_aggregate, restore, stage_path
from stages.commands.grid import AXES, cell_name, stage_names
from stages.commands.project import ROOT, listed
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import Cell, RunParams, load
from stages.shared.stage_run.made_of import dvc_hash, entry_of
from stages.shared.stage_run.snapshot import value_at

OF_CELLS = ("measures", "training")
"""What aggregate reads of cells, by its options."""


def done_cells(run: RunParams, sources: Sequence[Lock], content: Mapping[str, Any]) -> dict[Cell, Lock]:
    """Return the cells whose results are of the code, parameters and images that are here now.

    Args:
        run: the grid.
        sources: what dvc.lock says, or would say, of stages that are done.
        content: of params.yaml.

    Returns:
        For each cell the last source of which that holds.
    """

    @cache
    def hash_of(path: str) -> str:  # of what cells share
        return dvc_hash(Path(path)) if Path(path).exists() else ""

    def is_done(cell: Cell, known: Lock) -> bool:
        made: dict[str, str] = {}
        for name in stage_names(cell):
            if name not in known:
                return False
            entry = entry_of(known[name])
            if any(value_at(content, key) != value for key, value in entry.parameters.items()):
                return False
            if any((made.get(path) or hash_of(path)) != md5 for path, md5 in entry.deps.items()):
                return False
            made |= entry.outs
        return True

    return {cell: known for cell in run.cells() for known in sources if is_done(cell, known)}


def largest_grid(run: RunParams, done: Collection[Cell]) -> RunParams:
    """Return a grid of which every cell is done, since means and intervals are over the same folds and seeds.

    Of datasets, networks, folds and seeds the one goes first of which the largest share is missing.

    Raises:
        UserError: there is none.
    """
    lists: dict[str, Any] = {axis: list(getattr(run, axis)) for axis in AXES}
    while all(lists.values()):
        grid = RunParams.model_construct(None, **lists)
        missing = [cell for cell in grid.cells() if cell not in done]
        if not missing and grid.numbered:
            return grid
        total = len([*grid.cells()])
        shares = {
            (sum(cell[place] == value for cell in missing) * len(lists[axis]) / total, axis, number)
            for place, axis in enumerate(AXES)
            for number, value in enumerate(lists[axis])
        }
        _, axis, number = max(shares)
        del lists[axis][number]
    raise UserError("a fold of a network must be done for there to be results, found none; wait until one is")


def notice(run: RunParams, grid: RunParams, done: Collection[Cell]) -> str:
    """Say what of a grid results are not of; nothing if they are of all."""
    kept, cells = set(grid.cells()), list(run.cells())
    missing = [cell_name(cell) for cell in cells if cell not in done]
    aside = [cell_name(cell) for cell in cells if cell in done and cell not in kept]
    if not missing:
        return ""
    text = f"Incomplete: {len(missing)} of {len(cells)} cells of the grid are missing ({listed(missing)})."
    more = f" {len(aside)} more are done and left out, since others of their row are not ({listed(aside)})."
    return text + (more if aside else "")


def aggregate(grid: RunParams, done: Mapping[Cell, Lock], said: str, out: Path) -> None:
    """Aggregate a part of the grid, from DVC's cache into a folder of its own.

    Args:
        grid: the part.
        done: what dvc.lock would say of the stages of each cell.
        said: a sentence for every output.
        out: the folder.

    Raises:
        UserError: the cache lacks results, or aggregate failed.
    """
    options = {name: stage_path("aggregate", f"--{name}") for name in (*OF_CELLS, "thumbnails", "prepared")}
    with tempfile.TemporaryDirectory(prefix="whichlayer-results-") as temporary:
        folder, content = Path(temporary), load(ROOT / "params.yaml")
        content["run"] |= {axis: getattr(grid, axis) for axis in AXES}
        content["run"]["folds"] = [int(fold) if fold.isdigit() else fold for fold in grid.folds]
        YAML().dump(content, folder / "params.yaml")
        made = [entry_of(done[cell][name]).outs for cell in grid.cells() for name in stage_names(cell)]
        read = read_by_aggregate()
        lost = restore({folder / path: md5 for outs in made for path, md5 in outs.items() if path.startswith(read)})
        if lost:
            raise UserError(
                f"{listed([str(path.relative_to(folder)) for path in lost])}: must be in DVC's cache, are not; where "
                "results pass through a remote, `dvc pull` gets them once the fleet has ended"
            )
        options |= {name: folder / options[name].relative_to(ROOT) for name in OF_CELLS}
        options |= {"out": out, "params": folder / "params.yaml"}
        words = [word for name, path in options.items() for word in (f"--{name}", str(path))]
        program = [sys.executable, "-m", "stages.aggregate", *words, "--notice", said]
        ended = subprocess.run(program, cwd=ROOT, check=False)
    if ended.returncode != 0:
        raise UserError(f"the aggregate stage must succeed, it ended with {ended.returncode}; see its output above")
