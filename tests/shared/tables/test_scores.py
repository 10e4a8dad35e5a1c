import json
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from stages.core.scores.description import Score
from stages.shared.runtime.errors import UserError
from stages.shared.tables.scores import FILE, read_scores, write_scores

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


def test_rows_are_scaled_for_what_is_declared_so_unless_none_are(tmp_path: Path):
    scores = SCORES | {"hits": replace(SCORES["hits"], scaling="l2")}
    found = {}
    for normalize in ("l2", "none"):
        write_scores(tmp_path, scores, normalize)
        found[normalize] = [score.scaling for score in read_scores(tmp_path, CELL).values()]
    assert found == {"l2": ["none", "l2"], "none": ["none", "none"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"better": "more"}, r"found hits\.better: Input should be 'higher', 'lower' or 'neither'"),
        ({"color": "red"}, r"found hits\.color: Unexpected keyword argument"),
        ({"use": None}, r"found hits\.use: .*another version; rerun the measure stage .*@mine-net-0-3"),
    ],
)
def test_wrong_facts_are_named(tmp_path: Path, change: dict[str, str], message: str):
    write_scores(tmp_path, SCORES)
    facts = json.loads((tmp_path / FILE).read_text())
    facts["hits"] |= change
    (tmp_path / FILE).write_text(json.dumps(facts))
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path, CELL)
