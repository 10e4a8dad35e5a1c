from pathlib import Path

import pandas as pd
import pytest

from stages.shared.runtime.errors import UserError
from stages.shared.tables.gallery import read_thumbnails, write_thumbnails


def test_thumbnails_come_back_and_know_their_dataset(tmp_path: Path):
    row = {"sample_id": "a/1.png", "label": "a", "width": 48, "height": 32, "image": b"RIFF\0"}
    write_thumbnails(tmp_path / "mine", "mine", pd.DataFrame([row]))
    assert read_thumbnails(tmp_path / "mine", "mine").to_dict("records") == [row]
    with pytest.raises(UserError, match=r"of dataset yours, found dataset mine; rerun the prepare stage"):
        read_thumbnails(tmp_path / "mine", "yours")
    with pytest.raises(UserError, match=r"nowhere/digests.json: must say what is in .*, found no such file"):
        read_thumbnails(tmp_path / "nowhere", "mine")
