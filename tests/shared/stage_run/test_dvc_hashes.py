from pathlib import Path

import pytest
from dvc.repo import Repo

from stages.shared.stage_run import dvc_hashes
from stages.shared.stage_run.dvc_hashes import dvc_hash

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

IGNORED = "__pycache__/\n*.pyc\n.DS_Store\n.*.partial-*\n/*/**/dvc.yaml\n/*/**/.dvcignore\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    files = {
        "raw/b/1.png": "one", "raw/a/2.png": "two", "raw/a-b/3.png": "three", "raw/é ü.png": "four",
        "raw/.hidden": "five", "raw/.x.partial-1/6": "six", "raw/a/dvc.yaml": "stages: {}", "raw/a/.dvcignore": "*.png",
        "raw/a/__pycache__/7": "seven", "raw/.git/config": "eight", "elsewhere": "nine",
    }  # fmt: skip
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    Path("raw", "link").symlink_to(tmp_path / "elsewhere")
    Path(".dvcignore").write_text(IGNORED)
    return tmp_path


@pytest.mark.parametrize("linked", [False, True])
def test_files_and_folders_have_the_hashes_that_dvc_gives_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
):
    monkeypatch.setattr(dvc_hashes, "BLOCK", 3)
    if linked:
        Path("raw").rename(folder.with_name("moved"))
        Path("raw").symlink_to(folder.with_name("moved"))
    Path("dvc.yaml").write_text("stages: {make: {cmd: 'echo x > out', deps: [raw, elsewhere], outs: [out]}}")
    with Repo.init(no_scm=True) as repo:
        repo.reproduce()
        recorded = {str(dep): dep.hash_info.value for stage in repo.index.stages for dep in stage.deps}
    assert {name: dvc_hash(Path(name)) for name in ("raw", "elsewhere")} == recorded
