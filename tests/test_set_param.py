"""Every kind of value of params.yaml can be replaced with `dvc exp run -S`, by the code that DVC runs for it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from stages.commands.check import check_sections
from stages.commands.config import parse_config
from stages.prepare.params import FolderParams
from tests.commands.edited import COMMITTED
from tests.workflow import ROOT

ANOTHER: dict[str, Any] = {
    "run.datasets": ["cifar100"], "run.models": ["resnet50"], "run.folds": [1, "all"], "run.seeds": [0, 1],
    "finetune.steps": [0, 50], "finetune.keep": "last", "finetune.schedule_steps": 508,
    "embed.splits": ["train", "test", "unseen"], "embed.pooling": ["max", "mean"], "embed.dtype": "float16",
    "measure.metrics": ["nmi", "accuracy"], "measure.extra.metrics": [], "measure.extra.steps": [0, 100],
    "measure.analyses": [], "measure.normalize": "none", "measure.knn_k": "paper", "measure.neighbours": "other_groups",
    "measure.probe.steps": [0, 100], "measure.representations.joins": ["single", "all"],
    "measure.representations.recipes": ["plain"],
    "measure.refits.metrics": ["nmi"], "measure.refits.steps": [0, 100], "measure.refits.halves": 0,
    "aggregate.main_metric": "knn_purity", "aggregate.use": "retrieval",
    "datasets.*.source": "folder", "datasets.*.unseen_classes": ["caveat", "delius"],
    "models.*.network.library": "torchvision", "models.*.network.name": "resnet152",
    "models.*.network.weights.source": "hub", "models.*.network.weights.name": "another-package",
    "models.*.network.config.depths": [1, 1, 2, 1], "models.*.network.config.num_heads": [2, 2, 4, 4],
    "models.*.taps.layers": ["blocks.3", "blocks.6"],
}  # fmt: skip
"""Dotted name, `*` for an entry's id -> another legal value, where it is not a number's next or the other bool."""


def leaves(node: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {name: node}
    return {leaf: v for key in node for leaf, v in leaves(node[key], f"{name}.{key}" if name else key).items()}


LEAVES = leaves(COMMITTED)


def kind(leaf: str) -> str:
    return re.sub(r"^(datasets|models)\.\w+", r"\1.*", leaf)


def another(leaf: str) -> Any:
    name, value = kind(leaf), LEAVES[leaf]
    if name in ANOTHER:
        return "none" if name.endswith("weights.source") and value == ANOTHER[name] else ANOTHER[name]
    assert isinstance(value, bool | int | float), f"name another legal value of {name} in ANOTHER"
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value / 2 or 0.5


def overrides(leaf: str) -> list[str]:
    """What is given to -S: the value, and what must change with it."""
    found = [f"{leaf}={text(another(leaf))}"]
    if leaf.endswith(".network.library"):  # a name is that of an architecture of one library
        found.append(f"{leaf.replace('library', 'name')}=resnet18")
    if re.fullmatch(r"datasets\.\w+\.source", leaf):  # sources have keys of their own
        entry, _, _ = leaf.rpartition(".")
        keys = [name.removeprefix(f"{entry}.").split(".")[0] for name in LEAVES if name.startswith(f"{entry}.")]
        found += [f"~{entry}.{key}" for key in dict.fromkeys(keys) if key not in FolderParams.model_fields]
    return found


def text(value: Any) -> str:
    return json.dumps(value).replace('"', "")


@pytest.mark.parametrize("leaf", {kind(leaf): leaf for leaf in LEAVES}.values())
def test_a_leaf_of_every_kind_can_be_replaced(leaf: str, tmp_path: Path):
    path = tmp_path / "params.json"  # DVC treats it as it does params.yaml, and writes it faster
    path.write_text(json.dumps(COMMITTED))
    assert another(leaf) != LEAVES[leaf]
    apply_overrides(path, overrides(leaf))
    changed = json.loads(path.read_text())
    found = leaves(changed)
    assert found[leaf] == another(leaf)
    different = {name for name in LEAVES if found.get(name) != LEAVES[name]}
    assert len(different) <= len(overrides(leaf))
    check_sections(parse_config(changed))


@pytest.mark.parametrize("path", ["params.yaml", "docs/presets/paper.yaml"])
@pytest.mark.parametrize("first", ["run.folds=[0]", "measure.neighbours=other_groups"])
def test_a_list_can_be_emptied_after_another_value_was_replaced(path: str, first: str, tmp_path: Path):
    """DVC then puts a comment at the end of the list's line between the key and the list: comments stand above."""
    edited, lists = tmp_path / "params.yaml", [leaf for leaf, value in LEAVES.items() if isinstance(value, list)]
    assert len(lists) >= 10
    for leaf in lists:
        edited.write_text((ROOT / path).read_text())
        apply_overrides(edited, [first])
        apply_overrides(edited, [f"++{leaf}=[]"])
        assert leaves(YAML(typ="safe").load(edited))[leaf] == []
