from pathlib import Path

import numpy as np
import pandas as pd

from stages.shared.tables.gallery import GALLERY, read_gallery, write_gallery

CELL = ("mine", "net", "0", 7)


def test_a_gallery_comes_back_with_lists_of_neighbours(tmp_path: Path):
    row = {"layer": "stem", "depth": 0, "pooling": "mean", "sample_id": "a", "label": "1", "x": 0.5, "y": -2.0}
    rows = [row | {"neighbours": ["b", "c"], "explained": 0.25}, row | {"neighbours": [], "explained": 0.25}]
    write_gallery(tmp_path, CELL, pd.DataFrame(rows))
    found = read_gallery(tmp_path)
    assert found.to_dict("records") == rows
    assert (found["x"].dtype, found["y"].dtype) == (np.float32, np.float32)


def test_a_gallery_may_have_no_images(tmp_path: Path):
    write_gallery(tmp_path, CELL, pd.DataFrame(columns=[*GALLERY]))
    assert list(read_gallery(tmp_path)) == [*GALLERY]
