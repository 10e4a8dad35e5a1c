"""Facts, then words, then pages: imports go down this list only, and words are made without a table library."""

from tests.imports import ROOT, dotted_names

AGGREGATE = ROOT / "stages/aggregate"
FLOORS = (
    {"params", "columns"},
    {"read"},
    {"curves"},
    {"network_data"},
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


def part(path):
    """The folder of aggregate, or the module beside these, that a file is part of."""
    return path.relative_to(AGGREGATE).parts[0].removesuffix(".py")


def test_imports_go_down():
    upward = []
    for path in MODULES:
        for name in dotted_names(path):
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
        assert not tables & {name.split(".")[0] for name in dotted_names(path)}, path.name
