"""What one section of params.yaml asks of another: every wrong value is named before anything runs. Without files."""

from typing import Any

import pytest

from stages.commands.check.sections import check_sections
from stages.commands.config import parse_config
from stages.shared.runtime.errors import UserError
from tests.commands.edited import COMMITTED, config

NO_PROBE = ["nmi", "knn_purity", "nn1_accuracy", "accuracy"]


def check(changes: dict[str, Any]) -> None:
    check_sections(config(changes))


def message(changes: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        check(changes)
    return str(caught.value)


def test_the_committed_params_hold():
    check_sections(parse_config(COMMITTED))


@pytest.mark.parametrize(
    ("dotted", "value", "expected"),
    [
        (
            "aggregate.main_metric",
            "nmi_",
            "aggregate.main_metric: 'nmi_' must be in measure.metrics or measure.extra.metrics: did you mean 'nmi'",
        ),
        (
            "aggregate.main_metric",
            "intrinsic_dimension",
            "a score by which a layer is better, found 'intrinsic_dimension'",
        ),
        (
            "measure.probe.steps",
            [0, 60],
            "measure.probe.steps: must name checkpoints, found 60; finetune.steps and finetune.keep give 0, 50, 100",
        ),
        ("measure.refits.steps", [70], "measure.refits.steps: must name checkpoints, found 70; finetune.steps and"),
        ("measure.extra.steps", [0, 70], "measure.extra.steps: must name checkpoints, found 70; finetune.steps and"),
        ("embed.train_per_class", 0, "measure.analyses: 'ood' needs embed.train_per_class to be more than 0, but"),
        ("embed.corruptions.kinds", [], "measure.analyses: 'corruptions' needs embed.corruptions.kinds to name some, "),
        ("embed.splits", ["test"], "embed.splits: must list 'unseen', found test"),
        ("datasets.handwriting.test", 4, "datasets.handwriting.test: must be at least measure.probe.folds, 5, found 4"),
    ],
)
def test_a_wrong_value_is_named(dotted: str, value: object, expected: str):
    assert expected in message({dotted: value})


def test_the_use_is_one_that_a_score_or_an_analysis_tells_of():
    check({"aggregate.use": "detection"})
    assert "found scores for classifier, discovery, geometry, retrieval;" in message(
        {"aggregate.use": "detection", "measure.analyses": []}
    )


def test_the_probe_is_asked_for_at_checkpoints_that_are_kept():
    check({"finetune.keep": "last", "measure.probe.steps": [100]})
    found = message({"finetune.keep": "last", "measure.probe.steps": [0, 100]})
    assert "found 0; finetune.steps and finetune.keep give 100" in found


def test_a_frozen_network_has_its_first_checkpoint_alone():
    frozen = {"models.efficientnet_lite0.network.frozen": True}
    check(frozen)
    check({**frozen, "measure.probe.steps": [0], "measure.extra.steps": [0]})
    found = message({**frozen, "measure.probe.steps": [0, 100]})
    assert "measure.probe.steps: must name checkpoints, found 100; models.efficientnet_lite0.network.frozen " in found
    found = message({**frozen, "aggregate.main_metric": "map_at_r", "measure.extra.steps": [100]})
    assert "must be measured at the last checkpoint, 0, found measure.extra.steps 100" in found


def test_the_main_metric_may_be_a_further_score_of_the_last_checkpoint():
    check({"aggregate.main_metric": "map_at_r"})
    found = message({"aggregate.main_metric": "map_at_r", "measure.extra.steps": [0, 50]})
    assert "'map_at_r' must be measured at the last checkpoint, 100, found measure.extra.steps 0, 50;" in found


@pytest.mark.parametrize(
    ("extra", "probe", "expected"),
    [
        ([], [0], "found measure.probe.steps 0; add 100 there"),
        ([0, 100], [50], "found measure.probe.steps 50; add 100 there"),
        ([0, 50], [100], "found measure.extra.steps 0, 50; add 100 there"),
    ],
)
def test_the_probe_as_main_metric_is_fitted_at_the_last_checkpoint(extra: list[int], probe: list[int], expected: str):
    changes: dict[str, Any] = {"aggregate.main_metric": "probe_accuracy", "measure.probe.steps": probe}
    if extra:
        changes |= {
            "measure.metrics": NO_PROBE,
            "measure.extra": {"metrics": ["probe_accuracy"], "steps": extra},
        }
    found = message(changes)
    assert "aggregate.main_metric: 'probe_accuracy' must be measured at the last checkpoint, 100, " in found
    assert expected in found


@pytest.mark.parametrize(
    ("extra", "probe", "found"),
    [([0], [50], "50 beside 0"), ([50], "ends", "0, 100 beside 50"), ("ends", [50], "50 beside 0, 100")],
)
def test_the_probe_as_a_further_score_has_a_checkpoint(extra: object, probe: object, found: str):
    changes = {
        "measure.metrics": NO_PROBE,
        "measure.extra": {"metrics": ["probe_accuracy"], "steps": extra},
        "measure.probe.steps": "all",
    }
    check(changes)
    said = message({**changes, "measure.probe.steps": probe})
    assert "measure.probe.steps: must share a checkpoint with measure.extra.steps" in said
    assert f"found {found};" in said


@pytest.mark.parametrize("name", ["seen_matched", "ood"])
def test_analyses_of_seen_images_need_them(name: str):
    without = {"embed.splits": ["unseen"], "embed.corruptions.kinds": []}
    check({**without, "measure.analyses": ["layer_pairs"]})
    found = message({**without, "measure.analyses": [name]})
    assert f"measure.analyses: '{name}' needs embed.splits to list 'test'" in found


def test_small_classes_are_accepted_without_the_probe():
    changes = {"datasets.handwriting.test": 4, "measure.metrics": NO_PROBE}
    assert "and corruptions out of" in message(changes)
    check({**changes, "measure.analyses": ["k_sensitivity"]})
