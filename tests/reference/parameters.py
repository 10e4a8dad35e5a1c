"""Tables of parameters: name, type, default and meaning, from the models of the stages and from params.yaml."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tests.reference.descriptions import group_of, of_class
from tests.reference.pages import code, table

HEAD = ("parameter", "type", "default", "meaning")
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}


def section_table(model: type[BaseModel], section: str, values: Mapping[str, Any]) -> str:
    """Tabulate a section of params.yaml, whose values are the defaults."""
    return table(HEAD, list(_rows(model, section, values)))


def entry_table(model: type[BaseModel], prefix: str = "") -> str:
    """Tabulate the fields of an entry of params.yaml; defaults are the model's."""
    return table(HEAD, list(_rows(model, prefix, None)))


def variants_table(base: type[BaseModel], variants: Mapping[str, type[BaseModel]]) -> str:
    """Tabulate the fields that a variant of an entry adds, or whose type or default it changes."""
    rows, known = [], {row[0]: row for row in _rows(base, "", None)}
    for name, model in variants.items():
        for row in _rows(model, "", None):
            above = known.get(row[0])
            if row != above and row[0] != "`source`":
                meaning = "as above" if above and above[-1] == row[-1] else row[-1]
                rows.append((code(name), *row[:-1], meaning))
    return table(("source", *HEAD), rows)


def _rows(model: type[BaseModel], prefix: str, values: Mapping[str, Any] | None) -> Iterator[tuple[str, ...]]:
    schema = model.model_json_schema()
    meanings = of_class(model)
    for name, field in model.model_fields.items():
        dotted = f"{prefix}.{name}" if prefix else name
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from _rows(nested, dotted, None if values is None else values[name])
        else:
            kind = type_of(schema["properties"][name], schema.get("$defs", {}))
            default = _default(field) if values is None else literal(values[name])
            yield code(dotted), kind, default, meanings[", ".join(group_of(name, meanings))]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return literal(field.get_default(call_default_factory=True, validated_data={}))


def literal(value: Any) -> str:
    """Write a value as params.yaml has it."""
    if isinstance(value, list):
        return code(f"[{', '.join(literal(each).strip('`') for each in value)}]")
    return code(value if isinstance(value, str) else json.dumps(value))


def type_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema admits."""
    if "$ref" in schema:
        return type_of(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:  # `null` first: what follows may be a list of something
        kinds = sorted(schema["anyOf"], key=lambda each: each.get("type") != "null")
        return " or ".join(type_of(each, definitions) for each in kinds)
    if "const" in schema or "enum" in schema:
        return ", ".join(literal(each) for each in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "null":
            return "`null`"
        case "array":
            return f"list of {type_of(schema['items'], definitions)}"
        case "object":
            return "mapping"
        case kind:
            return TYPES[kind] + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {_number(schema[key])}" for key, sign in words.items() if key in schema]
    return f" {', '.join(found)}" if found else ""


def _number(value: float) -> str:
    power = int(value).bit_length() - 1
    return f"2^{power}" if value > 10**6 and 2**power == value else f"{value:g}"
