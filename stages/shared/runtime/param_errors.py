"""What an error of validation says to a user: the value's dotted name, what must hold, what was found."""

import re
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel

from .errors import did_you_mean, short_repr


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
        return f"{location} is missing"
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
