"""What an error of validation says to a user: the value's dotted name, what must hold, what was found."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from stages.shared.runtime.errors import UserError, did_you_mean, short_repr

ADDED = {"run.folds": "`folds: [0]` beside run.seeds"}
"""Required keys that params files of an earlier version lack -> what to add."""


RENAMED = {
    "aggregate.resamples": "measure.refits.halves (take aggregate.seed out, too)",
    "measure.last_step": "measure.analyses",
    "finetune.schedule": "finetune.schedule_epochs, or finetune.schedule_steps",
    "datasets.*.unseen_classes.count": "unseen_count beside unseen_classes",
    "datasets.*.unseen_classes.seed": "unseen_seed beside unseen_classes",
    "datasets.*.source: hands": "source: handwriting",
}
"""Keys, or a key's value, of earlier versions -> what to write now; `*` stands for every entry."""


def check_renamed(content: dict[str, Any], path: Path) -> None:
    """Raise a `UserError` if the plain values of a params file hold names of earlier versions."""
    renamed = [f"{old} is now {new}" for pattern, new in RENAMED.items() for old in _found(content, pattern)]
    if renamed:
        raise UserError(f"{path}: holds names of an earlier version: {'; '.join(renamed)}")


def _found(content: Any, pattern: str) -> Iterator[str]:
    """Yield the dotted name of every key that a key of `RENAMED` stands for and that is there."""
    key, _, value = pattern.partition(": ")
    nodes = [("", content)]
    for part in key.split("."):
        parents = [(name, node) for name, node in nodes if isinstance(node, dict)]
        nodes = [(f"{name}.{child}", node[child]) for name, node in parents for child in node if part in ("*", child)]
    for name, node in nodes:
        if not value or node == value:
            yield (f"{name}: {value}" if value else name).removeprefix(".")


def describe_wrong_value(error: dict[str, Any], where: str, model: type[BaseModel]) -> str:
    """Return in one line what is wrong with one value.

    Args:
        error: as pydantic describes it.
        where: the dotted name of what was validated.
        model: its model.
    """
    location = ".".join([where, *map(_part, error["loc"])])
    if error["type"] == "extra_forbidden":
        *path, name = error["loc"]
        return f"{location} is not a parameter: {did_you_mean(str(name), _fields_at(model, path))}"
    if error["type"] == "missing":
        added = f"; it is new: add {ADDED[location]}" if location in ADDED else ""
        return f"{location} is missing{added}"
    found = error["input"]
    if error["type"] != "value_error":
        return f"{location}: {error['msg']}; found {short_repr(found)} ({type(found).__name__})"
    said = str(error["ctx"]["error"])  # by a validator of ours, which may name what it found
    named = isinstance(found, dict) or short_repr(found) in said
    return f"{location}: {said}" + ("" if named else f"; found {short_repr(found)} ({type(found).__name__})")


def _part(part: int | str) -> str:
    """Write a part of a dotted name; a key that could not be one as Python writes it."""
    return str(part) if isinstance(part, int) or re.fullmatch(r"[\w@-]{1,100}", part) else short_repr(part)


def _fields_at(model: Any, path: Iterable[str]) -> list[str]:
    """Follow an error's location down to the model whose field is unknown, and list that model's fields."""
    for part in path:
        annotation = model.model_fields[part].annotation  # the model, or `model | None`
        model = next(kind for kind in (annotation, *get_args(annotation)) if hasattr(kind, "model_fields"))
    return sorted(model.model_fields)
