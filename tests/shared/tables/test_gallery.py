from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.shared.runtime.errors import UserError
from stages.shared.tables.gallery import SCHEMA, read_gallery, write_gallery

CELL = ("mine", "net", "0", 7)


def test_a_gallery_comes_back_with_lists_of_neighbours_and_knows_its_cell(tmp_path: Path):
    row = {"layer": "stem", "depth": 0, "pooling": "mean", "sample_id": "a", "label": "1", "x": 0.5, "y": -2.0}
    rows = [row | {"neighbours": ["b", "c"], "explained": 0.25}, row | {"neighbours": [], "explained": 0.25}]
    write_gallery(tmp_path, CELL, pd.DataFrame(rows))
    found = read_gallery(tmp_path, CELL)
    assert found.to_dict("records") == rows
    assert (found["x"].dtype, found["y"].dtype) == (np.float32, np.float32)
    with pytest.raises(UserError, match=r"a gallery of .*fold 1, seed 7, found one of .*fold 0, seed 7; run the meas"):
        read_gallery(tmp_path, ("mine", "net", "1", 7))
    with pytest.raises(UserError, match=r"gallery.parquet: must be a gallery, found no file; run the measure stage"):
        read_gallery(tmp_path / "nowhere", CELL)


def test_a_gallery_may_have_no_images(tmp_path: Path):
    write_gallery(tmp_path, CELL, pd.DataFrame(columns=SCHEMA.names))
    assert list(read_gallery(tmp_path, CELL)) == SCHEMA.names
