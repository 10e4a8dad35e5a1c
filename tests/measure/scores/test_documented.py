"""The scores are for use by themselves: every array that a function takes is documented with its shape."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest

FOLDER = Path(__file__).parents[3] / "stages" / "measure" / "scores"
MODULES = [f"stages.measure.scores.{path.stem}" for path in sorted(FOLDER.glob("[a-z]*.py"))]


def public_functions() -> list[FunctionType]:
    modules = map(import_module, MODULES)
    found = [each for module in modules for each in vars(module).values() if isinstance(each, FunctionType)]
    return [each for each in found if each.__module__ in MODULES and not each.__name__.startswith("_")]


@pytest.mark.parametrize("function", dict.fromkeys(public_functions()), ids=lambda f: f.__name__)
def test_arrays_have_shapes(function: FunctionType):
    documented = inspect.getdoc(function) or ""
    for name, parameter in inspect.signature(function).parameters.items():
        if "ndarray" in str(parameter.annotation) and "list[" not in str(parameter.annotation):
            line = re.search(rf"^ +(?:\w+, )*{name}(?:, \w+)*: (.+)", documented, flags=re.M)
            assert line, f"{name} is not documented"
            assert re.search(r"\([A-Za-z]+,(?: [^)]+)?\)", line[1]), f"{name}: {line[1]}"
