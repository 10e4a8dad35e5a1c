"""Networks, embeddings and results that are not of each other, as a dvc.lock has it."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.aggregate.result_files import finish_results, input_hashes
from stages.commands import outdated
from stages.commands.dvc_project import workspace
from stages.commands.outdated import check_made_of
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.digests import write_digests
from stages.shared.workflow.params import RunParams

CELL = ("mine", "net", "0", 3)
PATH = "mine/net/0/3"
RESULTS = Path("data/results")
PARAMS: dict[str, Any] = {
    "run": {"datasets": ["mine"], "models": ["net"], "folds": [0], "seeds": [3]},
    "datasets": {"mine": {"source": "folder", "image_size": 32, "fit": "crop", "train": 5}},
    "models": {"net": {"network": {"library": "timm", "image_size": 32}, "taps": {"layers": "default"}}},
    "prepare": {"seed": 0},
    "finetune": {"steps": [0, 2]},
    "embed": {"batch_size": 4},
    "measure": {"k": 1},
    "aggregate": {"use": None},
}
PREPARED, WEIGHTS, EMBEDDINGS, MEASURES = "data/prepared/mine", "data/checkpoints", "data/embeddings", "data/measures"
FOLD_DIGESTS = f"{PREPARED}/folds/0.digests.json"


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def write_params(params: dict[str, Any]) -> None:
    YAML().dump(params, Path("params.yaml"))


def write_lock(**made: str) -> None:
    """Write what DVC would: stages of one cell, of which some may have made another artifact than was read."""
    read = {"thumbnails": "t", "weights": "w", "embeddings": "e", "measures": "m"}
    now = read | made
    stages = {
        "prepare@mine": (["prepare", "datasets.mine"], {}, {"data/thumbnails/mine": now["thumbnails"]}),
        f"finetune@{PATH}": (["finetune"], {FOLD_DIGESTS: "digests"}, {f"{WEIGHTS}/{PATH}/weights": now["weights"]}),
        f"embed@{PATH}": (
            ["embed", "models.net.network"], {FOLD_DIGESTS: "digests", f"{WEIGHTS}/{PATH}/weights": read["weights"]},
            {f"{EMBEDDINGS}/{PATH}": now["embeddings"]},
        ),
        f"measure@{PATH}": (
            ["measure"], {f"{EMBEDDINGS}/{PATH}": read["embeddings"], "data/thumbnails/mine": read["thumbnails"]},
            {f"{MEASURES}/{PATH}": now["measures"]},
        ),
        "aggregate": ([*PARAMS], {MEASURES: "x"}, {"data/results/facts.json": "f"}),
    }  # fmt: skip
    entries = {
        name.replace("/", "-"): {
            "cmd": "python -m stages...",
            "deps": [{"path": path, "hash": "md5", "md5": md5(text), "size": 3} for path, text in deps.items()],
            "params": {"params.yaml": {key: at(key) for key in keys}},
            "outs": [{"path": path, "hash": "md5", "md5": md5(text), "size": 3} for path, text in outs.items()],
        }
        for name, (keys, deps, outs) in stages.items()
    }
    YAML().dump({"schema": "2.0", "stages": entries}, Path("dvc.lock"))


def at(key: str) -> Any:
    value: Any = PARAMS
    for part in key.split("."):
        value = value[part]
    return value


def made(kind: str, key: str, text: str) -> None:
    """Write an artifact with digests."""
    folder = Path("data", kind, key)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table").write_text(text)
    write_digests(folder / "digests.json", [folder / "table"], format="of a test/1", of={})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workspace, "ROOT", tmp_path)
    monkeypatch.setattr(outdated, "ROOT", tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    write_params(PARAMS)
    write_lock()
    for kind, key in (("measures", PATH), ("training", PATH), ("thumbnails", "mine"), ("prepared", "mine")):
        made(kind, key, kind)
    Path(FOLD_DIGESTS).parent.mkdir()
    Path(FOLD_DIGESTS).write_text("digests")
    folders = {kind: Path("data", kind) for kind in ("measures", "training", "thumbnails", "prepared")}
    RESULTS.mkdir()
    (RESULTS / "facts.json").write_text("{}")
    finish_results(RESULTS, input_hashes(RunParams.model_validate(PARAMS["run"]), **folders))
    return tmp_path


def edit_fit() -> None:
    write_params({**PARAMS, "datasets": {"mine": {**PARAMS["datasets"]["mine"], "fit": "squash"}}})


def edit_bits() -> None:
    write_params({**PARAMS, "datasets": {"mine": {**PARAMS["datasets"]["mine"], "bits": 12}}})


def edit_network() -> None:
    network = {**PARAMS["models"]["net"]["network"], "image_size": 64}
    write_params({**PARAMS, "models": {"net": {**PARAMS["models"]["net"], "network": network}}})


def train_again() -> None:
    write_lock(weights="other")


def embed_again() -> None:
    write_lock(embeddings="other")


def prepare_again() -> None:
    Path(FOLD_DIGESTS).write_text("other")


def measure_again() -> None:
    made("measures", PATH, "other")


OF_THE_NETWORK: dict[Callable[[], None], str] = {
    edit_fit: "datasets.mine.fit was 'crop' and is 'squash'",
    edit_bits: "datasets.mine.bits was None and is 12",
    edit_network: "models.net.network.image_size was 32 and is 64",
    train_again: f"embed@mine-net-0-3 read another {WEIGHTS}/{PATH}/weights",
    embed_again: f"measure@mine-net-0-3 read another {EMBEDDINGS}/{PATH}",
    prepare_again: f"finetune@mine-net-0-3 read another {FOLD_DIGESTS}",
    measure_again: f"{MEASURES}/{PATH} was remade since results",
}


def edit_batches() -> None:
    write_params({**PARAMS, "embed": {"batch_size": 2}})


def edit_measure() -> None:
    write_params({**PARAMS, "measure": {"k": 2}})


def make_thumbnails_again() -> None:
    made("thumbnails", "mine", "other")


@pytest.mark.parametrize("edit", OF_THE_NETWORK)
def test_a_network_that_is_not_of_what_is_there_embeds_no_new_images(project: Path, edit: Callable[[], None]):
    check_made_of(Path("params.yaml"), CELL, project / RESULTS)
    edit()
    with pytest.raises(UserError) as refused:
        check_made_of(Path("params.yaml"), CELL, project / RESULTS)
    assert str(refused.value).startswith(
        "mine-net-0-3: network, embeddings, results and params.yaml must belong together, found otherwise: "
        + OF_THE_NETWORK[edit]
    )
    assert str(refused.value).endswith("; run `dvc repro`, or undo the edit")


@pytest.mark.parametrize("edit", [edit_batches, edit_measure, make_thumbnails_again])
def test_a_network_embeds_new_images_where_something_else_was_edited(project: Path, edit: Callable[[], None]):
    edit()
    check_made_of(Path("params.yaml"), CELL, project / RESULTS)


def test_without_dvc_lock_nothing_is_known(project: Path):
    Path("dvc.lock").unlink()
    edit_fit()
    check_made_of(Path("params.yaml"), CELL, project / RESULTS)
