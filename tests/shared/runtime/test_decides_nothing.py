"""No stage depends on stages/shared/runtime in dvc.yaml: what it prints, checks and cleans up decides no result."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import imports
from tests.shared.runtime.tiny_cell import OUTPUTS, ROOT, STUBS

STAGES = ("prepare", "finetune", "embed", "measure", "core", "shared")


@pytest.mark.slow
def test_every_output_of_a_cell_is_the_same_bytes_without_it(tmp_path: Path):
    command = [sys.executable, "-m", "tests.shared.runtime.tiny_cell"]
    runs = {"whole": [], "bare": ["bare"]}
    processes = [
        subprocess.Popen(
            [*command, str(tmp_path / name), *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, options in runs.items()
    ]
    (closing_lines, _), (nothing, errors) = (process.communicate() for process in processes)
    assert [process.returncode for process in processes] == [0, 0], errors
    assert len(closing_lines.splitlines()) >= 4
    assert nothing == ""
    whole, bare = (written(tmp_path / name / "out") for name in runs)
    assert {name.partition("/")[0] for name in whole} == set(OUTPUTS)
    assert whole == bare


def written(folder: Path) -> dict[str, bytes]:
    files = [path for name in OUTPUTS for path in (folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_what_stages_take_from_it_is_stubbed_there_but_the_class_of_their_errors():
    taken = set()
    for path in (path for folder in STAGES for path in (ROOT / "stages" / folder).rglob("*.py")):
        for module, names in imports(path):
            if module.startswith("stages.shared.runtime.") and path.parent.name != "runtime":
                taken |= {*names}
    assert taken == {*STUBS, "UserError"}
