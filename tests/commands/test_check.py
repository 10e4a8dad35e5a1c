"""`whichlayer check`: what it looks at, in which order, and that it is quick."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from safetensors.torch import save

from stages.commands.check import (
    check,
    check_classes,
    check_datasets,
    check_networks,
    check_raw,
    check_sections,
)
from stages.commands.config import Config, parse_config
from stages.commands.dvc_project.workspace import check_merged
from stages.prepare.sources import SOURCES
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import RunParams
from tests.commands.edited import COMMITTED, ROOT, config, file

TINY = {"library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32}
NET = save(build_network(NetworkParams.model_validate(TINY), 2, seed=0).module.state_dict())
"""A file of weights, and the network that they fit."""


def run(*args: str) -> str:
    return CliRunner().invoke(check, args, catch_exceptions=False).stdout


def test_it_looks_at_images_and_weights_and_sums_up_the_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    weights = {"source": "file", "path": str(tmp_path / "mine.pth"), "sha256": hashlib.sha256(NET).hexdigest()}
    params = file(
        tmp_path,
        {
            "datasets.mine": {
                "source": "folder", "image_size": 32, "test_fraction": 0.4, "unseen_classes": ["c", "d"],
            },
            "models.efficientnet_lite0.network": {**TINY, "weights": weights},
            "finetune.schedule_epochs": 100,
            "run": {"datasets": ["mine"], "models": ["efficientnet_lite0"], "folds": [0], "seeds": [0, 1]},
        },
    )  # fmt: skip
    write_images(tmp_path / "small", 8)
    write_images(tmp_path / "large", 13)
    monkeypatch.setattr("stages.commands.check.RAW", tmp_path / "small")
    with pytest.raises(UserError, match="every class must have an image for each of measure"):
        run("--params", str(params))
    monkeypatch.setattr("stages.commands.check.RAW", tmp_path / "large")
    with pytest.raises(UserError, match=r"weights\.path: must be"):
        run("--params", str(params))
    (tmp_path / "mine.pth").write_bytes(NET)
    printed = run("--params", str(params))
    summary, note = printed.splitlines(keepends=True)
    assert summary.endswith("2 cells: datasets mine; models efficientnet_lite0; folds 0; seeds 0, 1\n")
    assert note.startswith("check: datasets.mine: with 4 classes in all, 1 fold(s) with unseen ones reveal little")


def test_marks_of_a_conflict_in_dvc_lock_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole, lock = (ROOT / "dvc.lock").read_text(), tmp_path / "dvc.lock"
    check_merged(tmp_path)
    lock.write_text(whole)
    check_merged(tmp_path)
    start, end = whole.index("  embed@"), whole.index("  measure@")
    for text in (f"{whole}<<<<<<< HEAD\n", f"{whole[:start]}<<<<<<< HEAD\n{whole[start:end]}=======\n{whole[end:]}"):
        lock.write_text(text)
        with pytest.raises(UserError, match=r"dvc\.lock: must be merged, found a conflict mark in line \d+; keep"):
            check_merged(tmp_path)
    monkeypatch.setattr("stages.commands.check.ROOT", tmp_path)
    with pytest.raises(UserError, match="must be merged"):
        run()


def test_it_imports_no_network_library_and_exits_with_2(tmp_path: Path):
    code = (
        "import sys\n"
        "from stages.commands.cli import main\n"
        f"sys.argv = ['whichlayer', 'check', '--params', {str(file(tmp_path, {'measure.knn_k': 'all'}))!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert stop.code == 2, stop.code\n"
        "assert not {'torch', 'timm', 'transformers', 'sklearn'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "measure.knn_k" in done.stderr


def test_a_network_that_does_not_fit_is_named_without_its_weights():
    network = "models.efficientnet_lite0.network"
    with pytest.raises(UserError, match=r"models\.efficientnet_lite0: .* run on images of 20 px"):
        check_networks(config({f"{network}.name": "convnext_atto", f"{network}.image_size": 20}))


NO_PROBE = ["nmi", "knn_purity", "nn1_accuracy", "accuracy"]


def check_edited(changes: dict[str, Any]) -> None:
    check_sections(config(changes))


def message(changes: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        check_edited(changes)
    return str(caught.value)


def test_nothing_is_valid_in_a_project_that_dvc_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stages.commands.dvc_project.workspace.ROOT", tmp_path)
    (tmp_path / "dvc.yaml").touch()
    with pytest.raises(UserError, match=r"dvc\.yaml: must be the whole workflow"):
        run()


def test_a_cache_that_dvc_cannot_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stages.commands.check.cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "cache").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"cache: must be a folder for DVC's cache, found a link to .*gone, which"):
        run()


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
            "measure.probe.steps",
            [0, 60],
            "measure.probe.steps: must name checkpoints, found 60; finetune.steps and finetune.keep give 0, 50, 100",
        ),
        ("measure.refits.steps", [70], "measure.refits.steps: must name checkpoints, found 70; finetune.steps and"),
        ("measure.extra.steps", [0, 70], "measure.extra.steps: must name checkpoints, found 70; finetune.steps and"),
        ("embed.train_per_class", 0, "measure.analyses: 'ood' needs embed.train_per_class to be more than 0, but"),
        ("embed.splits", ["test"], "embed.splits: must list 'unseen', found test"),
        ("datasets.handwriting.test", 4, "datasets.handwriting.test: must be at least measure.probe.folds, 5, found 4"),
    ],
)
def test_a_wrong_value_is_named(dotted: str, value: object, expected: str):
    assert expected in message({dotted: value})


def test_the_use_is_one_that_a_score_or_an_analysis_tells_of():
    check_edited({"aggregate.use": "detection"})
    assert "found scores for classifier, discovery, geometry, retrieval;" in message(
        {"aggregate.use": "detection", "measure.analyses": []}
    )


def test_the_probe_is_asked_for_at_checkpoints_that_are_kept():
    check_edited({"finetune.keep": "last", "measure.probe.steps": [100]})
    found = message({"finetune.keep": "last", "measure.probe.steps": [0, 100]})
    assert "found 0; finetune.steps and finetune.keep give 100" in found


def test_a_frozen_network_has_its_first_checkpoint_alone():
    frozen = {"models.efficientnet_lite0.network.frozen": True}
    check_edited(frozen)
    check_edited({**frozen, "measure.probe.steps": [0], "measure.extra.steps": [0]})
    found = message({**frozen, "measure.probe.steps": [0, 100]})
    assert "measure.probe.steps: must name checkpoints, found 100; a frozen network has 0: " in found
    found = message({**frozen, "aggregate.main_metric": "map_at_r", "measure.extra.steps": [100]})
    assert "must be measured at the last checkpoint, 0, found measure.extra.steps 100" in found


def test_the_main_metric_may_be_a_further_score_of_the_last_checkpoint():
    check_edited({"aggregate.main_metric": "map_at_r"})
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


@pytest.mark.parametrize("name", ["seen_matched", "ood", "representations"])
def test_analyses_of_seen_images_need_them(name: str):
    without = {"embed.splits": ["unseen"]}
    check_edited({**without, "measure.analyses": ["layer_pairs"]})
    found = message({**without, "measure.analyses": [name]})
    assert f"measure.analyses: '{name}' needs embed.splits to list 'test'" in found


def test_small_classes_are_accepted_without_the_probe():
    changes = {"datasets.handwriting.test": 4, "measure.metrics": NO_PROBE}
    check_edited(changes)
    assert "or remove probe_accuracy from" in message({**changes, "measure.metrics": ["nmi", "probe_accuracy"]})


MINE = RunParams(datasets=["mine"], models=["m"], folds=[0], seeds=[0])


def write_images(raw: Path, per_class: int, labels: str = "abcd") -> None:
    for label in labels:
        (raw / "mine" / label).mkdir(parents=True)
        for number in range(per_class):
            (raw / "mine" / label / f"{number}.png").touch()


def mine(changes: dict[str, Any]) -> Config:
    entry = {"source": "folder", "image_size": 32, "test_fraction": 0.4, "unseen_classes": ["c", "d"]}
    return config({"datasets.mine": entry, "run.datasets": ["mine"], "finetune.schedule_epochs": 100, **changes})


def test_classes_of_ones_own_images_are_counted_before_training(tmp_path: Path):
    write_images(tmp_path / "small", 8)
    write_images(tmp_path / "large", 13)  # 5 of them are test images
    with pytest.raises(
        UserError, match=r"datasets\.mine: .*folds, 5, in the split 'test', found 'a' \(3\), 'b' \(3\); add"
    ):
        check_classes(mine({}), tmp_path / "small")
    assert [note[:16] for note in check_classes(mine({}), tmp_path / "large")] == ["datasets.mine: w"]
    write_images(tmp_path / "many", 13, "abcdefghijkl")
    assert [note[15:50] for note in check_classes(mine({}), tmp_path / "many")] == [
        "folds with 2 unseen classes have no"
    ]
    without = {"measure.metrics": ["nmi"], "measure.analyses": ["k_sensitivity"]}
    check_classes(mine(without), tmp_path / "small")


def test_all_datasets_must_have_as_many_sets_of_classes(tmp_path: Path):
    write_images(tmp_path, 6, "abcdefgh")
    (tmp_path / "more").symlink_to(tmp_path / "mine")
    network = COMMITTED["models"]["efficientnet_lite0_frozen"]
    sets = mine({"datasets.mine.unseen_classes": "all", "datasets.mine.unseen_count": 4, "models.frozen": network})
    more = sets.datasets["mine"].model_copy(update={"unseen_count": 2})
    run = sets.run.model_copy(update={"models": ["frozen"]})
    assert check_classes(replace(sets, run=run), tmp_path) == []
    both = replace(
        sets, datasets={**sets.datasets, "more": more}, run=run.model_copy(update={"datasets": ["mine", "more"]})
    )
    with pytest.raises(UserError, match=r"as many sets of classes .*found 4 of more and 2 of mine"):
        check_classes(both, tmp_path)


def test_what_would_be_downloaded_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for source in ("calligraphy", "cifar100", "torchvision"):
        monkeypatch.delitem(SOURCES, source)
    for dataset in ("calligraphy", "cifar100"):
        shutil.copytree(ROOT / "data" / "raw" / dataset, tmp_path / dataset)
    (tmp_path / "public").mkdir()
    public = {"source": "torchvision", "name": "EuroSAT", "image_size": 64, "test_fraction": 0.2}
    grid = ["calligraphy", "cifar100", "public"]
    check_classes(config({"datasets.public": public, "run.datasets": grid}), tmp_path)
    for change in ({"test_fraction": None}, {"name": "MNIST"}):
        with pytest.raises(UserError, match=r"datasets\.public: .*(give `test_fraction`|of their own; leave it out)"):
            check_classes(config({"datasets.public": public | change, "run.datasets": grid}), tmp_path)


def test_only_the_folds_of_the_grid_need_images_enough(tmp_path: Path):
    """In fold 1 classes c and d are the seen ones; `all` needs every class."""
    write_images(tmp_path, 13)
    for path in (tmp_path / "mine" / "c").glob("[0-5].png"):
        path.unlink()
    check_classes(mine({}), tmp_path)
    for folds in ([0, 1], [0, "all"]):
        with pytest.raises(UserError, match=r"datasets\.mine: .*in the split 'test', found 'c' \(3\);"):
            check_classes(mine({"run.folds": folds}), tmp_path)


def test_a_fold_that_ones_own_images_do_not_give_is_named_with_the_reason(tmp_path):
    write_images(tmp_path, 13)
    with pytest.raises(UserError, match=r"has no fold 2; it has 2 numbered folds \(0, 1\) and fold all, since its 4"):
        check_classes(mine({"run.folds": [0, 2]}), tmp_path)


def test_fold_all_needs_train_and_test_images_of_every_class(tmp_path: Path):
    for split, labels in (("train", "ab"), ("test", "ab"), ("unseen", "cd")):
        for label in labels:
            (tmp_path / "mine" / split / label).mkdir(parents=True)
            for number in range(6):
                (tmp_path / "mine" / split / label / f"{number}.png").touch()
    changes = {"datasets.mine": {"source": "folder", "image_size": 32}}
    check_classes(mine(changes), tmp_path)
    reason = (
        r"no fold all; it has 1 numbered fold \(0\), since the data name their unseen classes in a split of their own"
    )
    with pytest.raises(UserError, match=reason):
        check_classes(mine(changes | {"run.folds": [0, "all"]}), tmp_path)


def test_an_empty_raw_folder_is_named(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"mine: must hold images, found nothing"):
        check_raw(tmp_path, MINE)


def test_a_missing_raw_folder_says_how_to_provide_it(tmp_path: Path):
    with pytest.raises(
        UserError, match=r"run.datasets names 'mine', found nothing; copy your images there, or link to"
    ):
        check_raw(tmp_path, MINE)


def test_a_dangling_link_is_named(tmp_path: Path):
    (tmp_path / "mine").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"found a link to .*gone, which does not exist"):
        check_raw(tmp_path, MINE)


def test_a_pipe_among_raw_data_is_refused_without_opening_it(tmp_path: Path):
    write_images(tmp_path, 2)
    os.mkfifo(tmp_path / "mine" / "a" / "3.png")
    with pytest.raises(UserError, match=r"mine/a/3\.png: must be a regular file, found a named pipe; remove it"):
        check_raw(tmp_path, MINE)


FROZEN = {f"models.{model}.network.frozen": True for model in COMMITTED["run"]["models"]}


def test_all_classes_are_unseen_only_beside_networks_that_are_measured_as_they_are(tmp_path: Path):
    changes = {"datasets.mine.unseen_classes": "all"}
    message = r"datasets\.mine\.unseen_classes: `all` leaves no class to fine-tune on, which 'efficientnet_lite0' in"
    with pytest.raises(UserError, match=message):
        check_datasets(mine(changes))
    check_datasets(mine(changes | FROZEN))
    another = {"run.models": ["efficientnet_lite0", "efficientnet_lite0_scratch"]}
    with pytest.raises(UserError, match="which 'efficientnet_lite0_scratch' in"):
        check_datasets(mine(changes | FROZEN | another))
    check_datasets(mine({}))


def test_limits_and_counts_of_seen_classes_do_not_matter_where_all_are_unseen(tmp_path: Path):
    write_images(tmp_path, 6)
    changes = {"datasets.mine.unseen_classes": "all", "datasets.mine.test": 2, **FROZEN}
    check_datasets(mine(changes))
    check_classes(mine(changes), tmp_path)
    with pytest.raises(UserError, match=r"datasets\.mine\.unseen: must be at least measure\.probe\.folds, 5, found 4"):
        check_datasets(mine(changes | {"datasets.mine.unseen": 4}))


def test_training_that_outlasts_its_schedule_is_named(tmp_path: Path):
    write_images(tmp_path, 13)  # 8 train images of each of two classes: an epoch is one batch
    changes = {"finetune.steps": [0, 50], "finetune.schedule_epochs": 49}
    with pytest.raises(UserError, match=r"datasets\.mine: finetune\.steps: .* 49 optimizer steps .* found 50; lower"):
        check_classes(mine(changes), tmp_path)
    check_classes(mine(changes | {"finetune.schedule_epochs": 50}), tmp_path)
    check_classes(mine(changes | FROZEN), tmp_path)


def test_classes_that_are_left_out_are_counted(tmp_path: Path):
    write_images(tmp_path, 13)
    for number in range(4):
        (tmp_path / "mine" / "e").mkdir(exist_ok=True)
        (tmp_path / "mine" / "e" / f"{number}.png").touch()
    with pytest.raises(UserError, match=r"in the split 'test', found 'e' \(2\); add .*`min_images`"):
        check_classes(mine({}), tmp_path)
    notes = check_classes(mine({"datasets.mine.min_images": 13}), tmp_path)
    assert "datasets.mine: left out, with too few images: 'e' (4)" in notes


LAYERS = "models.efficientnet_lite0.taps.layers"


def test_a_file_of_weights_that_is_missing_or_another_is_named_before_training(tmp_path: Path):
    path = tmp_path / "mine.pth"
    weights = {"source": "file", "path": str(path), "sha256": hashlib.sha256(NET).hexdigest()[:16]}
    params = config({"models.efficientnet_lite0.network": {**TINY, "weights": weights}})
    where = r"models\.efficientnet_lite0\.network: weights\."
    with pytest.raises(UserError, match=rf"{where}path: .* found at .*mine\.pth: No such file"):
        check_networks(params)
    path.write_bytes(NET)
    check_networks(params)
    path.write_bytes(b"changed")
    with pytest.raises(UserError, match=rf"{where}sha256: .*mine\.pth must have a SHA-256 .* its content has changed"):
        check_networks(params)
    unknown = {"source": "package", "name": "nope-model"}
    with pytest.raises(UserError, match=rf"{where}name: unknown weights package 'nope-model': "):
        check_networks(config({"models.efficientnet_lite0.network.weights": unknown}))


def test_a_layer_that_is_not_in_its_network_is_named_before_training():
    with pytest.raises(UserError, match=r"models\.efficientnet_lite0: .*'block\.3' is not a module .*'blocks\.3'"):
        check_networks(config({LAYERS: ["blocks.6", "block.3"]}))
    check_networks(config({LAYERS: ["blocks.6", "blocks.3"]}))
