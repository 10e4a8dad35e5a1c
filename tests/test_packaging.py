"""pyproject.toml lists what the code imports, and nothing else."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DATA = "\n".join((ROOT / name).read_text() for name in ("params.yaml", "data/raw/handwriting/source.json"))
EXTRAS = ("export",)
"""Extras whose packages the code imports where they are needed, with an error of its own where they are missing."""
LATER = {"vl-convert-python"}
"""Listed ahead of its use: the report renders its figures with it."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(extras: tuple[str, ...] = ()) -> set[str]:
    lines = [*PROJECT["dependencies"], *(line for name in extras for line in PROJECT["optional-dependencies"][name])]
    return {normal(re.split(r"[<>=;\[ ]", line)[0]) for line in lines}


def imported_modules() -> set[str]:
    nodes = [node for path in (ROOT / "stages").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"stages"}


def imported() -> dict[str, set[str]]:
    """Imported module -> installed packages that provide it."""
    packages = packages_distributions()
    return {module: {normal(name) for name in packages.get(module, [])} for module in imported_modules()}


def test_every_import_is_required():
    known = required(EXTRAS)
    missing = sorted(module for module, packages in imported().items() if not packages & known)
    assert not missing, f"pyproject.toml's dependencies lack what provides {missing}"


def test_every_requirement_is_imported_or_carries_data_that_is_named():
    used = set().union(*imported().values())
    carried = {name for name in required() if re.search(rf"\b{name}\b", normal(DATA))}
    idle = sorted(required() - used - carried - LATER)
    assert not idle, f"nothing imports {idle}"
    assert not LATER & used, f"{LATER & used} is imported now: take it out of LATER"
