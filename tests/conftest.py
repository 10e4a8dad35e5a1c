import gc
import importlib.metadata
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests run side by side

# What is installed stays the same while tests run; to read it takes half a second, once or twice in each stage.
importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the collector of garbage from the libraries: they stay, and it would go through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel of this checkout as pip does: a folder to import `whichlayer` from."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder
