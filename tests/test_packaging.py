"""pyproject.toml lists what the code imports, and nothing else; the files beside it agree with it."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from stages.commands.quick.command import DEMO
from stages.shared.runtime.console import FILES
from tests.imports import imports

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
DATA = "\n".join((ROOT / name).read_text() for name in ("params.yaml", "data/raw/handwriting/source.json"))
EXTRAS = ("export", "files", "fleet", "quick", "study")
"""Extras whose packages the code imports where they are needed, with an error of its own where they are missing."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


DATA_EXTRAS = ("handwriting", "lite")
"""Extras whose packages carry data, with an error that names the extra where they are missing."""


def required(extras: tuple[str, ...] = ()) -> set[str]:
    lines = [*PROJECT["dependencies"], *(line for name in extras for line in PROJECT["optional-dependencies"][name])]
    return {normal(re.split(r"[<>=;\[ ]", line)[0]) for line in lines}


def imported_modules() -> set[str]:
    names = {module for path in (ROOT / "stages").rglob("*.py") for module, _ in imports(path)}
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"stages", "whichlayer"}


@cache
def imported() -> dict[str, set[str]]:
    """Imported module -> installed packages that provide it."""
    packages = packages_distributions()
    return {module: {normal(name) for name in packages.get(module, [])} for module in imported_modules()}


def test_every_import_is_required():
    known = required(EXTRAS)
    missing = sorted(module for module, packages in imported().items() if not packages & known)
    assert not missing, f"pyproject.toml's dependencies lack what provides {missing}"


def test_every_requirement_is_imported_or_carries_data_that_is_named():
    idle = sorted(required() - set().union(*imported().values()))
    assert not idle, f"nothing imports {idle}"
    carriers = required(DATA_EXTRAS) - required()
    assert carriers == {name for name in carriers if re.search(rf"\b{name}\b", normal(DATA))}


def test_quick_installs_the_fonts_of_its_demo():
    [own] = [Requirement(line) for line in PROJECT["optional-dependencies"]["quick"] if line.startswith("whichlayer")]
    fonts = json.loads((ROOT / "data" / "raw" / DEMO / "source.json").read_text())["fonts"]
    assert {entry["package"] for entry in fonts.values()} <= required(tuple(own.extras))


def test_a_missing_package_is_told_with_its_extra():
    assert {module for module, packages in imported().items() if packages & (required(("files",)) - required())} == {
        *FILES
    }


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "exact versions, no local ones"
    return {normal(name): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize(
    "line",
    [
        *PROJECT["dependencies"],
        *(
            line
            for name in EXTRAS + DATA_EXTRAS
            for line in PROJECT["optional-dependencies"][name]
            if not line.startswith("whichlayer")
        ),
    ],
)
def test_every_requirement_has_a_tried_version_within_its_range(line: str):
    requirement = Requirement(line)
    version = constraints().get(normal(requirement.name))
    assert version is not None, f"constraints.txt lacks {requirement.name}"
    assert requirement.specifier.contains(version), f"constraints.txt: {version} is not {requirement}"


def test_the_versions_told_agree():
    citation = YAML(typ="safe", pure=True).load(ROOT / "CITATION.cff")
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["references"][0]["url"] == PROJECT["urls"]["Paper"]
    assert "preferred-citation" not in citation  # which would be cited in the place of this software
    assert citation["keywords"] == PROJECT["keywords"]
    assert citation.get("repository-code") == PROJECT["urls"].get("Repository")
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[1]
    assert newest in (PROJECT["version"], f"{PROJECT['version']} ({citation['date-released']})")


def test_the_development_container_has_a_python_that_will_do_and_sets_up():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    version = re.search(r"python:([\d.]+)", container["image"])[1]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"{version}.99")  # the latest of it
    target = container["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.M)


def test_ci_runs_the_versions_of_python_that_pyproject_names():
    jobs = YAML(typ="safe", pure=True).load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    tried = {*jobs["python"]["strategy"]["matrix"]["version"]}
    tried |= {step["with"]["python-version"] for step in jobs["ci"]["steps"] if "setup-python" in step.get("uses", "")}
    named = [line.split(" :: ")[-1] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert tried == {*named}


def test_the_wheel_is_typed_by_files_that_exist():
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all((ROOT / source).exists() for source in included)
    assert {"whichlayer/__init__.py", "whichlayer/py.typed"} <= {*included.values()}


def test_a_project_apart_has_every_page_that_the_code_names():
    code = [path for path in (ROOT / "stages").rglob("*") if path.suffix in {".py", ".j2", ".js"}]
    named = {page for path in code for page in re.findall(r"docs/\w+\.md", path.read_text(encoding="utf-8"))}
    assert named <= {*PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]}


@pytest.mark.slow
def test_the_wheel_holds_the_project_and_no_image_of_a_linked_folder(tmp_path):
    clone, photos = tmp_path / "clone", tmp_path / "photos" / "cats"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    photos.mkdir(parents=True)
    (photos / "tom.png").write_bytes(b"private")
    (clone / "data/raw/mine").symlink_to(photos.parent)
    (clone / "data/raw/handwriting/tom.png").write_bytes(b"private")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=clone, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith(".png")]
    assert {"whichlayer/project/dvc.yaml", "whichlayer/project/data/raw/handwriting/source.json"} <= {*names}
