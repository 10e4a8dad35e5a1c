import json

import pytest

from stages.aggregate.recommend.schema import read_recommendations, write_recommendations
from stages.shared.runtime.errors import UserError
from tests.aggregate.report.recommended import RECOMMENDATION, recommendation


def test_it_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "results/recommendation.json"
    written = [RECOMMENDATION, recommendation(model="b", recommended=None, reason="nothing", fine_tuning=None)]
    write_recommendations(path, written)
    assert read_recommendations(path) == written
    (first, _) = json.loads(path.read_text())
    assert (first["recommended"]["layer"], first["recommended"]["step"]) == ("blocks.3", 100)
    assert [layer["layer"] for layer in first["shortlist"]] == ["blocks.2", "blocks.3", "blocks.4"]
    assert RECOMMENDATION.shallowest.layer == "blocks.2"


def test_a_missing_damaged_or_old_file_is_an_error(tmp_path):
    path = tmp_path / "recommendation.json"
    with pytest.raises(UserError, match=r"must be a list of recommendations, found no file; run the aggregate stage"):
        read_recommendations(path)
    path.write_text("[{")
    with pytest.raises(UserError, match=r"found it damaged or written by another version \(the file: Invalid JSON"):
        read_recommendations(path)
    write_recommendations(path, [RECOMMENDATION])
    path.write_text(path.read_text().replace('"model": "a",', ""))
    with pytest.raises(UserError, match=r"\(0\.model: Field required\); repair it .* or run the aggregate stage again"):
        read_recommendations(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="the file: Input should be a valid array"):
        read_recommendations(path)
