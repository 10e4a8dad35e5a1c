"""What commands say of results, networks and embeddings that are not of each other, as a dvc.lock has it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.aggregate.result_files import finish_results, input_hashes
from stages.commands import outdated
from stages.commands.dvc_project import workspace
from stages.commands.outdated import check_made_of, note_outdated
from stages.commands.project import ROOT
from stages.shared.core.digests import write_digests
from stages.shared.core.made_of import dvc_hash
from stages.shared.core.params import RunParams
from stages.shared.runtime.errors import UserError

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
    monkeypatch.setattr(outdated, "PARAMS", tmp_path / "params.yaml")
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
    edit_fit: "datasets.mine.fit was 'crop', is 'squash'",
    edit_bits: "datasets.mine.bits was None, is 12",
    edit_network: "models.net.network.image_size was 32, is 64",
    train_again: f"embed@mine-net-0-3 read another {WEIGHTS}/{PATH}/weights than finetune@mine-net-0-3 has made since",
    embed_again: f"measure@mine-net-0-3 read another {EMBEDDINGS}/{PATH} than embed@mine-net-0-3 has made since",
    prepare_again: f"finetune@mine-net-0-3 read another {FOLD_DIGESTS}",
    measure_again: f"{MEASURES}/{PATH} was made again since results",
}


def edit_batches() -> None:
    write_params({**PARAMS, "embed": {"batch_size": 2}})


def edit_measure() -> None:
    write_params({**PARAMS, "measure": {"k": 2}})


def make_thumbnails_again() -> None:
    made("thumbnails", "mine", "other")


OF_RESULTS_ALONE: dict[Callable[[], None], str] = {
    edit_batches: "embed.batch_size was 4, is 2",
    edit_measure: "measure.k was 1, is 2",
    make_thumbnails_again: "data/thumbnails/mine was made again since results",
}


@pytest.mark.parametrize("edit", OF_THE_NETWORK)
def test_a_network_that_is_not_of_what_is_there_embeds_no_new_images(project: Path, edit: Callable[[], None]):
    check_made_of(Path("params.yaml"), CELL, project / RESULTS)
    edit()
    with pytest.raises(UserError) as refused:
        check_made_of(Path("params.yaml"), CELL, project / RESULTS)
    assert str(refused.value).startswith(
        "mine-net-0-3: network, embeddings, results and params.yaml must be of each other, found otherwise: "
        + OF_THE_NETWORK[edit]
    )
    assert str(refused.value).endswith("; run `dvc repro`, or undo the edit")


@pytest.mark.parametrize("edit", OF_RESULTS_ALONE)
def test_a_network_embeds_new_images_where_something_else_was_edited(project: Path, edit: Callable[[], None]):
    edit()
    check_made_of(Path("params.yaml"), CELL, project / RESULTS)


@pytest.mark.parametrize("edit", [*OF_THE_NETWORK, *OF_RESULTS_ALONE])
def test_results_that_are_not_of_what_is_there_have_a_note(
    project: Path, edit: Callable[[], None], capsys: pytest.CaptureFixture[str]
):
    note_outdated(project / RESULTS)
    assert capsys.readouterr() == ("", "")
    edit()
    note_outdated(RESULTS)
    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith("note: data/results is not of what is there now: ")
    assert (OF_THE_NETWORK | OF_RESULTS_ALONE)[edit] in said
    assert said.endswith("; `dvc repro` brings it up to date\n")
    assert said.count("\n") == 1


def test_what_a_stage_read_otherwise_than_dvc_lock_says_is_said_of_its_results(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    record, stage = Path("data/made_of/prepare.mine.json"), "prepare@mine"
    parameters = {"prepare": {"seed": 7}, "datasets.mine": PARAMS["datasets"]["mine"]}
    record.parent.mkdir()
    record.write_text(json.dumps({"stage": stage, "parameters": parameters, "raw": {}, "code": {}}))
    lock = YAML().load(Path("dvc.lock"))
    lock["stages"][stage]["outs"].append({"path": str(record), "hash": "md5", "md5": md5(record.read_text())})
    YAML().dump(lock, Path("dvc.lock"))
    said = "prepare@mine: dvc.lock must say what it was made of, found .*: prepare.seed was 7, not 0; run the prepare"
    with pytest.raises(UserError, match=said):
        check_made_of(Path("params.yaml"), CELL, project / RESULTS)
    note_outdated(RESULTS)
    assert "prepare.seed was 7, not 0" in capsys.readouterr().err


def test_a_broken_params_file_hides_no_results(project: Path, capsys: pytest.CaptureFixture[str]):
    Path("params.yaml").write_text("run: [")
    note_outdated(RESULTS)
    said = capsys.readouterr().err
    assert "params.yaml: not valid YAML" in said
    assert said.endswith("; put that right first; `dvc repro` brings it up to date\n")


def test_of_results_elsewhere_and_without_dvc_lock_nothing_is_known(project: Path, capsys: pytest.CaptureFixture[str]):
    edit_fit()
    note_outdated(project / "kept")
    Path("dvc.lock").unlink()
    note_outdated(RESULTS)
    check_made_of(Path("params.yaml"), CELL, project / RESULTS)
    assert capsys.readouterr() == ("", "")


def test_a_dvc_lock_that_is_no_text_is_one_message(project: Path):
    Path("dvc.lock").write_bytes(b"\xff")
    for look in (lambda: note_outdated(RESULTS), lambda: check_made_of(Path("params.yaml"), CELL, project / RESULTS)):
        with pytest.raises(
            UserError, match=r"dvc\.lock: must be as DVC wrote it, found it damaged \(.*; `git checkout"
        ):
            look()


def test_results_of_other_code_are_named(project: Path, capsys: pytest.CaptureFixture[str]):
    for folder in ("aggregate", "measure"):
        (Path("stages") / folder).mkdir(parents=True)
        (Path("stages") / folder / "code.py").write_text("one = 1\n")
    lock = YAML(typ="safe").load(Path("dvc.lock"))
    for stage, entry in lock["stages"].items():
        name = stage.split("@")[0]
        if name in ("aggregate", "measure"):
            entry["deps"].append({"path": f"stages/{name}", "md5": dvc_hash(Path("stages") / name)})
    YAML().dump(lock, Path("dvc.lock"))
    note_outdated(RESULTS)
    assert capsys.readouterr().err == ""
    (Path("stages") / "measure" / "code.py").write_text("one = 2\n")
    shutil.rmtree(Path("stages") / "aggregate")
    note_outdated(RESULTS)
    assert "the code in stages/aggregate, stages/measure is another; `dvc repro`" in capsys.readouterr().err


def test_a_dvc_lock_with_both_sides_of_a_merge_is_one_message(project: Path):
    text = Path("dvc.lock").read_text()
    Path("dvc.lock").write_text(text.replace("    params:\n", "<<<<<<< HEAD\n    params:\n=======\n>>>>>>> main\n"))
    with pytest.raises(UserError, match=r"dvc\.lock: must be as DVC wrote it, found it damaged; `git checkout HEAD"):
        note_outdated(RESULTS)
