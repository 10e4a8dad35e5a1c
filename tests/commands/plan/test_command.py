"""`whichlayer plan`: its table and totals, and what it prints of a grid."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.commands.plan.command import plan, size, table, totals
from stages.commands.plan.cost import Cost
from stages.shared.console import UserError
from tests.commands.edited import file

COST = Cost(
    parameters=3_390_000,
    trained=7200,
    passed=8400,
    flops=1.5e15,
    checkpoints=3 * 2**20,
    embeddings=3 * 2**29,
    training_memory=2**20,
    embed_memory=52 * 2**20,
)


def test_totals_warn_when_the_disk_is_too_small(tmp_path: Path):
    assert "warning" not in totals([COST], 1, 15.0, tmp_path)
    assert "finetune.keep: last" in totals([COST] * 1000, 10_000, 15.0, tmp_path)
    assert "about 1.0 h" in totals([COST] * 36, 1, 15.0, tmp_path)


def test_the_table_has_a_line_per_network():
    header, _, line = table([("handwriting", "lite0", ["0", "1"], COST)]).splitlines()
    assert " ".join(header.split()) == "dataset model folds params trained forward PFLOP weights store memory"
    assert " ".join(line.split()) == "handwriting lite0 0, 1 3.4M 7,200 8,400 1.50 3 MiB 1.5 GiB 52 MiB"
    assert (size(3 * 2**20), size(1.5 * 2**30)) == ("3 MiB", "1.5 GiB")


def test_a_grid_is_planned_from_another_params_file(tmp_path: Path):
    params = file(tmp_path, {"run.seeds": [0, 1], "run.folds": [0, 3], "run.models": ["efficientnet_lite0_scratch"]})
    printed = CliRunner().invoke(plan, ["--params", str(params)], catch_exceptions=False).stdout
    assert "stages that would run" not in printed  # DVC reads the project's own params.yaml
    assert "handwriting  efficientnet_lite0_scratch  0, 3 " in printed
    assert "For each of the folds of a line and one seed of 2." in printed


def test_fold_all_has_a_line_of_its_own_and_every_fold_counts_in_the_totals(tmp_path: Path):
    def disk(folds: list[object]) -> tuple[int, str]:
        params = file(tmp_path, {"run.folds": folds, "run.models": ["efficientnet_lite0_scratch"]})
        printed = CliRunner().invoke(plan, ["--params", str(params)], catch_exceptions=False).stdout
        return int(re.search(r"disk: (\d+) MiB", printed)[1]), printed

    (one, _), (two, _), (both, printed) = disk([0]), disk([0, 1]), disk([0, "all"])
    assert abs(two - 2 * one) <= 1
    lines = [line.split() for line in printed.splitlines() if line.startswith("handwriting")]
    assert [line[2] for line in lines] == ["0", "all"]
    assert [line[5] for line in lines] == ["8,400", f"{3 * 800 + 3 * 800 + 20 * 100 + 12 * 20 * 10:,}"]
    assert both > one


def test_a_fold_that_a_dataset_lacks_is_named(tmp_path: Path):
    params = file(tmp_path, {"run.folds": [4]})
    with pytest.raises(UserError, match=r"'handwriting' of run\.datasets has no fold 4; it has 4 numbered folds"):
        CliRunner().invoke(plan, ["--params", str(params)], catch_exceptions=False)


@pytest.mark.parametrize("given", ["0", "-1"])
def test_what_the_gpu_sustains_is_more_than_nothing(given: str):
    done = CliRunner().invoke(plan, ["--tflops", given])
    assert done.exit_code == 2
    assert "Invalid value for '--tflops'" in done.output
