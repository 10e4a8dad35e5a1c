"""scores.json: the facts of every score, as the measure stage knows them, beside the values in a cell's folder."""

import json
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ...core.scores.description import Normalize, Score, facts_of
from ..runtime.errors import UserError
from ..workflow.digests import cell_id, rerun_hint
from ..workflow.params import Cell

FILE = "scores.json"

LIMITS = {"low": -inf, "high": inf}
"""Limits of a score that has none, which are null in the file."""


def write_scores(folder: Path, scores: Mapping[str, Score], normalize: Normalize = "l2") -> None:
    """Write the facts of scores, by name, into a cell's folder."""
    facts = {name: vars(score) for name, score in facts_of(scores, normalize).items()}
    (folder / FILE).write_bytes(TypeAdapter(dict[str, Any]).dump_json(facts, indent=1) + b"\n")


def read_scores(folder: Path, cell: Cell) -> dict[str, Score]:
    """Read the facts of scores, by name, from a cell's folder, whose digests were checked.

    Raises:
        UserError: they are of another version.
    """
    path = folder / FILE
    facts: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
    known = {
        name: {field: LIMITS.get(field) if value is None else value for field, value in own.items()}
        for name, own in facts.items()
    }
    try:
        return TypeAdapter(dict[str, Score]).validate_python(known)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UserError(
            f"{path}: must hold the facts of the scores, found {where}: {problem['msg']}: the cell was measured by "
            f"another version; {rerun_hint('measure', cell_id(cell))}"
        ) from None
