"""What names in a params.yaml from someone else can do under `dvc repro`: nothing of theirs reaches the shell."""

import json
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


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the real dvc.yaml and the code of prepare, and a way to write its params.yaml."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "dvc.yaml", folder)
    for part in ("prepare", "shared"):
        shutil.copytree(ROOT / "stages" / part, folder / "stages" / part)
    Repo.init(folder, no_scm=True).close()
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    entries = {section: next(iter(params[section].values())) for section in ("datasets", "models")}

    def write(**run):
        params["run"] = {"datasets": ["mine"], "models": ["net"], "folds": [0], "seeds": [0]} | run
        for section, entry in entries.items():
            params[section] = {name: entry for name in params["run"][section] if isinstance(name, str)}
        (folder / "params.yaml").write_text(json.dumps(params))
        return folder

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


@pytest.mark.parametrize("names", [HOSTILE[:3], ["a\ntouch OWNED\n"]])
def test_repro_ends_and_runs_nothing(project, names):
    root = project(datasets=names)
    for name in names:
        (root / "data/raw" / name).mkdir(parents=True)
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    command = [scripts / "dvc", "repro", "--keep-going", "prepare"]
    ran = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert ran.returncode != 0
    if "\n" not in names[0]:  # DVC runs a command line by line, and the first ends inside a quotation
        assert ran.stderr.count("error: run: names are made of letters, digits and _, found") == len(names)
    assert ran.stdout.count("Running stage 'prepare@") == len(names)
    assert "Traceback" not in ran.stderr
    assert not list(root.rglob("OWNED"))
