"""A small project of DVC, made once for each module, and a copy of it for each test."""

import os
import sys
from pathlib import Path

import pytest

from tests.commands.verify.made import copy_project, make_project


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        return make_project(tmp_path_factory.mktemp("dvc") / "project")


@pytest.fixture
def project(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(copy_project(original, tmp_path / "project"))
    return tmp_path / "project"
