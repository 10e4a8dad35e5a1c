"""`dvc exp run --temp`: the copy's code runs, not the workspace's and not an installed one."""

from pathlib import Path

import pytest

from tests.workflow import Workflow, tiny_images, tiny_params

pytestmark = pytest.mark.slow

SHOW = """

import atexit


def show() -> None:
    files = [m.__file__ for name, m in sys.modules.items() if name.split(".")[0] == "stages" and m.__file__]
    print("loaded", sys.argv[0], *files, flush=True)


atexit.register(show)
"""
"""Prints, at the end of a process, the files of all modules of `stages` that it imported."""


def test_the_stages_of_a_copy_import_the_copy(tmp_path: Path):
    workflow = Workflow(tmp_path)
    tiny_params(workflow, ["left"], ["first"])
    tiny_images(tmp_path / "data" / "raw" / "left", seed=0)
    workflow.start_repository()
    console = tmp_path / "stages" / "shared" / "runtime" / "console.py"
    console.write_text(console.read_text() + SHOW)  # not committed: DVC copies it all the same
    done = workflow.run("dvc", "exp", "run", "--temp", "-n", "copy", "-C", "data/raw/left")
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("loaded ")]
    entry_points = [Path(line[0]).parent.name for line in lines if line[0].endswith("__main__.py")]
    assert entry_points == ["prepare", "finetune", "embed", "measure", "aggregate"]  # the others are measure's workers
    copies = tmp_path / ".dvc" / "tmp" / "exps"
    files = {Path(file) for line in lines for file in line if file.endswith(".py")}
    assert len(files) > 50
    assert all(file.is_relative_to(copies) for file in files)
    assert not (tmp_path / "data" / "results").exists()
