import json
import shutil

import pytest

from stages.shared.images.image_store import open_images
from stages.shared.tables.gallery import THUMBNAILS_FILE, read_thumbnails
from tests.entry_point import run_stage

ROW = "{source: folder, image_size: 16, test_fraction: 0.25, unseen_classes: [d, e]}"


@pytest.fixture
def run(tmp_path):
    def stage(raw, params, dataset="mine"):
        arguments = ["--dataset", dataset, "--raw", raw, "--out", tmp_path / "out"]
        arguments += ["--thumbnails", tmp_path / "thumbnails" / dataset, "--log", tmp_path / "log.jsonl"]
        return run_stage("prepare", *arguments, "--params", params)

    return stage


def test_the_door_packs_and_says_so(run, five_classes, write_params, tmp_path):
    done = run(five_classes, write_params(ROW))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(
        "prepare mine: 2 folds, the first of 3 seen and 2 unseen classes (18 train, 6 test, 16 unseen images) in"
    )
    assert "fewer than 10 images" in done.stderr
    assert len(open_images(tmp_path / "out", "0").manifest) == 40
    pictures = read_thumbnails(tmp_path / "thumbnails" / "mine", "mine")
    assert len(pictures) == 2 * 2 * 8  # classes of folds 0 and 1, all their images
    assert set(pictures["width"]) == {16}
    assert json.loads((tmp_path / "log.jsonl").read_text())["cell"] == "mine"


def test_the_folds_that_are_run_change_nothing_of_what_is_written(run, five_classes, write_params, tmp_path):
    params, written = write_params(ROW), []
    for folds in ("[0]", "[0, 1, all]"):
        params.write_text(params.read_text().replace("folds: [0]", f"folds: {folds}"))
        assert run(five_classes, params).returncode == 0
        written.append((tmp_path / "thumbnails" / "mine" / THUMBNAILS_FILE).read_bytes())
        shutil.rmtree(tmp_path / "out")
        shutil.rmtree(tmp_path / "thumbnails")
    assert "folds: [0, 1, all]" in params.read_text()
    assert written[0] == written[1]


def test_an_error_is_one_message_and_leaves_nothing(run, five_classes, write_params, tmp_path):
    done = run(five_classes, write_params(ROW.replace("[d, e]", "[d, x]")))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: datasets.mine: unseen_classes: class 'x' is not in the data")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "thumbnails").glob("*"))
