from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import (
    ANALYSIS_TABLES,
    COLUMNS,
    HEAD,
    KEYS,
    REFIT_COLUMNS,
    concat_layer_scores,
    read_analysis,
    read_layer_scores,
    read_refits,
    row_keys,
    write_analysis,
    write_layer_scores,
    write_refits,
)


def table() -> pd.DataFrame:
    cell = {"dataset": "handwriting", "model": "lite0", "fold": "0", "seed": 0, "step": 50, "ceiling": 1.0}
    layer = {"split": "unseen", "layer": "blocks.0", "depth": 1, "pooling": "mean", "metric": "nmi", "value": 1 / 3}
    layer |= {"chance": 0.02, "n_images": 40, "n_classes": 5, "parameters": 3000, "operations": 90000, "width": 16}
    head = {"split": "test", "layer": "head", "metric": "accuracy", "value": 0.1, "chance": 0.07}
    head |= {"n_images": 60, "n_classes": 15}
    rows = [cell | layer | {"better": "lower"}, cell | head | {"better": "higher"}]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_a_table_comes_back_with_its_types(tmp_path: Path):
    write_layer_scores(tmp_path / "new" / "layers.csv", table())
    found = read_layer_scores(tmp_path / "new" / "layers.csv")
    assert tuple(found.columns) == tuple(COLUMNS)
    assert found.value.tolist() == [1 / 3, 0.1]
    assert found.depth.tolist() == [1, pd.NA]
    assert str(found.depth.dtype) == "Int64"
    assert found.pooling.tolist() == ["mean", ""]
    pd.testing.assert_frame_equal(found[list(COLUMNS)], concat_layer_scores([table()]))


def test_writing_what_was_read_gives_the_same_file(tmp_path: Path):
    write_layer_scores(tmp_path / "a.csv", table())
    write_layer_scores(tmp_path / "b.csv", read_layer_scores(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (
        (tmp_path / "a.csv")
        .read_text()
        .splitlines()[2]
        .startswith("handwriting,lite0,0,0,50,test,head,,,accuracy,0.1,")
    )


def test_further_columns_come_after_the_contracts(tmp_path: Path):
    write_layer_scores(tmp_path / "a.csv", table().assign(ci_low=[0.1, 0.2])[["ci_low", *COLUMNS]])
    found = read_layer_scores(tmp_path / "a.csv")
    assert tuple(found.columns) == (*COLUMNS, "ci_low")
    assert found.ci_low.tolist() == [0.1, 0.2]


def test_the_contract_begins_with_the_keys_and_the_value():
    assert ",".join(COLUMNS).startswith("dataset,model,fold,seed,step,split,layer,depth,pooling,metric,value,")
    assert list(COLUMNS)[: len(KEYS)] == list(KEYS)


def test_a_missing_column_and_repeated_keys_are_errors(tmp_path: Path):
    with pytest.raises(ValueError, match=r"needs the columns \['chance'\]"):
        write_layer_scores(tmp_path / "a.csv", table().drop(columns="chance"))
    with pytest.raises(ValueError, match=r"two rows have the same keys: .*'blocks.0'"):
        write_layer_scores(tmp_path / "a.csv", pd.concat([table(), table()]))


def test_rows_keep_their_order(tmp_path: Path):
    write_layer_scores(tmp_path / "a.csv", table()[::-1])
    assert read_layer_scores(tmp_path / "a.csv").layer.tolist() == ["head", "blocks.0"]


def test_a_missing_table_and_one_of_another_version_say_what_to_run(tmp_path: Path):
    with pytest.raises(UserError, match=r"must be a metric table, found none or .* rerun the measure stage"):
        read_layer_scores(tmp_path / "a.csv")
    table().drop(columns=["chance", "ceiling"]).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match="lacks chance, ceiling: it was written by another version"):
        read_layer_scores(tmp_path / "a.csv")


def test_rows_are_named_by_the_layer_or_the_head():
    assert row_keys(50, "unseen", "blocks.0", 1, "mean") == {
        "step": 50,
        "split": "unseen",
        "layer": "blocks.0",
        "depth": 1,
        "pooling": "mean",
    }
    assert list(row_keys(50, "test").values()) == [50, "test", HEAD, None, ""]


def test_the_table_of_an_analysis_comes_back_with_its_types(tmp_path: Path):
    row = row_keys(50, "unseen", "007", 1, "NA") | {"clusters": 4, "nmi": 1, "ami": 0.5}
    write_analysis(tmp_path / "new", "k_sensitivity", [row, row | {"pooling": ""}])
    table = read_analysis(tmp_path / "new", "k_sensitivity")
    assert table["pooling"].tolist() == ["NA", ""]
    assert table["layer"].tolist() == ["007", "007"]
    assert table["nmi"].tolist() == [1.0, 1.0]
    assert (str(table["clusters"].dtype), str(table["nmi"].dtype)) == ("Int64", "float64")


@pytest.mark.parametrize("analysis", ANALYSIS_TABLES)
def test_an_analysis_that_found_nothing_has_its_columns(tmp_path: Path, analysis: str):
    write_analysis(tmp_path, analysis, [])
    assert (tmp_path / f"{analysis}.csv").read_text() == ",".join(ANALYSIS_TABLES[analysis]) + "\n"
    found = read_analysis(tmp_path, analysis)
    assert (len(found), list(found.columns)) == (0, list(ANALYSIS_TABLES[analysis]))


def test_refits_come_back_as_they_were_written(tmp_path):
    assert read_refits(tmp_path).columns.tolist() == list(REFIT_COLUMNS)
    row = {"step": 5, "split": "unseen", "layer": "stem", "depth": 0, "pooling": "mean", "metric": "nmi"}
    rows = [row | {"kind": "class", "part": "7", "value": 0.25}, row | {"kind": "half", "part": "0", "value": np.nan}]
    refits = pd.DataFrame(rows)
    write_refits(tmp_path, refits[refits.columns[::-1]])
    found = read_refits(tmp_path)
    assert found.astype(object).equals(refits.astype(object))
    assert found.dtypes.astype(str).to_dict() == read_refits(tmp_path / "none").dtypes.astype(str).to_dict()
    first = (tmp_path / "refits.parquet").read_bytes()
    write_refits(tmp_path, found)
    assert (tmp_path / "refits.parquet").read_bytes() == first


def test_refits_of_another_version_are_named(tmp_path):
    pd.DataFrame({"step": [1]}).to_parquet(tmp_path / "refits.parquet")
    with pytest.raises(UserError, match=r"refits.parquet: must have the columns .*lacks split, .*run the measure"):
        read_refits(tmp_path)
