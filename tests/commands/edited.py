"""The committed params.yaml on a grid of these tests' own, with some values replaced, by their dotted names."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.commands.config import Config, parse_config

ROOT = Path(__file__).parents[2]
YAML_SAFE = YAML(typ="safe", pure=True)
COMMITTED = YAML_SAFE.load(ROOT / "params.yaml")


GRID = {
    "run.folds": [0],
    "finetune.steps": [0, 50, 100],
    "measure.analyses": ["seen_matched", "k_sensitivity", "layer_pairs", "ood"],
}
"""What tests count on, whatever the default grid is."""


def content(changes: dict[str, Any]) -> dict[str, Any]:
    values = deepcopy(COMMITTED)
    for dotted, value in (GRID | changes).items():
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
