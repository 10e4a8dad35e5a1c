"""What pydantic says of a wrong value, in the words of the version that is installed."""

from pydantic_core import PydanticKnownError


def at_least(limit: float) -> str:
    return PydanticKnownError("greater_than_equal", {"ge": limit}).message()


def above(limit: float) -> str:
    return PydanticKnownError("greater_than", {"gt": limit}).message()


def at_most(limit: float) -> str:
    return PydanticKnownError("less_than_equal", {"le": limit}).message()


def below(limit: int) -> str:
    return PydanticKnownError("less_than", {"lt": 0}).message().removesuffix("0") + str(limit)


def one_of(*values: object) -> str:
    *others, last = map(repr, values)
    return PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"}).message()


def a(kind: str) -> str:
    """Of a value that is no list, int, bool, float or string."""
    return PydanticKnownError(f"{kind}_type").message()  # type: ignore[call-overload]


def at_least_items(count: int, found: int) -> str:
    context = {"field_type": "List", "min_length": count, "actual_length": found}
    return PydanticKnownError("too_short", context).message()
