"""The base of every parameter model, and how values are checked against one: without a file."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..runtime.errors import UserError
from ..runtime.param_errors import describe_wrong_value

MAX_ERRORS = 10
"""Wrong values that one message names."""

ALL = "all"
"""The fold that leaves no class out: every class is seen."""

Cell = tuple[str, str, str, int]
"""Dataset, model, fold and seed."""


class Params(BaseModel):
    """Base of every parameter model: frozen, no unknown keys, no silent conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


P = TypeVar("P", bound=Params)


def parse(values: Any, model: type[P], *, where: str) -> P:
    """Validate plain values into a parameter model.

    Raises:
        UserError: one line per wrong value: its dotted name, what must hold, what was found.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        lines = [describe_wrong_value(dict(e), where, model) for e in errors[:MAX_ERRORS]]
        more = [f"and {len(errors) - MAX_ERRORS} more wrong values"] if len(errors) > MAX_ERRORS else []
        raise UserError("params: " + "\n  ".join([*lines, *more])) from None
