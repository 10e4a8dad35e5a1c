"""The documents name every stage and parameter, and nothing that does not exist."""

import re
from os.path import relpath
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.commands.check import check_sections
from stages.commands.cli import COMMANDS
from stages.commands.config import read_config
from tests.reference.default_study import spread_table
from tests.reference.pages import fill
from tests.reference.regions import RUNS, regions

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("*/README.md")),
]
PARAMS = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
SECTIONS = ("run", "prepare", "finetune", "embed", "measure", "aggregate")


def test_pages_have_the_tables_of_the_code():
    marked = {
        (relpath(page, DOCS), name)
        for page in PAGES
        for name in re.findall("<!-- (.+): written by `make", page.read_text())
    }
    assert marked == {(page, name) for page, name, _ in regions()}
    for page, name, content in regions():
        text = (DOCS / page).read_text()
        assert fill(text, name, content) == text, f"docs/{page}, {name}: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_parameter_named_exists(page: Path):
    for section, key in re.findall(rf"`({'|'.join(SECTIONS)})\.(\w+)", page.read_text()):
        if (section, key) != ("finetune", "py"):
            assert key in PARAMS[section], f"{page.name} names {section}.{key}"


def code_of(text: str) -> str:
    """Code blocks and spans of a page, a line each."""
    blocks = re.findall(r"^(?: {4,}|\t)(.+)$", text, flags=re.M)
    return "\n".join([*blocks, *(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))])


def anchors(page: Path) -> set[str]:
    """The names by which headings of a page can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_make_target_and_module_exists(page: Path):
    text = page.read_text()
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", text):
        target = page.parent / link if link else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}#{anchor}"
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    for target in re.findall(r"\bmake ([a-z-]+)\b(?=`|\s+#|$)", text, flags=re.M):
        assert target in targets, f"{page.name} names make {target}"
    for name in re.findall(r"^\s*whichlayer ([a-z]+)", code_of(text), flags=re.M):
        assert name in COMMANDS, f"{page.name} names whichlayer {name}"
    for module in re.findall(r"python -m ((?:stages|tests|docs)[.\w]*)", text):
        path = ROOT.joinpath(*module.rstrip(".").split("."))
        assert path.is_dir() or path.with_suffix(".py").exists() or module.endswith(".NAME"), f"{page.name}: {module}"


def test_presets_are_valid_and_differ_from_the_default_only_where_they_say():
    yaml = YAML(typ="safe", pure=True)
    path = ROOT / "docs" / "presets" / "paper.yaml"
    check_sections(read_config(path))
    preset = yaml.load(path)
    different = {f"{s}.{k}" for s in PARAMS for k in PARAMS[s] if preset[s].get(k) != PARAMS[s][k]}
    expected = {
        "run.datasets",
        "run.models",
        "run.folds",
        "run.seeds",
        "finetune.steps",
        "finetune.learning_rate",
        "embed.pooling",
        "embed.augment",
    }
    assert different == expected | {
        "measure.analyses", "measure.kmeans", "measure.knn_k", "measure.normalize",
    }  # fmt: skip


def test_the_readme_has_the_range_of_the_gains_over_the_recorded_runs():
    readme, rows = " ".join((ROOT / "README.md").read_text().split()), spread_table(RUNS).splitlines()
    for use in ("retrieval", "discovery"):
        gain = next(row for row in rows if row.startswith(f"| {use} (")).split(" | ")[3]
        assert f"gain in {use} was {gain}" in readme.replace("and the gain in discovery", "gain in discovery was")
