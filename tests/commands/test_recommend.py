import json

import pytest
from click.testing import CliRunner

from stages.aggregate.facts import Facts, write_facts
from stages.aggregate.recommend.schema import Missing
from stages.aggregate.render.json_files import recommendations_json
from stages.commands.recommend import recommend
from stages.shared.runtime.errors import UserError
from tests.aggregate.recommended import RECOMMENDATION, recommendation

OTHER = recommendation(model="b", dataset="flowers", missing=[Missing.OPERATIONS])


@pytest.fixture
def results(tmp_path):
    write_facts(tmp_path, Facts([RECOMMENDATION, OTHER], []))
    return tmp_path


def run(*args):
    return CliRunner().invoke(recommend, [*map(str, args)], catch_exceptions=False)


def test_it_prints_every_network_and_what_is_missing(results):
    everything = run(results).output
    first, second = everything.index("handwriting"), everything.index("flowers")
    assert first < second < everything.index("Multiply-adds are not known.")
    for chosen in (("--model", "a"), ("--dataset", "handwriting")):
        alone = run(results, *chosen).output
        assert everything.startswith(alone.strip())
        assert "flowers" not in alone
        assert "Multiply-adds" not in alone


def test_the_records_are_those_of_the_file(results):
    (found,) = json.loads(run(results, "--dataset", "flowers", "--json").output)
    assert found == json.loads(recommendations_json([OTHER]))[0]


def test_an_unknown_name_is_an_error_that_lists_the_known(results):
    with pytest.raises(UserError, match=r"--model must be one of the results, found 'c': \(known: a, b\)"):
        run(results, "--model", "c")
    with pytest.raises(UserError, match="--model must be one of the results, found 'b'"):
        run(results, "--dataset", "handwriting", "--model", "b")
