"""Which cells are done, which of them make a whole grid, and where the results of these may be written."""

from collections.abc import Callable
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stages.aggregate.result_files import finish_results
from stages.commands.fleet.cells import done_cells, largest_grid, notice
from stages.commands.fleet.command import check_replaceable, results
from stages.shared.core.made_of import dvc_hash
from stages.shared.core.params import Cell, RunParams
from stages.shared.runtime.errors import UserError


def grid_of(**lists: Any) -> RunParams:
    return RunParams.model_validate({"datasets": ["d"], "models": ["m"], "folds": [0], "seeds": [0], **lists})


ONE = grid_of()
CELL = ("d", "m", "0", 0)


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What dvc.lock says of a cell that is done."""
    monkeypatch.chdir(tmp_path)
    Path("code").mkdir()
    (Path("code") / "a.py").write_text("x = 1")
    stages = {}
    for stage, before in (("finetune", "code"), ("embed", "finetune"), ("measure", "embed")):
        md5 = dvc_hash(Path("code")) if before == "code" else f"of {before}"
        stages[f"{stage}@d-m-0-0"] = {
            "deps": [{"path": f"out/{before}" if before != "code" else "code", "md5": md5}],
            "outs": [{"path": f"out/{stage}", "md5": f"of {stage}"}],
            "params": {"params.yaml": {stage: {"steps": [1, 2]}}},
        }
    return stages


PARAMS = {stage: {"steps": [1, 2]} for stage in ("finetune", "embed", "measure")}


def test_a_cell_is_done_if_its_stages_are_of_what_is_here_and_of_each_other(known: dict[str, Any]):
    assert done_cells(ONE, [known], PARAMS) == {CELL: known}
    assert done_cells(ONE, [{}], PARAMS) == {}


def edit_code(known: dict[str, Any]) -> None:
    (Path("code") / "a.py").write_text("x = 2")


def remove_code(known: dict[str, Any]) -> None:
    (Path("code") / "a.py").unlink()
    Path("code").rmdir()


@pytest.mark.parametrize(
    "change",
    [
        edit_code,
        remove_code,
        lambda known: known.pop("measure@d-m-0-0"),
        lambda known: known["finetune@d-m-0-0"]["params"]["params.yaml"].update(finetune={"steps": [1, 3]}),
        lambda known: known["embed@d-m-0-0"]["outs"][0].update(md5="of another run"),
    ],
    ids=["code", "no code", "a stage", "parameters", "another embedding"],
)
def test_a_cell_of_something_else_is_not_done(known: dict[str, Any], change: Callable[[dict[str, Any]], object]):
    before = deepcopy(known)
    change(known)
    assert done_cells(ONE, [known], PARAMS) == {}
    if before != known:  # what a fleet recorded, when `dvc repro` has run since
        assert done_cells(ONE, [before, known], PARAMS) == {CELL: before}


RUN = grid_of(models=["a", "b", "c"], folds=[0, 1, "all"], seeds=[0, 1])
EVERY = set(RUN.cells())


def lists_of(done: set[Cell]) -> tuple[list[str], list[str], list[int]]:
    grid = largest_grid(RUN, done)
    assert set(grid.cells()) <= done
    return grid.models, grid.folds, grid.seeds


def test_what_is_done_is_cut_to_a_grid_that_loses_little():
    assert lists_of(EVERY) == (["a", "b", "c"], ["0", "1", "all"], [0, 1])
    assert lists_of(EVERY - {("d", "c", "1", 1)}) == (["a", "b"], ["0", "1", "all"], [0, 1])
    assert lists_of({cell for cell in EVERY if cell[1] != "b"}) == (["a", "c"], ["0", "1", "all"], [0, 1])
    assert lists_of({cell for cell in EVERY if cell[3] == 1}) == (["a", "b", "c"], ["0", "1", "all"], [1])
    assert lists_of({("d", "a", "0", 0), ("d", "b", "1", 1)}) in ((["a"], ["0"], [0]), (["b"], ["1"], [1]))


@pytest.mark.parametrize("done", [set(), set(product("d", "abc", ["all"], [0, 1]))], ids=["nothing", "only fold all"])
def test_without_a_numbered_fold_there_are_no_results(done: set[Cell]):
    with pytest.raises(UserError, match="a fold of a network must be done for there to be results, found none"):
        largest_grid(RUN, done)


def test_the_notice_names_what_is_missing_and_what_is_left_out():
    done = EVERY - {("d", "c", "1", 1)}
    assert notice(RUN, RUN, EVERY) == ""
    found = notice(RUN, largest_grid(RUN, done), done)
    assert found.startswith("Incomplete: 1 of 18 cells of the grid are missing (d-c-1-1). 5 more are done and ")
    many = notice(RUN, largest_grid(RUN, {("d", "a", "0", 0)}), {("d", "a", "0", 0)})
    assert many.startswith("Incomplete: 17 of 18 cells of the grid are missing (d-a-0-1, ")
    assert many.endswith(" and 12 more).")


def test_only_earlier_results_are_replaced(tmp_path: Path):
    out = tmp_path / "out"
    check_replaceable(out)
    (out / "figures").mkdir(parents=True)
    check_replaceable(out)
    for name in ("report.html", "figures/depth.png"):
        (out / name).touch()
    with pytest.raises(UserError, match=r"out: must be new, or hold .* found (report\.html|figures/depth\.png); name"):
        check_replaceable(out)  # as no digests tell that these are results
    finish_results(out)
    check_replaceable(out)
    (out / "figures" / "mine.png").touch()
    with pytest.raises(UserError, match=r"found figures/mine\.png; name another folder with --out"):
        check_replaceable(out)
    for path, said in {out / "report.html": "must not exist", Path("/proc/results"): "must be a path that can"}.items():
        with pytest.raises(UserError, match=said):
            check_replaceable(path)


def test_results_in_another_folder_than_partial_are_never_replaced(tmp_path: Path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "facts.json").touch()
    finish_results(tmp_path / "kept")
    with pytest.raises(UserError, match=r"kept: must not exist, since nothing is overwritten; name another path"):
        CliRunner().invoke(results, ["--out", str(tmp_path / "kept")], catch_exceptions=False)
