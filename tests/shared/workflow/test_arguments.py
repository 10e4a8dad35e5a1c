"""The command line of a stage."""

from pathlib import Path

import pytest

from stages.shared.workflow.stage_run import StageParser
from stages.shared.runtime.errors import UserError


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch):
    def run(*words: str, item: tuple[str, ...] = ("dataset", "model", "fold", "seed")):
        monkeypatch.setattr("sys.argv", ["stage", *words])
        parser = StageParser("A stage.", *item)
        parser.add_artifact("--out", "what it writes")
        return parser.parse_cell()

    return run


CELL = ("--dataset", "birds", "--model", "net", "--fold", "all", "--seed", "3")


def test_paths_hold_the_cells_own_names_and_a_seed_is_a_number(parse):
    args = parse(*CELL, "--out", "x/{dataset}/{model}/{fold}/{seed}/{other}")
    assert args.out == Path("x/birds/net/all/3/{other}")
    assert args.cell == "birds-net-all-3"
    assert (args.seed, args.of) == (3, ("birds", "net", "all", 3))
    assert (args.params, args.log) == (Path("params.yaml"), None)


def test_a_stage_without_a_matrix_has_no_cell(parse):
    assert parse("--out", "results", "--log", "log.jsonl", item=()).cell == ""


@pytest.mark.parametrize("name", ["../up", "a b", "$(x)", "{model}", "", "é"])
def test_a_name_that_is_no_id_is_refused(parse, name):
    with pytest.raises(UserError, match="names are made of letters, digits and _, found"):
        parse(f"--dataset={name}", *CELL[2:], "--out", "x/{dataset}")
