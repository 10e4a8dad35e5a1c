import re

import pytest
from wcwidth import wcswidth

from stages.aggregate.facts import Missing, RegretRecord
from stages.aggregate.recommend.criteria import CRITERIA
from stages.aggregate.words.documents import describe
from stages.aggregate.words.recommendation import LACKING
from stages.aggregate.words.scores import DEFINITIONS
from tests.aggregate.recommended import LEADS, every_use, recommendation, useless

EVERYTHING = [RegretRecord(criterion=name, value=0.2, at_most=0.2, at_least=0.1) for name in CRITERIA]


def test_every_network_has_a_table_of_its_uses_and_one_of_what_other_choices_lose():
    found = [*every_use(), *every_use(model="b")[:2], useless(model="b")]
    first, second, note = describe([*found[:-1], found[-1].model_copy(update={"missing": [Missing.GROUPS]})]).split(
        "\n\n"
    )
    for text, model, uses in ((first, "a", list(LEADS)), (second, "b", list(LEADS)[:2])):
        lines = text.splitlines()
        assert lines[0] == f"handwriting, {model}"
        assert [line.removeprefix("OOD ").split()[0] for line in lines[2 : 2 + len(uses)]] == uses
        header, *rows = (line for line in lines[-5:])
        assert re.split(r" {2,}", header) == [
            "Regret by rule",
            *(use.replace("detection", "OOD detection") for use in uses),
        ]
        losses = {re.split(r" {2,}", row)[0]: re.split(r" {2,}", row)[1] for row in rows}
        assert losses == {
            "other folds (default)": "0.000–0.020",
            "last layer": "0.150–0.160",
            "second-to-last layer": "0.080–0.100",
            "95% of seen accuracy": "0.050–0.060",
        }
    assert "discovery (NMI): no recommendation, since no layer beats raw pixels" in second
    assert " ".join(note.split()) == LACKING[Missing.GROUPS]


@pytest.mark.parametrize("metric", DEFINITIONS)
def test_every_score_and_criterion_fits_the_terminal(metric):
    others = [each for each in every_use(regret=EVERYTHING) if each.use != "discovery"]
    text = describe([recommendation(metric=metric, regret=EVERYTHING), *others])
    assert max(map(wcswidth, text.splitlines())) <= 80
    assert "best on seen classes" in text


def test_a_network_of_no_use_has_its_reason_alone():
    assert describe([useless()]).replace("\n  ", " ") == (
        "handwriting, a\ndiscovery (NMI): no recommendation, since no layer beats raw pixels (NMI 0.390 at best, raw "
        "pixels 0.500)."
    )


@pytest.mark.parametrize("name", ["x\x1b[2J\x07\n\u202e" * 5, "網絡模型" * 15], ids=ascii)
def test_names_do_no_harm(name):
    text = describe([recommendation(dataset=name, model=name, layer=name), useless(dataset="d", model=name)])
    assert all(line.isprintable() for line in text.splitlines())
    assert ("\\x1b[2J" in text) == ("\x1b" in name)
