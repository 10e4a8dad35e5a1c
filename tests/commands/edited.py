"""The committed params.yaml with some values replaced, by their dotted names."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.commands.config import Config, parse_config

ROOT = Path(__file__).parents[2]
YAML_SAFE = YAML(typ="safe", pure=True)
COMMITTED = YAML_SAFE.load(ROOT / "params.yaml")


def content(changes: dict[str, Any]) -> dict[str, Any]:
    values = deepcopy(COMMITTED)
    for dotted, value in changes.items():
        *parents, last = dotted.split(".")
        node = values
        for part in parents:
            node = node[part]
        node[last] = value
    return values


def config(changes: dict[str, Any]) -> Config:
    return parse_config(content(changes))


def file(folder: Path, changes: dict[str, Any]) -> Path:
    path = folder / "params.yaml"
    YAML_SAFE.dump(content(changes), path)
    return path
