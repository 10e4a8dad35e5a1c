from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.shared.runtime.errors import UserError
from stages.shared.workflow.csv_table import FLOAT, INTEGER, TEXT, read_table, require_columns, write_table

COLUMNS = {"fold": TEXT, "step": INTEGER, "value": FLOAT}
TABLE = pd.DataFrame(
    {"note": ["x", "y", "z"], "value": [0.1 + 0.2, None, 3], "step": [1, None, 3], "fold": ["NA", "", "01"]}
)


def read(path: Path) -> pd.DataFrame:
    return read_table(path, COLUMNS, what="a table of numbers", stage="measure")


def test_a_table_comes_back_as_it_was_written(tmp_path: Path):
    write_table(tmp_path / "new" / "table.csv", TABLE, COLUMNS)
    found = read(tmp_path / "new" / "table.csv")
    assert list(found) == ["fold", "step", "value", "note"]
    assert found["fold"].tolist() == ["NA", "", "01"]
    assert found["step"].tolist() == [1, pd.NA, 3]
    np.testing.assert_array_equal(found["value"], [0.1 + 0.2, np.nan, 3.0])
    assert found["note"].tolist() == ["x", "y", "z"]
    assert found.dtypes[["step", "value"]].astype(str).tolist() == ["Int64", "float64"]


def test_a_text_of_digits_keeps_its_zeros(tmp_path: Path):
    write_table(tmp_path / "table.csv", TABLE.assign(fold=["01", "1", "1e3"]), COLUMNS)
    assert read(tmp_path / "table.csv")["fold"].tolist() == ["01", "1", "1e3"]


def test_an_empty_table_has_its_columns_and_types(tmp_path: Path):
    write_table(tmp_path / "table.csv", pd.DataFrame(columns=list(COLUMNS)), COLUMNS)
    assert read(tmp_path / "table.csv").dtypes.astype(str).tolist()[1:] == ["Int64", "float64"]
    assert len(read(tmp_path / "table.csv")) == 0


def test_rows_may_not_repeat_their_keys(tmp_path: Path):
    rows = pd.DataFrame({"fold": ["0", "1", "1", "0", "0"], "step": [0, 0, 0, 1, 1], "value": 0.0})
    with pytest.raises(ValueError, match=r"table\.csv: two rows have the same keys: \{'fold': '1', 'step': 0\}"):
        write_table(tmp_path / "table.csv", rows, COLUMNS, keys=["fold", "step"])
    write_table(tmp_path / "table.csv", rows, COLUMNS)
    assert len(read(tmp_path / "table.csv")) == 5


def test_a_missing_column_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"table\.csv needs the columns \['step'\]"):
        write_table(tmp_path / "table.csv", TABLE.drop(columns="step"), COLUMNS)
    TABLE.drop(columns="step").to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(UserError, match=r"table\.csv: must have the columns fold, step, value; lacks step: it was"):
        read(tmp_path / "table.csv")
    require_columns(tmp_path / "table.csv", ["value", "fold", "step", "more"], COLUMNS, "measure")


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe\x00", b"fold,step,value\n0,1.5,2\n", b"fold,step,value\n0,1,x\n"]
)
def test_what_is_no_table_is_one_sentence(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"table\.csv: must be a table of numbers, found none or a damaged one"):
        read(tmp_path / "table.csv")
