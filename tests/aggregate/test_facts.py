from pathlib import Path

import pytest

from stages.aggregate.facts import Facts
from stages.aggregate.facts_file import read_facts, write_facts
from stages.core.inference.contrasts import Estimate
from stages.shared.runtime.errors import UserError
from tests.aggregate.networks import STEPS, evidence, network
from tests.aggregate.recommended import RECOMMENDATION, every_use, useless


def test_they_come_back_as_they_were_written_byte_for_byte(tmp_path):
    rows = network("a", accuracy=0.78, unseen=0.3), network("é", accuracy=0.76), network("c", accuracy=0.2)
    findings = evidence(*rows, changes={"a": {"classes": Estimate(0.2, 0.05, 6)}}, steps=STEPS)
    facts = Facts([RECOMMENDATION, useless(model="b", fine_tuning=None)], [findings], "discovery", "all/3")
    write_facts(tmp_path / "new", facts)
    assert read_facts(tmp_path / "new") == facts
    write_facts(tmp_path / "again", read_facts(tmp_path / "new"))
    assert (tmp_path / "again/facts.json").read_bytes() == (tmp_path / "new/facts.json").read_bytes()


def test_a_use_is_that_of_the_study_unless_another_is_asked_for():
    found = [*every_use(), *every_use(model="b")]
    facts = Facts(found, [])
    assert facts.of_use() == found
    assert [(each.model, each.use) for each in facts.of_use("retrieval")] == [("a", "retrieval"), ("b", "retrieval")]
    of_study = Facts(found, [], use="discovery")
    assert of_study.of_use() == facts.of_use("discovery")
    assert of_study.of_use("detection") == facts.of_use("detection")


def test_a_use_that_no_score_tells_of_is_an_error_that_lists_the_others():
    few = [each for each in every_use() if each.use in ("discovery", "classifier")]
    message = "here classifier, discovery, found '{}'; docs/scores.md#uses"
    with pytest.raises(UserError, match=message.format("clustering")):
        Facts(few, []).of_use("clustering")
    with pytest.raises(UserError, match=message.format("retrieval")):
        Facts(few, [], use="retrieval").of_use()


def test_missing_damaged_and_old_facts_are_errors(tmp_path):
    path = tmp_path / "facts.json"
    with pytest.raises(UserError, match=r"facts\.json: must hold .* facts, found no file; run the aggregate stage"):
        read_facts(tmp_path)
    path.mkdir()
    with pytest.raises(UserError, match=r"must be a file with at most .*, found a folder"):
        read_facts(tmp_path)
    with pytest.raises(UserError, match="found no file"):
        read_facts(Path(__file__))
    path.rmdir()
    path.write_text("[{")
    with pytest.raises(UserError, match=r"\(the file: Invalid JSON"):
        read_facts(tmp_path)
    write_facts(tmp_path, Facts([RECOMMENDATION], []))
    whole = path.read_text()
    for own, other, where in (('"model": "a",', "", "model: Field required"), ("facts/9", "facts/8", "format: ")):
        path.write_text(whole.replace(own, other))
        with pytest.raises(UserError, match=rf"another whichlayer version wrote, or damage \(.*{where}.*dvc repro"):
            read_facts(tmp_path)
