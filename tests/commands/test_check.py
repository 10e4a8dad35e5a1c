"""The check before `dvc repro`: every wrong value is named before anything runs."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.commands.check.__main__ import main
from stages.commands.check.datasets import check_classes, check_raw
from stages.commands.check.models import check_layers, check_weights
from stages.commands.check.sections import check_params
from stages.prepare.sources import SOURCES
from stages.shared.console import UserError
from stages.shared.params import RunParams

ROOT = Path(__file__).parents[2]
yaml = YAML()


def edited(folder: Path, dotted: str, value: object) -> Path:
    params = yaml.load(ROOT / "params.yaml")
    *parents, last = dotted.split(".")
    node = params
    for part in parents:
        node = node[part]
    node[last] = value
    path = folder / "params.yaml"
    yaml.dump(params, path)
    return path


def test_the_committed_params_are_valid():
    run = check_params(ROOT / "params.yaml")
    assert run.datasets == ["handwriting"]


@pytest.mark.parametrize(
    ("dotted", "value", "message"),
    [
        (
            "run.datasets",
            ["hand"],
            "run.datasets names 'hand', which is no entry of `datasets`: did you mean 'handwriting'?",
        ),
        ("run.models", ["efficientnet_lite_0"], "did you mean 'efficientnet_lite0'"),
        ("run.seeds", [-1], "run.seeds.0: Input should be greater than or equal to 0; found -1"),
        ("run.seeds", [0, 0], "must not repeat"),
        ("mesure", {}, "unknown section 'mesure': did you mean 'measure'"),
        ("finetune.learning_rat", 1.0, "finetune.learning_rat is not a parameter: did you mean 'learning_rate'?"),
        (
            "finetune.learning_rate",
            "fast",
            "finetune.learning_rate: Input should be a valid number; found 'fast' (str)",
        ),
        ("finetune.learning_rate", -1.0, "finetune.learning_rate: Input should be greater than 0; found -1.0"),
        ("finetune.steps", [0, 50, 50], "finetune.steps"),
        ("embed.pooling", ["middle"], "embed.pooling.0"),
        ("measure.metrics", ["nmii"], "did you mean 'nmi' or 'ami'?"),
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
        ("measure.extra.metrics", ["nmi"], "extra.metrics must not repeat a name of metrics, found ['nmi']"),
        ("measure.analyses", ["odd"], "measure.analyses.0: Value error, 'odd' is no analysis: did you mean 'ood'?"),
        ("measure.kmeans.start", 3, "measure.kmeans.start is not a parameter: did you mean 'starts'?"),
        ("datasets.handwriting.source", "hand", "'hand' is no source: did you mean 'handwriting'?"),
        (
            "datasets.handwriting.imagesize",
            3,
            "datasets.handwriting.imagesize is not a parameter: did you mean 'image_size'?",
        ),
        ("models.efficientnet_lite0.network.library", "tim", "models.efficientnet_lite0.network.library"),
        ("models.efficientnet_lite0.network.weights.sourc", "x", "did you mean 'source'?"),
        ("models.efficientnet_lite0.taps.layers", "all", "models.efficientnet_lite0.taps.layers"),
        (
            "measure.probe.steps",
            [0, 60],
            "measure.probe.steps: must name checkpoints, found 60; finetune.steps and finetune.keep give 0, 50, 100",
        ),
        ("measure.extra.steps", [0, 70], "measure.extra.steps: must name checkpoints, found 70; finetune.steps and"),
        (
            "embed.train_per_class",
            0,
            "measure.analyses: 'ood' needs embed.train_per_class to be more than 0; change it",
        ),
        ("embed.corruptions.kinds", [], "measure.analyses: 'corruptions' needs embed.corruptions.kinds to name some;"),
        (
            "embed.splits",
            ["unseen"],
            "embed.corruptions: Value error, kinds must be [] unless embed.splits lists 'test'",
        ),
        ("embed.splits", ["test"], "embed.splits: must list 'unseen', found test"),
        ("datasets.handwriting.test", 4, "datasets.handwriting.test: must be at least measure.probe.folds, 5, found 4"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, dotted: str, value: object, message: str):
    with pytest.raises(UserError) as caught:
        check_params(edited(tmp_path, dotted, value))
    assert message in str(caught.value)


def test_the_probe_is_asked_for_at_checkpoints_that_are_kept(tmp_path: Path):
    path = edited(tmp_path, "measure.probe.steps", [100])
    params = yaml.load(path)
    params["finetune"]["keep"] = "last"
    yaml.dump(params, path)
    assert check_params(path)
    params["measure"]["probe"]["steps"] = [0, 100]
    yaml.dump(params, path)
    with pytest.raises(UserError, match=r"found 0; finetune\.steps and finetune\.keep give 100"):
        check_params(path)


def test_the_main_metric_may_be_a_further_score_of_the_last_checkpoint(tmp_path: Path):
    path = edited(tmp_path, "aggregate.main_metric", "map_at_r")
    assert check_params(path)
    params = yaml.load(path)
    params["measure"]["extra"]["steps"] = [0, 50]
    yaml.dump(params, path)
    with pytest.raises(UserError, match=r"'map_at_r' must be measured at the last checkpoint, 100, found .* 0, 50;"):
        check_params(path)


@pytest.mark.parametrize(
    ("extra", "probe", "message"),
    [
        ([], [0], r"at the last checkpoint, 100, found measure\.probe\.steps 0; add 100 there"),
        ([0, 100], [50], r"at the last checkpoint, 100, found measure\.probe\.steps 50; add 100 there"),
        ([0, 50], [100], r"at the last checkpoint, 100, found measure\.extra\.steps 0, 50; add 100 there"),
    ],
)
def test_the_probe_as_main_metric_is_fitted_at_the_last_checkpoint(
    tmp_path: Path, extra: list[int], probe: list[int], message: str
):
    path = edited(tmp_path, "aggregate.main_metric", "probe_accuracy")
    params = yaml.load(path)
    if extra:
        params["measure"]["metrics"].remove("probe_accuracy")
        params["measure"]["extra"] = {"metrics": ["probe_accuracy"], "steps": extra}
    params["measure"]["probe"]["steps"] = probe
    yaml.dump(params, path)
    with pytest.raises(UserError, match=rf"aggregate\.main_metric: 'probe_accuracy' must be measured {message}"):
        check_params(path)


@pytest.mark.parametrize(
    ("extra", "probe", "found"),
    [([0], [50], "50 beside 0"), ([50], "ends", "0, 100 beside 50"), ("ends", [50], "50 beside 0, 100")],
)
def test_the_probe_as_a_further_score_has_a_checkpoint(tmp_path: Path, extra: object, probe: object, found: str):
    path = edited(tmp_path, "measure.extra", {"metrics": ["probe_accuracy"], "steps": extra})
    params = yaml.load(path)
    params["measure"]["metrics"].remove("probe_accuracy")
    params["measure"]["probe"]["steps"] = "all"
    yaml.dump(params, path)
    assert check_params(path)
    params["measure"]["probe"]["steps"] = probe
    yaml.dump(params, path)
    with pytest.raises(
        UserError, match=rf"measure\.probe\.steps: must share .* measure\.extra\.steps.*, found {found};"
    ):
        check_params(path)


@pytest.mark.parametrize("name", ["seen_matched", "ood"])
def test_analyses_of_seen_images_need_them(tmp_path: Path, name: str):
    path = edited(tmp_path, "embed.splits", ["unseen"])
    params = yaml.load(path)
    params["embed"]["corruptions"]["kinds"] = []
    params["measure"]["analyses"] = ["layer_pairs"]
    yaml.dump(params, path)
    assert check_params(path)
    params["measure"]["analyses"] = [name]
    yaml.dump(params, path)
    with pytest.raises(UserError, match=rf"measure\.analyses: '{name}' needs embed\.splits to list 'test'"):
        check_params(path)


def test_small_classes_are_accepted_without_the_probe(tmp_path: Path):
    path = edited(tmp_path, "datasets.handwriting.test", 4)
    params = yaml.load(path)
    params["measure"]["metrics"].remove("probe_accuracy")
    yaml.dump(params, path)
    with pytest.raises(UserError, match=r"datasets\.handwriting\.test: must be at least .* and corruptions out of"):
        check_params(path)
    params["measure"]["analyses"].remove("corruptions")
    yaml.dump(params, path)
    assert check_params(path)


def own_images(raw: Path, per_class: int) -> None:
    for label in "abcd":
        (raw / "mine" / label).mkdir(parents=True)
        for number in range(per_class):
            (raw / "mine" / label / f"{number}.png").touch()


OWN = {"source": "folder", "image_size": 32, "test_fraction": 0.4, "unseen_classes": ["c", "d"]}


def test_classes_of_ones_own_images_are_counted_before_training(tmp_path: Path):
    path, run = edited(tmp_path, "datasets.mine", OWN), RunParams(datasets=["mine"], models=["m"], seeds=[0])
    own_images(tmp_path / "small", 8)
    own_images(tmp_path / "large", 13)  # 5 of them are test images
    with pytest.raises(UserError, match=r"datasets\.mine: .*folds, 5, in the split 'test', found 3 of class 'a'; add"):
        check_classes(path, tmp_path / "small", run)
    check_classes(path, tmp_path / "large", run)
    params = yaml.load(path)
    params["measure"]["metrics"].remove("probe_accuracy")
    params["measure"]["analyses"].remove("corruptions")
    yaml.dump(params, path)
    check_classes(path, tmp_path / "small", run)


def test_splits_that_ones_own_images_do_not_give_are_named_before_training(tmp_path: Path):
    path = edited(tmp_path, "datasets.mine", OWN | {"unseen_classes": ["c", "e"]})
    own_images(tmp_path, 20)
    with pytest.raises(UserError, match=r"datasets\.mine\.unseen_classes: class 'e' is not in the data"):
        check_classes(path, tmp_path, RunParams(datasets=["mine"], models=["m"], seeds=[0]))


def test_what_would_be_downloaded_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for source in ("calligraphy", "cifar100", "torchvision"):
        monkeypatch.delitem(SOURCES, source)
    path = edited(tmp_path, "datasets.public", {"source": "torchvision", "name": "EuroSAT", "image_size": 64})
    for dataset in ("calligraphy", "cifar100"):
        (tmp_path / dataset).mkdir()
        (tmp_path / dataset / "source.json").write_text("{}")
    (tmp_path / "public").mkdir()
    run = RunParams(datasets=["calligraphy", "cifar100", "public"], models=["m"], seeds=[0])
    check_classes(path, tmp_path, run)


def test_a_missing_file_of_weights_is_named_before_training(tmp_path: Path):
    path = edited(
        tmp_path, "models.efficientnet_lite0.network.weights", {"source": "file", "path": str(tmp_path / "mine.pth")}
    )
    run = RunParams(datasets=["handwriting"], models=["efficientnet_lite0_scratch", "efficientnet_lite0"], seeds=[0])
    with pytest.raises(
        UserError, match=r"models\.efficientnet_lite0\.network\.weights\.path: .* found none at .*mine\.pth"
    ):
        check_weights(path, run)
    (tmp_path / "mine.pth").touch()
    check_weights(path, run)


def test_a_layer_that_is_not_in_its_network_is_named_before_training(tmp_path: Path):
    path = edited(tmp_path, "models.efficientnet_lite0.taps.layers", ["blocks.6", "block.3"])
    run = RunParams(datasets=["handwriting"], models=["efficientnet_lite0_scratch", "efficientnet_lite0"], seeds=[0])
    with pytest.raises(UserError, match=r"models\.efficientnet_lite0: .*'block\.3' is no module .* mean .*'blocks\.3'"):
        check_layers(path, run)
    check_layers(edited(tmp_path, "models.efficientnet_lite0.taps.layers", ["blocks.6", "blocks.3"]), run)


def test_an_empty_raw_folder_is_named(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"mine: must hold images, found nothing"):
        check_raw(tmp_path, RunParams(datasets=["mine"], models=["m"], seeds=[0]))


def test_a_missing_raw_folder_says_how_to_provide_it(tmp_path: Path):
    run = RunParams(datasets=["mine"], models=["m"], seeds=[0])
    with pytest.raises(UserError, match=r"run.datasets names 'mine'; copy your images there, or link to them: ln -s"):
        check_raw(tmp_path, run)


def test_a_dangling_link_is_named(tmp_path: Path):
    (tmp_path / "mine").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"is a link to .*gone, which does not exist"):
        check_raw(tmp_path, RunParams(datasets=["mine"], models=["m"], seeds=[0]))


def test_the_command_looks_at_images_and_weights_and_sums_up_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = edited(tmp_path, "datasets.mine", OWN)
    params = yaml.load(path)
    weights = {"source": "file", "path": str(tmp_path / "mine.pth")}
    params["models"]["efficientnet_lite0"]["network"]["weights"] = weights
    params["run"] = {"datasets": ["mine"], "models": ["efficientnet_lite0"], "seeds": [0, 1]}
    yaml.dump(params, path)
    own_images(tmp_path / "small", 8)
    own_images(tmp_path / "large", 13)
    monkeypatch.setattr(sys, "argv", ["check", "--params", str(path), "--raw", str(tmp_path / "small")])
    with pytest.raises(UserError, match="every class must have an image for each of measure"):
        main()
    monkeypatch.setattr(sys, "argv", ["check", "--params", str(path), "--raw", str(tmp_path / "large")])
    with pytest.raises(UserError, match=r"weights\.path: must be"):
        main()
    (tmp_path / "mine.pth").touch()
    main()
    assert capsys.readouterr().out.endswith("2 cells: datasets mine; models efficientnet_lite0; seeds 0, 1\n")


def test_the_command_imports_no_network_library_and_exits_with_2(tmp_path: Path):
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['check', '--params', {str(edited(tmp_path, 'measure.knn_k', 'all'))!r}]\n"
        "try:\n    runpy.run_module('stages.commands.check', run_name='__main__')\n"
        "except SystemExit as stop:\n    assert stop.code == 2, stop.code\n"
        "assert not {'torch', 'timm', 'transformers', 'sklearn'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "measure.knn_k" in done.stderr
