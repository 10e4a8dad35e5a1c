"""Tables of the columns of a table: name, type and meaning, from the modules that own them."""

from collections.abc import Container, Mapping
from typing import Any

from pydantic import TypeAdapter

from tests.reference.descriptions import Descriptions, group_of, of_class
from tests.reference.pages import code, table

TYPES = {
    "string": "text",
    "Int64": "whole number",
    "float64": "number",
    "boolean": "true, false",
    "bool": "true, false",
    "int16": "whole number",
    "float": "number",
    "list<item: string>": "list of text",
}
"""Types of CSV and Parquet columns, in words."""


def column_table(
    columns: Mapping[str, str], own: Descriptions, *shared: Descriptions, common: Descriptions | None = None
) -> str:
    """Tabulate columns, those that one line of a docstring describes in one row.

    Args:
        columns: column -> type, in the table's order.
        own: what the table's own docstring says of them.
        shared: what others say, where it says nothing.
        common: what a table of its own describes, if nothing else does; one row names these columns.

    Raises:
        LookupError: nothing describes a column, or the table's own docstring describes one that it lacks.
    """
    check_described(own, columns)
    descriptions = (own, *shared)
    rows: dict[tuple[str, ...], tuple[str, ...]] = {}
    elsewhere = [
        name
        for name in columns
        if common and _named(name, common) and not any(_named(name, each) for each in descriptions)
    ]
    if elsewhere:
        rows[()] = (", ".join(map(code, elsewhere)), "", "[common columns](#common-columns)")
    for name in columns:
        if name in elsewhere:
            continue
        group, meaning = _described(name, descriptions)
        names = tuple(each for each in group if each in columns and _described(each, descriptions)[0] == group)
        kinds = dict.fromkeys(TYPES[columns[each]] for each in names)
        rows[names] = (", ".join(map(code, names)), "; ".join(kinds), meaning)
    return table(("column", "type", "meaning"), list(rows.values()))


def record_table(model: type[Any]) -> str:
    """Tabulate the fields of a JSON object."""
    meanings = of_class(model)
    fields = TypeAdapter(model).json_schema()["properties"]
    rows = {group_of(name, meanings): None for name in fields}
    check_described(meanings, fields)
    return table(("field", "meaning"), [(", ".join(map(code, names)), meanings[", ".join(names)]) for names in rows])


def _described(name: str, descriptions: tuple[Descriptions, ...]) -> tuple[tuple[str, ...], str]:
    for each in descriptions:
        if _named(name, each):
            group = group_of(name, each)
            return group, each[", ".join(group)]
    return group_of(name, {}), ""


def _named(name: str, descriptions: Descriptions) -> bool:
    return any(name in names.split(", ") for names in descriptions)


def check_described(own: Descriptions, names: Container[str]) -> None:
    """Check that a docstring describes nothing that does not exist.

    Raises:
        LookupError: naming what does not.
    """
    unknown = [name for group in own for name in group.split(", ") if name not in names]
    if unknown:
        raise LookupError(f"a docstring describes what does not exist: {', '.join(unknown)}")
