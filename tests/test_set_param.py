"""Every value of params.yaml can be replaced with `dvc exp run -S`, by the code that DVC runs for it."""

import json
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides

from stages.commands.check.sections import check_sections
from stages.commands.config import parse_config
from tests.commands.edited import COMMITTED
from tests.workflow import Workflow, tiny_images, tiny_params

ANOTHER: dict[str, Any] = {
    "run.datasets": ["cifar100"], "run.models": ["resnet50"], "run.seeds": [0, 1],
    "prepare.seed": 1,
    "finetune.steps": [0, 100], "finetune.keep": "last", "finetune.schedule_epochs": 5, "finetune.schedule_steps": 508,
    "finetune.learning_rate": 0.001, "finetune.batch_size": 8, "finetune.weight_decay": 0.01, "finetune.clip_norm": 2.0,
    "finetune.augment.degrees": 0.0, "finetune.augment.padding": 0,
    "embed.splits": ["train", "test", "unseen"], "embed.pooling": ["max", "mean"], "embed.augment": True,
    "embed.baseline_size": 0, "embed.dtype": "float16", "embed.batch_size": 2, "embed.train_per_class": 5,
    "embed.corruptions.kinds": ["blur", "noise"], "embed.corruptions.severities": [2], "embed.corruptions.per_class": 3,
    "measure.metrics": ["nmi", "accuracy"], "measure.extra.metrics": [], "measure.extra.steps": [0, 50],
    "measure.analyses": [], "measure.normalize": "l2", "measure.kmeans.starts": 1, "measure.kmeans.seed": 42,
    "measure.knn_k": "paper", "measure.probe.C": 0.1, "measure.probe.folds": 3, "measure.probe.steps": [0, 100],
    "aggregate.main_metric": "knn_purity", "aggregate.resamples": 200, "aggregate.seed": 3,
    "datasets.*.source": "folder", "datasets.*.image_size": 48, "datasets.*.seed": 1, "datasets.*.train": 9,
    "datasets.*.test": 9, "datasets.*.unseen": 9, "datasets.*.train_total": 90, "datasets.*.test_total": 90,
    "datasets.*.unseen_classes": ["caveat", "delius"], "datasets.*.unseen_count": 4, "datasets.*.unseen_seed": None,
    "models.*.network.library": "torchvision", "models.*.network.name": "resnet18",
    "models.*.network.weights.source": "hub", "models.*.network.weights.name": "another-package",
    "models.*.network.image_size": 96, "models.*.network.epochs": 6,
    "models.*.network.config.embed_dim": 48,
    "models.*.network.config.depths": [1, 1, 2, 1], "models.*.network.config.num_heads": [2, 2, 4, 4],
    "models.*.network.config.window_size": 7, "models.*.network.frozen": False,
    "models.*.taps.layers": ["blocks.3", "blocks.6"],
}  # fmt: skip
"""Dotted name, `*` for an entry's id -> another legal value."""


def leaves(node: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {name: node}
    return {leaf: v for key in node for leaf, v in leaves(node[key], f"{name}.{key}" if name else key).items()}


def another(leaf: str) -> Any:
    section, *rest = leaf.split(".")
    value = ANOTHER[".".join([section, "*", *rest[1:]] if section in ("datasets", "models") else [section, *rest])]
    return "none" if leaf.endswith("weights.source") and leaves(COMMITTED)[leaf] == value else value


def text(value: Any) -> str:
    return json.dumps(value).replace('"', "")


@pytest.mark.parametrize("leaf", leaves(COMMITTED))
def test_every_leaf_can_be_replaced(leaf: str, tmp_path: Path):
    path = tmp_path / "params.json"  # DVC treats it as it does params.yaml, and writes it faster
    path.write_text(json.dumps(COMMITTED))
    assert another(leaf) != leaves(COMMITTED)[leaf]
    replaced = {leaf: another(leaf)}
    if leaf.endswith(".network.library"):  # a name is that of an architecture of one library
        replaced[leaf.replace("library", "name")] = "resnet18"
    apply_overrides(path, [f"{name}={text(value)}" for name, value in replaced.items()])
    changed = json.loads(path.read_text())
    assert leaves(changed) == {**leaves(COMMITTED), **replaced}
    check_sections(parse_config(changed))


@pytest.mark.slow
def test_an_experiment_replaces_an_alternative(tmp_path: Path):
    workflow = Workflow(tmp_path)
    tiny_params(workflow, ["left"], ["first"])
    tiny_images(tmp_path / "data" / "raw" / "left", seed=0)
    workflow.start_repository()
    workflow.run("dvc", "exp", "run", "-n", "longer", "-S", "finetune.schedule_steps=9")
    assert "finetune@left-first-0" in workflow.computed()
    shown = json.loads(workflow.run("dvc", "params", "diff", "--json").stdout)
    assert shown["params.yaml"] == {"finetune.schedule_steps": {"old": None, "new": 9}}
