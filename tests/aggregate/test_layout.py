"""Facts, then words, then pages: imports go down this list only, and words are made without a table library."""

import ast
from pathlib import Path

AGGREGATE = Path(__file__).parents[2] / "stages/aggregate"
FLOORS = (
    {"params", "columns"},
    {"read"},
    {"curves"},
    {"inference"},
    {"tables"},
    {"findings"},
    {"result_files"},
    {"facts"},
    {"recommend"},
    {"compute"},
    {"words"},
    {"charts"},
    {"render"},
    {"__main__"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
MODULES = [path for path in AGGREGATE.rglob("*.py") if path.name != "__init__.py"]


def imports(path):
    """Every module that a file imports, and what it imports from it, by dotted name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(path):
    """The folder of aggregate, or the module beside these, that a file is part of."""
    return path.relative_to(AGGREGATE).parts[0].removesuffix(".py")


def test_imports_go_down():
    upward = []
    for path in MODULES:
        for name in imports(path):
            if name.startswith("stages.aggregate."):
                imported, own = name.split(".")[2], part(path)
                if imported != own and FLOOR[imported] >= FLOOR[own]:
                    upward.append(f"{path.relative_to(AGGREGATE)} imports {name}")
    assert upward == []


def test_every_part_has_a_floor():
    assert {part(path) for path in MODULES} == set(FLOOR)


def test_words_need_no_table_library():
    tables = {"pandas", "numpy", "pyarrow"}
    for path in (AGGREGATE / "words").glob("*.py"):
        assert not tables & {name.split(".")[0] for name in imports(path)}, path.name
