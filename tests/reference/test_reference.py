"""The tables of docs/ say what the code says, and nothing is left out."""

import shutil
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field
from ruamel.yaml import YAML

from tests.reference.columns import column_table
from tests.reference.descriptions import as_markdown, attributes
from tests.reference.pages import fill
from tests.reference.parameters import entry_table, section_table, variants_table
from tests.reference.regions import ANALYSIS_COLUMNS, DOCS, ROOT, TABLES, regions, write_pages


def test_every_parameter_of_params_yaml_has_a_row():
    tables = "\n".join(content for page, _, content in regions() if page == "parameters.md")
    params = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    for section in ("run", "prepare", "finetune", "embed", "measure", "aggregate"):
        for key, value in params[section].items():
            for name in [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]:
                assert f"| `{section}.{name}` |" in tables


def test_every_table_of_data_results_is_described():
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    written = {Path(str(out)).name for out in stages["aggregate"]["outs"] if str(out).endswith(".csv")}
    described = {*TABLES, *(f"{name}.csv" for name in ANALYSIS_COLUMNS)}
    assert written == {name for name in described if name.endswith(".csv")}


class Inner(BaseModel):
    """Inside.

    Attributes:
        depth: how deep, from
            docs/models.md on.
    """

    depth: Annotated[int, Field(ge=0, lt=2**32)]


class Outer(BaseModel):
    """Outside.

    Attributes:
        kind: `a` | `b`.
        low, high: ends.
        inner: not shown.
    """

    kind: Literal["a", "b"]
    low: float | None = None
    high: Annotated[list[float], Field(min_length=1)] = Field(default_factory=lambda: [1.0])
    inner: Inner


def test_a_models_table_has_type_default_and_meaning():
    rows = entry_table(Outer).splitlines()[2:]
    assert rows == [
        r"| `kind` | `a`, `b` | required | `a` \| `b` |",
        "| `low` | `null` or number | `null` | ends |",
        "| `high` | list of number | `[1.0]` | ends |",
        "| `inner.depth` | whole number ≥ 0, < 2^32 | required | how deep, from [models.md](models.md) on |",
    ]
    values = {"kind": "b", "low": 2.5, "high": [], "inner": {"depth": 3}}
    defaults = [row.split(" | ")[2] for row in section_table(Outer, "outer", values).splitlines()[2:]]
    assert defaults == ["`b`", "`2.5`", "`[]`", "`3`"]


def test_a_variant_shows_what_it_changes_alone():
    class Variant(Outer):
        kind: Literal["a", "b"] = "b"

    table = variants_table(Outer, {"one": Outer, "two": Variant})
    assert table.splitlines()[2:] == ["| `two` | `kind` | `a`, `b` | `b` | as above |"]


def test_columns_that_are_described_together_share_a_row():
    own = attributes("Of it.\n\nAttributes:\n    low, high: the ends.\n    n: how many.\n")
    table = column_table({"n": "Int64", "low": "float64", "key": "string"} | {"high": "float64"}, own, {"key": "names"})
    assert table.splitlines()[2:] == [
        "| `n` | whole number | how many |",
        "| `low`, `high` | number | the ends |",
        "| `key` | text | names |",
    ]


def test_common_columns_of_a_table_share_a_row():
    table = column_table({"key": "string", "n": "Int64"}, {"n": "how many"}, common={"key, other": "names"})
    assert table.splitlines()[2:] == [
        "| `key` |  | [common columns](#common-columns) |",
        "| `n` | whole number | how many |",
    ]


def test_what_is_not_described_or_does_not_exist_is_an_error():
    with pytest.raises(LookupError, match="no docstring describes `n`"):
        column_table({"n": "Int64"}, {})
    with pytest.raises(LookupError, match="describes what does not exist: m"):
        column_table({"n": "Int64"}, {"n, m": "both"})


@pytest.mark.slow
def test_pages_are_written_between_their_marks(tmp_path: Path):
    docs = Path(shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("images")))
    shutil.copy(DOCS / "../README.md", tmp_path)
    assert write_pages(docs) == []
    page = docs / "parameters.md"
    page.write_text(page.read_text().replace("| `finetune.clip_norm` |", "| `finetune.clip` |"))
    assert write_pages(docs) == [page]
    assert page.read_text() == (DOCS / "parameters.md").read_text()
    with pytest.raises(ValueError, match="found 0"):
        fill("text", "run", "content")


def test_pages_that_a_docstring_names_become_links():
    assert as_markdown("as in docs/a-b.md#c, docs/study/x.md.") == "as in [a-b.md](a-b.md#c), [study/x.md](study/x.md)"
