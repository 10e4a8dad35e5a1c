"""`whichlayer check`: what it looks at, in which order, and that it is quick."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.commands.check.command import check, check_networks
from stages.shared.runtime.errors import UserError
from tests.commands.check.test_datasets import write_images
from tests.commands.edited import ROOT, config, file


def run(*args: str) -> str:
    return CliRunner().invoke(check, args, catch_exceptions=False).stdout


def test_it_looks_at_images_and_weights_and_sums_up_the_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    weights = {"source": "file", "path": str(tmp_path / "mine.pth"), "sha256": hashlib.sha256(b"net").hexdigest()}
    params = file(
        tmp_path,
        {
            "datasets.mine": {
                "source": "folder", "image_size": 32, "test_fraction": 0.4, "unseen_classes": ["c", "d"],
            },
            "models.efficientnet_lite0.network.weights": weights,
            "finetune.schedule_epochs": 100,
            "run": {"datasets": ["mine"], "models": ["efficientnet_lite0"], "folds": [0], "seeds": [0, 1]},
        },
    )  # fmt: skip
    write_images(tmp_path / "small", 8)
    write_images(tmp_path / "large", 13)
    monkeypatch.setattr("stages.commands.check.command.RAW", tmp_path / "small")
    with pytest.raises(UserError, match="every class must have an image for each of measure"):
        run("--params", str(params))
    monkeypatch.setattr("stages.commands.check.command.RAW", tmp_path / "large")
    with pytest.raises(UserError, match=r"weights\.path: must be"):
        run("--params", str(params))
    (tmp_path / "mine.pth").write_bytes(b"net")
    printed = run("--params", str(params))
    summary, note = printed.splitlines(keepends=True)
    assert summary.endswith("2 cells: datasets mine; models efficientnet_lite0; folds 0; seeds 0, 1\n")

    found = json.loads(run("--params", str(params), "--json"))
    assert (found["cells"], found["seeds"], len(found["notes"])) == (2, [0, 1], 1)
    assert note.startswith("check: datasets.mine: of 4 classes in all, one choice of the unseen ones cannot tell how")


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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "convnext_ato"}, r"models\.efficientnet_lite0: .*'convnext_ato'.*did you mean 'convnext_atto'"),
        ({"name": "convnext_atto", "image_size": 20}, r"models\.efficientnet_lite0: .* run on images of 20 px"),
    ],
)
def test_a_network_that_does_not_exist_or_fit_is_named_without_its_weights(tmp_path: Path, changes, said):
    edits = {f"models.efficientnet_lite0.network.{key}": value for key, value in changes.items()}
    with pytest.raises(UserError, match=said):
        check_networks(config(edits))
