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
LATER = {"vl-convert-python"}
"""Listed ahead of its use: the report renders its figures with it."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required() -> set[str]:
    return {normal(re.split(r"[<>=;\[ ]", line)[0]) for line in PROJECT["dependencies"]}


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
    missing = sorted(module for module, packages in imported().items() if not packages & required())
    assert not missing, f"pyproject.toml's dependencies lack what provides {missing}"


def test_every_requirement_is_imported_or_carries_data_that_is_named():
    used = set().union(*imported().values())
    carried = {name for name in required() if re.search(rf"\b{name}\b", normal(DATA))}
    idle = sorted(required() - used - carried - LATER)
    assert not idle, f"nothing imports {idle}"
    assert not LATER & used, f"{LATER & used} is imported now: take it out of LATER"
