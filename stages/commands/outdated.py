"""Whether a cell's network, embeddings and results are of each other, and of params.yaml, as dvc.lock says."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from ..aggregate.result_files import artifact_hash, read_result_digests
from ..shared.runtime.errors import UserError, listed, short_repr
from ..shared.workflow.digests import DIGESTS
from ..shared.workflow.params import Cell, load
from ..shared.workflow.snapshot import differences, flat, value_at
from .dvc_project.workspace import read_lock, stage_path
from .grid import cell_name, stage_names
from .project import MAX_LISTED, ROOT


def check_made_of(params: Path, cell: Cell, results: Path) -> None:
    """Check that a cell's network and embeddings, and results of it, are of each other, and of the parameters.

    Args:
        params: the params file; of what is in it, what decides how new images are embedded.
        cell: which.
        results: the folder that the aggregate stage wrote, or would.

    Raises:
        UserError: one is of another, or of other parameters.
    """
    dataset, model, _, _ = cell
    locked, tree = read_lock(ROOT), load(params)
    entries = {name: locked[name] for name in (f"prepare@{dataset}", *stage_names(cell)) if name in locked}
    keys = [f"datasets.{dataset}.{name}" for name in ("image_size", "fit", "fill", "bits")]
    edited = [_edited(entry, tree, [*keys, f"models.{model}.network"]) for entry in entries.values()]
    again = _made_again(results, "/".join(map(str, cell)))
    found = list(dict.fromkeys([*chain.from_iterable(edited), *_of_other_artifacts(entries), *again]))
    if found:
        raise UserError(
            f"{cell_name(cell)}: network, embeddings, results and {params} must belong together, found otherwise: "
            f"{listed(found, MAX_LISTED)}; run `dvc repro`, or undo the edit"
        )


def _edited(entry: Mapping[str, Any], params: Mapping[str, Any], keys: list[str]) -> Iterator[str]:
    """Yield the parameters, of those that a stage read, that have other values now."""
    for name, recorded in (item for values in entry.get("params", {}).values() for item in values.items()):
        before, after = flat(recorded, name), flat(value_at(params, name), name)
        for leaf in differences(before, after):
            if any(f"{leaf}.".startswith(f"{key}.") for key in keys):
                yield f"{leaf} was {short_repr(before.get(leaf))} and is {short_repr(after.get(leaf))}"


def _of_other_artifacts(entries: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the stages that read another artifact than the one that there is now."""
    made = {out["path"]: out["md5"] for entry in entries.values() for out in entry["outs"]}
    for stage, entry in entries.items():
        for dep in entry["deps"]:
            path, now = Path(dep["path"]), made.get(dep["path"], dep["md5"])
            if dep["path"].endswith(DIGESTS) and path.is_file():  # prepare's output is the folder that has it
                now = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            if now != dep["md5"]:
                yield f"{stage} read another {path}"


def _made_again(results: Path, cell: str) -> Iterator[str]:
    """Yield the artifacts of a cell that results were made of and that are others now."""
    digests = read_result_digests(results)
    for name, expected in (digests.record.of if digests else {}).items():
        kind, _, key = name.partition("/")
        file = stage_path("aggregate", f"--{kind}") / key / DIGESTS
        if key == cell and file.is_file() and artifact_hash(file) != expected:
            yield f"{file.parent.relative_to(ROOT)} was remade since {results.name}"
