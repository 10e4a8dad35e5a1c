import json
from math import inf
from pathlib import Path

import pytest

from stages.shared.runtime.errors import UserError
from stages.shared.tables.scores import FILE, Score, read_scores, write_scores

CELL = ("mine", "net", "0", 3)
SCORES = {
    "spread": Score(better="lower", low=0, high=inf, use="geometry", refit=True),
    "hits": Score(better="higher", low=-1, high=1, use="retrieval", per_image=True),
}


def test_facts_come_back_in_their_order_and_a_missing_limit_is_null(tmp_path: Path):
    write_scores(tmp_path, SCORES)
    assert json.loads((tmp_path / FILE).read_text())["spread"]["high"] is None
    scores = read_scores(tmp_path, CELL)
    assert scores == SCORES
    assert list(scores) == list(SCORES)


def test_cells_of_another_version_have_no_facts(tmp_path: Path):
    with pytest.raises(UserError, match=r"found no file: .*another version; run the measure stage .*@mine-net-0-3"):
        read_scores(tmp_path, CELL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"better": "more"}, r"found hits\.better: Input should be 'higher', 'lower' or 'neither'"),
        ({"color": "red"}, r"found hits\.color: Unexpected keyword argument"),
        ({"use": None}, r"found hits\.use: "),
    ],
)
def test_wrong_facts_are_named(tmp_path: Path, change: dict[str, str], message: str):
    write_scores(tmp_path, SCORES)
    facts = json.loads((tmp_path / FILE).read_text())
    facts["hits"] |= change
    (tmp_path / FILE).write_text(json.dumps(facts))
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path, CELL)


def test_a_damaged_file_is_named(tmp_path: Path):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(UserError, match=r"must hold the facts of the scores, found no JSON: .*repair"):
        read_scores(tmp_path, CELL)
