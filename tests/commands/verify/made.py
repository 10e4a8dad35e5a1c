"""A small project of DVC, without git and without this project's stages, run once; and damage done to its files."""

import os
import shutil
from contextlib import chdir
from pathlib import Path

from dvc.repo import Repo

MAKE = """
from pathlib import Path

Path("out/sub").mkdir(parents=True)
text = Path("raw/a.txt").read_text()
Path("out/big").write_text(text * 50)
Path("out/sub/small").write_text(text.upper())
Path("single").write_text(text + "!")
Path("counts.json").write_text('{"n": %d}' % len(text))
Path("runs").open("a").write("make ")
"""
PIPELINE = """
stages:
  make:
    cmd: python make.py
    deps: [make.py, raw]
    outs: [out, single]
    metrics:
      - counts.json: {cache: false}
"""


def make_project(folder: Path) -> Path:
    """Run a project of one stage: a folder of two files, a file, and metrics outside the cache."""
    (folder / "raw").mkdir(parents=True)
    (folder / "raw" / "a.txt").write_text("raw data")
    (folder / "make.py").write_text(MAKE)
    (folder / "dvc.yaml").write_text(PIPELINE)
    with chdir(folder), Repo.init(no_scm=True) as repo:
        repo.reproduce()
    return folder


def damage(path: Path) -> None:
    """Change one bit, and neither the size, the time nor the mode: what DVC goes by."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(stat.st_mode)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def contents(folder: Path) -> dict[str, bytes]:
    """The outputs of the project."""
    files = [folder / "out" / "big", folder / "out" / "sub" / "small", folder / "single", folder / "counts.json"]
    return {path.name: path.read_bytes() for path in files}


def copy_project(source: Path, target: Path) -> Path:
    """Copy a project with the times of its files; DVC's memory of times and hashes, elsewhere on the disk, is new."""
    shutil.copytree(source, target)
    with chdir(target), Repo() as repo:
        repo.status()
    return target
