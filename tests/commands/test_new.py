"""`whichlayer new`: a dataset in params.yaml and a link to its images, or nothing if something is wrong."""

import difflib
from pathlib import Path
from threading import Barrier, Thread

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from stages.commands import new as module
from stages.commands.cli import whichlayer
from stages.commands.config import read_config
from stages.commands.plan import command as plan
from stages.shared.runtime.errors import UserError
from tests.commands.edited import ROOT
from tests.prepare.deep_images import encode, ramp


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose networks are not built."""
    folder = tmp_path / "project"
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for where in ("stages.commands.project.ROOT", "stages.commands.new.ROOT"):
        monkeypatch.setattr(where, folder)
    monkeypatch.setattr(module, "PARAMS", folder / "params.yaml")
    monkeypatch.setattr(module, "RAW", folder / "data" / "raw")
    monkeypatch.setattr("stages.commands.check.check_networks", lambda config: [])
    return folder


def images(folder: Path, counts: dict[str, int]) -> Path:
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            (folder / label / f"{number:03}.png").touch()
    return folder


def new(*words: object) -> Result:
    return CliRunner().invoke(whichlayer, ["new", *map(str, words)])


def changed(project: Path) -> list[str]:
    """Lines of params.yaml that differ from the committed ones, as a diff, but for a list that comes on one line."""
    before, after = (path.joinpath("params.yaml").read_text().splitlines() for path in (ROOT, project))
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    lines = [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]
    return [line for line in lines if "few_shot_accuracy" not in line and "intrinsic_dimension" not in line]


def test_frozen_networks_are_measured_on_all_classes(project: Path, tmp_path: Path):
    folder = images(tmp_path / "birds", {"ant": 30, "bee": 7, "fly": 4})
    done = new(folder, "--use", "retrieval")
    assert done.exit_code == 0, done.exception
    assert "efficientnet_lite0_frozen: 224 px images; smaller ones are enlarged" in done.output
    assert changed(project) == [
        "-  datasets: [handwriting]",
        "-  models: [efficientnet_lite0]",
        "+  datasets: [mine]",
        "+  models: [efficientnet_lite0_frozen]",
        "-  folds: [0, 1, 2, 3]",
        "+  folds: [0]",
        "-  use: null # null: a layer for each | classifier | retrieval | discovery | detection",
        "+  use: retrieval # null: a layer for each | classifier | retrieval | discovery | detection",
        "+  mine:",
        "+    source: folder",
        "+    image_size: 224",
        "+    on_short_class: keep",
        "+    min_images: 5",
        "+    unseen_classes: all",
        "+    unseen: 100",
        "-      image_size: 64",
        "+      image_size: 224",
    ]
    assert (project / "data" / "raw" / "mine").readlink() == folder
    assert "left out, with too few images: 'fly' (4)" in done.output
    assert "undo: git checkout -p params.yaml && rm data/raw/mine" in done.output


@pytest.mark.slow
def test_a_plan_is_timed_where_all_classes_are_unseen(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = images(tmp_path / "birds", dict.fromkeys("abcdef", 9))
    for path in folder.rglob("*.png"):
        Image.new("RGB", (8, 8)).save(path)
    assert new(folder).exit_code == 0
    monkeypatch.undo()  # the plan asks this project's DVC
    monkeypatch.setattr(plan, "RAW", project / "data" / "raw")
    done = CliRunner().invoke(whichlayer, ["plan", "--params", str(project / "params.yaml")], catch_exceptions=False)
    assert "\nmeasure " in done.output.partition("estimated")[2]


def test_the_bits_of_images_of_16_bits_are_proposed(project: Path, tmp_path: Path):
    for label in "ab":
        (tmp_path / "scans" / label).mkdir(parents=True)
        for number in range(9):
            (tmp_path / "scans" / label / f"{number}.png").write_bytes(encode(ramp(12) // (number + 1), "PNG"))
    done = new(tmp_path / "scans")
    assert done.exit_code == 0, done.exception
    assert "bits: 12, as " in done.output
    entry = read_config(project / "params.yaml").datasets["mine"]
    assert entry.decode == {"size": 224, "fit": "crop", "fill": 255, "bits": 12}


def test_frozen_networks_have_one_fold_whose_many_classes_are_scored_in_sets(project: Path, tmp_path: Path):
    done = new(images(tmp_path / "birds", {**dict.fromkeys("abcdefghijklm", 30), "n": 22}))
    assert done.exit_code == 0, done.exception
    assert "measured as it is; 3 sets with 4 unseen classes" in done.output
    config = read_config(project / "params.yaml")
    entry = config.datasets["mine"]
    assert (config.run.folds, entry.all_unseen, entry.unseen) == (["0"], True, 100)
    assert (entry.min_images, entry.test_fraction, entry.unseen_count) == (23, 0.2, 4)


def test_training_gets_folds_and_a_schedule_that_fit_the_images(project: Path, tmp_path: Path):
    folder = images(project / "data" / "raw" / "birds", dict.fromkeys("abcdefghi", 30))
    done = new(folder, "--name", "birds", "--model", "efficientnet_lite0", "--model", "efficientnet_lite1")
    assert done.exit_code == 0, done.exception
    config = read_config(project / "params.yaml")
    assert (config.run.models, config.run.folds) == (["efficientnet_lite0", "efficientnet_lite1"], ["0", "1", "2"])
    assert config.datasets["birds"].unseen_count == 3
    sizes = [config.models[model].network.image_size for model in config.run.models]
    assert (sizes, config.datasets["birds"].image_size) == ([224, 240], 240)
    assert "with 9 classes in all, 3 fold(s) with unseen ones reveal little" in done.output
    assert config.finetune.schedule_epochs == config.finetune.steps[-1] / 2  # two batches of 72
    assert not folder.is_symlink()
    assert done.output.endswith("`dvc repro` runs it\n")


def test_two_at_once_lose_no_entry(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, met = images(tmp_path / "birds", {"ant": 30, "bee": 7}), Barrier(2)
    listing = module.list_candidates
    monkeypatch.setattr(module, "list_candidates", lambda *given: (met.wait(60), listing(*given))[1])
    refusals = list[str]()

    def start(name: str) -> None:
        try:
            module.new.callback(folder, name, ("efficientnet_lite0_frozen",), None, None, None)
        except UserError as error:
            refusals.append(str(error))

    for names, refused in ((("one", "two"), 0), (("same", "same"), 1)):
        threads = [Thread(target=start, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [said.partition(", found")[0] for said in refusals] == ["--name: 'same' must be free"] * refused
        assert {*names} < {*read_config(project / "params.yaml").datasets}
        assert {*names} <= {path.name for path in (project / "data" / "raw").iterdir()}


def test_a_params_file_in_another_layout_is_edited_as_well(project: Path, tmp_path: Path):
    text = (project / "params.yaml").read_text()
    text = text.replace("  datasets: [handwriting]\n", "  datasets:\n  - handwriting # mine\n  - cifar100\n\n")
    (project / "params.yaml").write_text(text)
    done = new(images(tmp_path / "birds", {"ant": 30, "bee": 7}))
    assert done.exit_code == 0, done.exception
    assert read_config(project / "params.yaml").run.datasets == ["mine"]


def test_images_with_splits_of_their_own_are_divided_by_them(project: Path, tmp_path: Path):
    for split, labels in {"train": "ab", "test": "ab", "unseen": "cd"}.items():
        images(tmp_path / "set" / split, dict.fromkeys(labels, 9))
    done = new(tmp_path / "set", "--model", "efficientnet_lite0")
    assert done.exit_code == 0, done.exception
    config = read_config(project / "params.yaml")
    entry = config.datasets["mine"]
    assert (config.run.folds, entry.test_fraction, entry.unseen_count) == (["0"], None, None)


def test_classes_may_come_from_a_table(project: Path, tmp_path: Path):
    folder = images(tmp_path / "birds", {"img": 21})
    rows = [f"img/{number:03}.png,{'abc'[number % 3]}" for number in range(21)]
    (folder / "labels.csv").write_text("\n".join(["filename,class", *rows]))
    for at in (folder, folder / "img"):
        assert "with the columns path and label" in str(new(at).exception)
        assert "`whichlayer new FOLDER --table labels.csv`" in str(new(at).exception)
    lacking = new(folder, "--table", "labels.csv")
    assert "lacks path, label; found filename, class; rename them in its first line" in str(lacking.exception)
    (folder / "labels.csv").write_text("\n".join(["path,label", *rows]))
    done = new(folder, "--table", "labels.csv", "--image-size", 64)
    assert done.exit_code == 0, done.exception
    entry = read_config(project / "params.yaml").datasets["mine"]
    assert (entry.source, entry.table, entry.all_unseen, entry.image_size) == ("table", "labels.csv", True, 64)
    assert not [line for line in changed(project) if line[1:].startswith("      image_size")]


def test_the_ends_of_lines_stay(project: Path, tmp_path: Path):
    params = project / "params.yaml"
    params.write_bytes(params.read_bytes().replace(b"\n", b"\r\n"))
    assert new(images(tmp_path / "birds", {"ant": 30, "bee": 7})).exit_code == 0
    text = params.read_bytes()
    assert text.count(b"\n") == text.count(b"\r\n") > 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "efficientnet_lite"], "--model: 'efficientnet_lite' must be an entry in `models`: did you mean"),
        (["--name", "handwriting"], "--name: 'handwriting' must be free, found it in `datasets` or"),
        (["--name", "taken"], "--name: 'taken' must be free"),
        (["--name", "a-b"], "--name: must have letters, digits and underscores alone, found 'a-b'"),
        (["--name", "../b"], "--name: must have letters"),
        (["--model", "efficientnet_lite0"], "needs two seen and two unseen classes, found 3 with at least 23 images"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(project: Path, tmp_path: Path, words: list[str], said: str):
    folder = images(tmp_path / "birds", dict.fromkeys("abc", 30))
    (project / "data" / "raw" / "taken").symlink_to(tmp_path / "gone")
    done = new(folder, *words)
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
    assert not changed(project)
    assert [path.name for path in (project / "data" / "raw").iterdir()] == ["taken"]


def test_a_folder_without_classes_is_refused(project: Path, tmp_path: Path):
    assert "gone' does not exist" in new(tmp_path / "gone").output
    for folder in (images(tmp_path / "none", {"": 3}), images(tmp_path / "one", {"a": 9})):
        done = new(folder)
        assert isinstance(done.exception, UserError)
        assert str(done.exception).startswith(f"{folder}: ")
    assert not changed(project)
    assert not list((project / "data" / "raw").iterdir())


def test_nothing_is_written_to_a_checkout_in_which_it_is_not_called(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    found = new(images(tmp_path / "birds", {"ant": 30, "bee": 7, "fly": 4}))
    assert isinstance(found.exception, UserError)
    assert str(found.exception).startswith("new writes to the project ")
    assert f"must be called in it, found {tmp_path}" in str(found.exception)
    assert changed(project) == []
