"""What both of its owners share: types, bytes, and missing columns. They are the thumbnails and the gallery."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages.shared.runtime.errors import UserError
from stages.shared.tables.gallery import read_parquet, write_parquet

SCHEMA = {"label": "string", "count": "int32"}
OF = {"dataset": "mine", "seed": 0}


def table() -> pd.DataFrame:
    return pd.DataFrame({"further": [0, 0], "count": [2, 3], "label": ["NA", "007"]})


def read(path: Path) -> pd.DataFrame:
    return read_parquet(path, SCHEMA, stage="measure")


def test_the_declared_columns_come_back_with_their_types(tmp_path: Path):
    write_parquet(tmp_path / "new" / "a.parquet", table(), SCHEMA, OF)
    found = read(tmp_path / "new" / "a.parquet")
    assert found.to_dict("list") == {"label": ["NA", "007"], "count": [2, 3]}
    assert str(found["count"].dtype) == "int32"


def test_equal_tables_are_equal_bytes_whatever_their_index(tmp_path: Path):
    write_parquet(tmp_path / "a.parquet", table(), SCHEMA, OF)
    write_parquet(tmp_path / "b.parquet", table().set_axis([9, 4]), SCHEMA, OF)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path):
    write_parquet(tmp_path / "a.parquet", pd.DataFrame(columns=[*SCHEMA]), SCHEMA, OF)
    assert (list(read(tmp_path / "a.parquet")), len(read(tmp_path / "a.parquet"))) == (["label", "count"], 0)


def test_a_table_that_lacks_a_column_is_of_another_version(tmp_path: Path):
    path = tmp_path / "a.parquet"
    table().drop(columns="count").to_parquet(path)
    with pytest.raises(UserError, match="must have the columns label, count; lacks count: it was written by another"):
        read(path)


def test_the_metadata_hold_one_entry(tmp_path: Path):
    write_parquet(tmp_path / "a.parquet", table(), SCHEMA, OF)
    assert pq.read_schema(tmp_path / "a.parquet").metadata == {b"whichlayer": b'{"dataset": "mine", "seed": 0}'}
