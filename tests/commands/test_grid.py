"""The stages and cells of a grid: names, what follows from a changed stage, which cells are open."""

import pytest

from stages.commands import grid
from stages.commands.grid import all_stages, count_stages, following, open_cells, open_stages
from stages.shared.workflow.params import RunParams

RUN = RunParams(datasets=["a", "b"], models=["m", "n"], folds=[0, "all"], seeds=[0])


def test_what_follows_from_a_changed_stage():
    assert following([], RUN) == set()
    assert following(["measure@a-m-0-0"], RUN) == {"measure@a-m-0-0", "aggregate"}
    after_prepare = {
        f"{stage}@b-{m}-{fold}-0" for stage in ("finetune", "embed", "measure") for m in "mn" for fold in ("0", "all")
    }
    assert following(["prepare@b"], RUN) == {"prepare@b", "aggregate"} | after_prepare


def test_stages_that_would_run_are_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grid, "changed_stages", lambda: ["embed@a-m-0-0"])
    assert [*count_stages(open_stages(RUN)).values()] == [0, 0, 1, 1, 1]


def test_all_stages_of_a_grid():
    assert [*count_stages(all_stages(RUN)).values()] == [2, 8, 8, 8, 1]


def test_a_cell_is_open_if_one_of_its_stages_changed_or_follows_one_that_did(monkeypatch: pytest.MonkeyPatch):
    changed: list[str] = []
    monkeypatch.setattr(grid, "changed_stages", lambda: changed)
    changed[:] = ["measure@a-m-all-0", "finetune@a-n-0-0", "aggregate"]
    assert open_cells(RUN, open_stages(RUN)) == [("a", "m", "all", 0), ("a", "n", "0", 0)]
    changed[:] = ["aggregate"]
    assert open_cells(RUN, open_stages(RUN)) == []
    changed[:] = ["prepare@a"]
    assert len(open_cells(RUN, open_stages(RUN))) == 4
