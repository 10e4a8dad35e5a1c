"""Records of what stages read, against a dvc.lock that DVC itself wrote."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from stages.shared.core import made_of
from stages.shared.core.made_of import (
    check_records,
    code_hash,
    dvc_hash,
    read_entries,
    stage_of,
    stages_before,
    write_record,
)
from stages.shared.runtime.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

RECORD = Path("data/made_of/prepare.mine.json")
PARAMS: dict[str, Any] = {
    "prepare": {"seed": 0, "limits": {"ratio": 200.0, "names": ["a: b", "on", "x" * 200, None]}},
    "datasets": {"mine": {"fit": "crop", "fraction": 1e-7, "outs": [], "text": "several\n    outs:\nlines\n"}},
    "other": {"size": 1},
}
KEYS = ("prepare", "datasets.mine")
CODE = "def size():\n    return 1\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one stage, which DVC has recorded after it had written down what it read."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"raw/a": "a", "raw/b": "b", "code/part/size.py": CODE, "code/run.py": "import sys\n"}.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    write_params(PARAMS)
    stage = {"cmd": "true", "params": [*KEYS], "deps": ["code", "raw"], "outs": [str(RECORD)]}
    matrix = {"stages": {"prepare": {"matrix": {"dataset": ["mine"]}, **stage}}}
    YAML().dump(matrix, Path("dvc.yaml"))
    return tmp_path


def write_params(params: dict[str, Any]) -> None:
    YAML().dump(params, Path("params.yaml"))


def write_down() -> None:
    """Write the record of the stage, of what is there now."""
    made_of.code_hash.cache_clear()
    tree = YAML(typ="safe", pure=True).load(Path("params.yaml"))
    parameters = {"prepare": tree["prepare"], "datasets.mine": tree["datasets"]["mine"]}
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    write_record(RECORD, parameters, [Path("raw")], ["code"], stage="prepare@mine")


def let_dvc_record() -> None:
    with Repo.init(no_scm=True, force=True) as repo:
        repo.commit(force=True)
    for cached in (made_of.code_hash, made_of._dvc_code_hash, made_of._parameters):
        cached.cache_clear()


def edit_parameter() -> None:
    write_params({**PARAMS, "prepare": {**PARAMS["prepare"], "seed": 1}})


def remove_parameter() -> None:
    write_params({**PARAMS, "datasets": {"mine": {"fraction": 1e-7}}})


def edit_raw() -> None:
    Path("raw/a").write_text("other")


def add_raw() -> None:
    Path("raw/c").write_text("c")


def edit_code() -> None:
    Path("code/part/size.py").write_text(CODE.replace("1", "2"))


def add_code() -> None:
    Path("code/more.py").write_text("X = 1\n")


EDITS = {
    edit_parameter: "prepare.seed was 0, not 1",
    remove_parameter: "datasets.mine.fit was 'crop', not None, datasets.mine.outs was [], not None, ",
    edit_raw: "raw had other files",
    add_raw: "raw had other files",
    edit_code: "code had other code",
    add_code: "code had other code",
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_before_dvc_looks_is_named(project: Path, edit: Any):
    write_down()
    edit()
    let_dvc_record()
    with pytest.raises(UserError) as refused:
        check_records(RECORD.parent, ["prepare@mine"])
    start = "prepare@mine: dvc.lock must say what it was made of, found an edit between its end and DVC's record: "
    assert str(refused.value).startswith(start + EDITS[edit])
    assert str(refused.value).endswith("run the prepare stage again (`dvc repro --single-item --force prepare@mine`)")


def test_code_that_is_gone_is_no_edit_of_what_was_read(project: Path):
    """DVC runs a stage again whose folder of code has another name now."""
    write_down()
    let_dvc_record()
    shutil.rmtree("code")
    made_of.code_hash.cache_clear()
    check_records(RECORD.parent, ["prepare@mine"])


def edit_nothing() -> None:
    """Leave all as it is."""


def edit_comments() -> None:
    Path("code/part/size.py").write_text(f"# what it does\n\n{CODE.replace('1', '1  # of one')}\n   # end\n")


def edit_other_parameter() -> None:
    write_params({**PARAMS, "other": {"size": 2}})


@pytest.mark.parametrize("edit", [edit_nothing, edit_comments, edit_other_parameter])
def test_what_can_change_no_result_is_no_edit(project: Path, edit: Any):
    write_down()
    before = RECORD.read_bytes()
    edit()
    let_dvc_record()
    check_records(RECORD.parent, ["prepare@mine"])
    write_down()
    assert RECORD.read_bytes() == before


@pytest.mark.parametrize("edit", [*EDITS, edit_comments])
def test_an_edit_after_dvc_has_looked_is_none(project: Path, edit: Any):
    write_down()
    let_dvc_record()
    edit()
    check_records(RECORD.parent, ["prepare@mine"])


def test_a_record_that_dvc_lock_does_not_have_says_nothing(project: Path):
    """DVC runs its stage again: it is of another branch, or DVC was killed before it recorded the stage."""
    write_down()
    check_records(RECORD.parent, ["prepare@mine"])  # there is no dvc.lock
    let_dvc_record()
    edit_parameter()
    write_down()
    check_records(RECORD.parent, ["prepare@mine"])
    RECORD.unlink()
    check_records(RECORD.parent, ["prepare@mine", "finetune@mine-net-0-0"])


def test_entries_are_those_that_a_parser_of_yaml_reads(project: Path):
    write_down()
    let_dvc_record()
    (entry,) = read_entries().values()
    found = YAML(typ="safe").load(Path("dvc.lock"))["stages"]["prepare@mine"]
    assert entry.parameters == found["params"]["params.yaml"]
    assert entry.deps == {each["path"]: each["md5"] for each in found["deps"]}
    assert entry.outs == {each["path"]: each["md5"] for each in found["outs"]}
    assert read_entries(["finetune@mine-net-0-0"]) == {}
    shared = YAML(typ="safe").load(Path("dvc.lock"))["stages"]["prepare@mine"]
    YAML().dump({"stages": {"other": {"params": shared["params"]}, "prepare@mine": shared}}, Path("dvc.lock"))
    assert "*id00" in Path("dvc.lock").read_text()
    assert read_entries(["prepare@mine"]) == {"prepare@mine": entry}
    Path("dvc.lock").write_text(Path("dvc.lock").read_text().replace("&id001", ""))
    with pytest.raises(UserError, match=r"dvc\.lock: must be as DVC wrote it, found it damaged"):
        read_entries()


GRID = {"datasets": ["a", "b"], "models": ["n"], "folds": [0, "all"], "seeds": [3]}


@pytest.mark.parametrize(
    ("record", "before"),
    [
        ("prepare.a.json", []),
        ("finetune.a-n-all-3.json", ["prepare@a"]),
        ("measure.a_b-n-0-3.json", ["prepare@a_b", "finetune@a_b-n-0-3", "embed@a_b-n-0-3"]),
    ],
)
def test_the_stages_before_one_of_a_cell_are_those_of_the_cell(record: str, before: list[str]):
    assert stages_before(Path(record), Path("no params.yaml")) == before
    assert stage_of(Path(record)) == record.removesuffix(".json").replace(".", "@")


def test_the_stages_before_aggregate_are_those_of_the_grid(tmp_path: Path):
    sections: dict[str, Any] = {key: {} for key in ("prepare", "finetune", "embed", "measure", "aggregate")}
    tables = {"datasets": {"a": {}, "b": {}, "c": {}}, "models": {"n": {}}}
    (tmp_path / "params.yaml").write_text(json.dumps({"run": GRID, **tables, **sections}))
    found = stages_before(Path("aggregate.json"), tmp_path / "params.yaml")
    cells = [f"{dataset}-n-{fold}-3" for dataset in "ab" for fold in (0, "all")]
    own = {f"{stage}@{cell}" for stage in ("finetune", "embed", "measure") for cell in cells}
    assert sorted(found) == sorted({"prepare@a", "prepare@b"} | own)


def test_a_hash_of_code_differs_by_what_is_code(project: Path):
    before = code_hash("code")
    for text in (CODE.replace("1", "'# 1'"), CODE.replace("size", "width"), CODE + "\n\nX = 1\n"):
        Path("code/part/size.py").write_text(text)
        made_of.code_hash.cache_clear()
        assert code_hash("code") != before


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

IGNORED = "__pycache__/\n*.pyc\n.DS_Store\n.*.partial-*\n/*/**/dvc.yaml\n/*/**/.dvcignore\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    files = {
        "raw/b/1.png": "one", "raw/a/2.png": "two", "raw/a-b/3.png": "three", "raw/é ü.png": "four",
        "raw/.hidden": "five", "raw/.x.partial-1/6": "six", "raw/a/dvc.yaml": "stages: {}", "raw/a/.dvcignore": "*.png",
        "raw/a/__pycache__/7": "seven", "raw/.git/config": "eight", "elsewhere": "nine",
    }  # fmt: skip
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    Path("raw", "link").symlink_to(tmp_path / "elsewhere")
    Path(".dvcignore").write_text(IGNORED)
    return tmp_path


@pytest.mark.parametrize("linked", [False, True])
def test_files_and_folders_have_the_hashes_that_dvc_gives_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
):
    monkeypatch.setattr(made_of, "BLOCK", 3)
    if linked:
        Path("raw").rename(folder.with_name("moved"))
        Path("raw").symlink_to(folder.with_name("moved"))
    Path("dvc.yaml").write_text("stages: {make: {cmd: 'echo x > out', deps: [raw, elsewhere], outs: [out]}}")
    with Repo.init(no_scm=True) as repo:
        repo.reproduce()
        recorded = {str(dep): dep.hash_info.value for stage in repo.index.stages for dep in stage.deps}
    assert {name: dvc_hash(Path(name)) for name in ("raw", "elsewhere")} == recorded
