import json

import pytest
from click.testing import CliRunner

from stages.aggregate.facts import BestNetworkRecord, Facts, Missing
from stages.aggregate.facts_file import write_facts
from stages.aggregate.findings.outcomes import Power
from stages.aggregate.words.documents import describe, finding_records, recommendation_records
from stages.commands.results import recommend, verdict
from stages.shared.runtime.errors import UserError
from tests.aggregate.networks import evidence, network
from tests.aggregate.recommended import every_use

BEST = {"model": "large", "difference": 0.1, "scope": "classes"}
FIRST, OTHER = every_use(), every_use(model="b", dataset="flowers", missing=[Missing.GROUPS])


@pytest.fixture
def results(tmp_path):
    write_facts(tmp_path, Facts([*FIRST, *OTHER], []))
    return tmp_path


def run(*args):
    return CliRunner().invoke(recommend, [*map(str, args)], catch_exceptions=False)


def test_it_prints_every_network_and_what_is_missing_once(results):
    printed = run(results).output
    assert printed == f"{describe([*FIRST, *OTHER])}\n"
    assert printed.count("too few groups") == 1
    assert run(results, "--model", "a").output == f"{describe(FIRST)}\n"
    assert run(results, "--dataset", "handwriting").output == f"{describe(FIRST)}\n"


def test_the_verdict_for_programs_has_the_records_of_its_use(results):
    findings = [evidence(network())]
    write_facts(results, Facts([*FIRST, *OTHER], findings))
    printed = CliRunner().invoke(verdict, [str(results), "--use", "retrieval", "--json"], catch_exceptions=False).output
    assert json.loads(printed) == {
        "recommendations": recommendation_records([FIRST[1], OTHER[1]]),
        "findings": finding_records(Facts([], findings)),
    }


def test_what_people_read_has_the_notice_of_the_study(results):
    write_facts(results, Facts([*FIRST, *OTHER], [], notice="Incomplete."))
    assert run(results, "--model", "a").output == f"Incomplete.\n{describe(FIRST)}\n"


@pytest.mark.parametrize("command", [verdict, recommend])
def test_without_results_there_is_one_message(command, tmp_path):
    with pytest.raises(UserError, match="found no file"):
        CliRunner().invoke(command, [str(tmp_path)], catch_exceptions=False)


def test_networks_are_compared_in_one_sentence(results):
    best = every_use(model="large", value=0.5)
    clear, unclear = (
        every_use(model=model, value=0.4, behind=BestNetworkRecord(**BEST, at_least=bound))
        for model, bound in (("small", 0.02), ("middle", -0.02))
    )
    write_facts(results, Facts([*best, *clear, *unclear], [], use="retrieval"))
    assert run(results).output.startswith(
        "Best network on handwriting: large for retrieval, before small and middle\n  (ties).\n"
    )


def test_one_use_is_that_of_the_option_else_of_the_study(results):
    alone = f"{describe([FIRST[1], OTHER[1]])}\n"
    assert run(results, "--use", "retrieval").output == alone
    write_facts(results, Facts([*FIRST, *OTHER], [], use="retrieval"))
    assert run(results).output == alone
    assert run(results, "--use", "discovery", "--model", "a").output == f"{describe([FIRST[2]])}\n"


def test_the_records_are_those_of_the_file(results):
    found = json.loads(run(results, "--dataset", "flowers", "--json").output)
    assert found == recommendation_records(OTHER)


def test_an_unknown_name_is_an_error_that_lists_the_known(results):
    with pytest.raises(UserError, match=r"--model must be in the results, found 'c': choose from a, b"):
        run(results, "--model", "c")
    with pytest.raises(UserError, match="--model must be in the results, found 'b'"):
        run(results, "--dataset", "handwriting", "--model", "b")
    assert "'clustering' is not one of 'classifier'" in run(results, "--use", "clustering").output


def test_what_a_lead_takes_is_said_by_a_finished_study(tmp_path):
    def lead(value):
        return CliRunner().invoke(verdict, [str(tmp_path), "--lead", value], catch_exceptions=False).output

    write_facts(tmp_path, Facts([], [], power=[Power("d", "m", 0.2, 0.1, {4: 0.2, 16: 0.1}, {}, {10: 0.1})]))
    taken = "A lead of 0.15 needs 16 folds, or at least 10 unseen classes in each fold.\n"
    assert lead("0.15").endswith(taken)
    write_facts(tmp_path, Facts([], []))
    with pytest.raises(UserError, match=r"--lead: .* must hold a study with proven intervals over classes"):
        lead("0.15")
