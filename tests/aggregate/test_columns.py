import numpy as np
import pandas as pd

from stages.aggregate.columns import BOOLEAN, frame, point_columns, stack
from stages.shared.files.csv_table import FLOAT, INTEGER, TEXT

COLUMNS = {"name": TEXT, "count": INTEGER, "share": FLOAT, "kept": BOOLEAN}


def test_a_frame_has_its_columns_in_order_and_empty_where_a_row_lacks_them():
    table = frame([{"count": 3, "name": "a"}, {"share": 0.5, "kept": True}], COLUMNS)
    assert table.dtypes.astype(str).to_dict() | {"name": TEXT} == COLUMNS
    assert table.to_csv(index=False).split() == ["name,count,share,kept", "a,3,,", ",,0.5,True"]


def test_a_stack_without_rows_has_its_columns():
    empty = pd.DataFrame({"count": [], "other": []})
    for tables in ([], [empty]):
        assert stack(tables, COLUMNS).dtypes.astype(str).to_dict() | {"name": TEXT} == COLUMNS
    stacked = stack([empty, pd.DataFrame({"count": [1], "other": [2]}), pd.DataFrame({"count": [5]})], COLUMNS)
    assert stacked["count"].tolist() == [1, 5]
    assert list(stacked.columns) == list(COLUMNS)


def test_a_point_is_named_with_its_deviation_and_what_is_asked_for():
    point = pd.Series({"value": 0.5, "sd": np.nan, "layer": "a", "depth": 3})
    columns = point_columns("unseen", point, best_layer="layer")
    assert (list(columns), columns["unseen"], columns["best_layer"]) == (
        ["unseen", "unseen_sd", "best_layer"],
        0.5,
        "a",
    )
    assert point_columns("unseen", None, best_layer="layer") == {}
