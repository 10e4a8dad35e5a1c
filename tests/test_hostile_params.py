"""What names in a params.yaml from someone else can do under `dvc repro`: nothing of theirs reaches the shell."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.repo import Repo
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
HOSTILE = [
    "$(touch OWNED)",
    "x$(touch${IFS}OWNED)",
    "`touch OWNED`",
    "a; touch OWNED",
    "a' && touch OWNED '",
    'a" || touch OWNED "',
    "a\ntouch OWNED\n",
    "--log=OWNED",
    "a > OWNED",
    "{seed}",
]


@pytest.fixture
def project(tmp_path):
    """A project with the real dvc.yaml and the code of prepare, and a way to write its params.yaml."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    Repo.init(tmp_path, no_scm=True).close()
    params = YAML(typ="safe").load(ROOT / "params.yaml")

    def write(**run):
        params["run"] |= run
        for section, names in (("datasets", "datasets"), ("models", "models")):
            entry = next(iter(params[section].values()))
            hashable = [name for name in params["run"][names] if isinstance(name, str)]
            params[section] |= {name: entry for name in hashable if name not in params[section]}
        YAML().dump(params, tmp_path / "params.yaml")
        return tmp_path

    return write


def commands(root):
    with Repo(root) as repo:
        return {stage.name.partition("@")[0]: stage.cmd for stage in repo.index.stages if "aggregate" not in stage.name}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("grid", ["datasets", "models", "folds", "seeds"])
def test_a_name_is_one_word_for_the_shell(project, grid, name):
    root = project(**{grid: [name]})
    try:
        parsed = commands(root)
    except DvcException:
        assert "\n" in name or "{" in name, "DVC refuses of these alone what it cannot look up in params.yaml"
        return
    flag = f"--{grid.removesuffix('s')}"
    for stage, command in parsed.items():
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", f"stages.{stage}"]
        if flag in words:
            assert words[words.index(flag) + 1] == name
        assert sum("OWNED" in word for word in words) == (flag in words and "OWNED" in name)
        assert not {";", "&&", "||", ">", "|"} & set(shlex.shlex(command, posix=True, punctuation_chars=True))


@pytest.mark.parametrize("value", [{"x$(touch OWNED)": 1}, ["$(touch OWNED)"]])
@pytest.mark.parametrize("grid", ["datasets", "models", "folds", "seeds"])
def test_a_mapping_or_list_in_the_place_of_a_name_is_refused_by_dvc(project, grid, value):
    with pytest.raises(DvcException, match=r"failed to parse .*"):
        commands(project(**{grid: [value]}))


@pytest.mark.parametrize("name", [*HOSTILE[:3], "a\ntouch OWNED\n"])
def test_repro_ends_and_runs_nothing(project, name):
    root = project(datasets=[name])
    (root / "data/raw" / name).mkdir(parents=True)
    for part in ("prepare", "shared"):
        shutil.copytree(ROOT / "stages" / part, root / "stages" / part)
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    ran = subprocess.run(
        [scripts / "dvc", "repro", "prepare"], cwd=root, env=environment, capture_output=True, text=True
    )
    assert ran.returncode != 0
    if "\n" not in name:  # DVC runs a command line by line, and the first ends inside a quotation
        assert "error: run: names are made of letters, digits and _, found" in ran.stderr
    assert "Running stage 'prepare@" in ran.stdout
    assert "Traceback" not in ran.stderr
    assert not list(root.rglob("OWNED"))
