import pandas as pd
import pytest

from stages.aggregate.columns import BOOLEAN, frame
from stages.shared.workflow.csv_table import FLOAT, INTEGER, TEXT

COLUMNS = {"name": TEXT, "count": INTEGER, "share": FLOAT, "kept": BOOLEAN}


def test_a_frame_has_its_columns_in_order_and_empty_where_a_row_may_lack_them():
    rows = [{"count": 3, "name": "a"}, {"share": 0.5, "kept": True, "name": None, "count": None}]
    table = frame(rows, COLUMNS, optional=["share", "kept"])
    assert table.dtypes.astype(str).to_dict() | {"name": TEXT} == COLUMNS
    assert table.to_csv(index=False).split() == ["name,count,share,kept", "a,3,,", ",,0.5,True"]


def test_a_stack_without_rows_has_its_columns():
    empty = pd.DataFrame({"count": [], "other": []})
    for tables in ([], [empty]):
        assert frame(tables, COLUMNS).dtypes.astype(str).to_dict() | {"name": TEXT} == COLUMNS
    stacked = frame([empty, pd.DataFrame({"count": [1]}), pd.DataFrame({"count": [5]})], COLUMNS, optional=COLUMNS)
    assert stacked["count"].tolist() == [1, 5]
    assert list(stacked.columns) == list(COLUMNS)


def of_row(row, **more):
    return frame([row], COLUMNS, **more)


def of_table(row, **more):
    return frame([pd.DataFrame([row])], COLUMNS, **more)


def test_unknown_and_missing_columns_are_errors():
    row = {"name": "a", "count": 1, "share": 0.5, "kept": True}
    for make in (of_row, of_table):
        assert len(make(row)) == 1
        with pytest.raises(ValueError, match=r"unknown: \['shear'\], missing: \['share'\]"):
            make({"shear" if name == "share" else name: value for name, value in row.items()})
        with pytest.raises(ValueError, match=r"unknown: \['shear'\], missing: \[\]"):
            make(row | {"shear": 0.5}, optional=["share"])
        with pytest.raises(ValueError, match=r"missing: \['name'\]"):
            make({"count": 1}, optional=["share", "kept"])
