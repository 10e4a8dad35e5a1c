"""No file of the repository names a path of the machine on which it was written."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PATH = re.compile(r"(?<![\w./:~$}{>*)<\\-])/[A-Za-z][\w.-]+/[\w.-]+|file:///\w+")
"""An absolute path of two names, the first of two letters or more, outside addresses, tags and regular expressions."""

LEGITIMATE = (
    "/any/path", "/path/on", "/path/to", "/shared/whichlayer-cache", "/somewhere/else",  # examples in docs and messages
    "/bin/bash", "/bin/sh", "/dev/", "/proc/", "/usr/bin",  # every Linux has these
    "/data/raw", "/data/results",  # .gitignore: of the repository
    "/data/w.pt", "/data/x", "/etc/evil.png", "/etc/passwd", "/tmp/evil", "/tmp/ray", "/tmp/x",  # tests: not opened
)  # fmt: skip


def machine_paths(text: str) -> list[str]:
    return [path for path in PATH.findall(text) if not path.startswith(LEGITIMATE)]


@pytest.mark.parametrize("names", ["home ann photos", "work tmp report.html", "file:// root a"])
def test_paths_of_a_machine_are_found_in_text_and_code(names: str):
    first, *others = names.split()
    path = "/".join([first, *others] if ":" in first else ["", first, *others])
    for text in (path, f'Path("{path}")', f"see {path}: there", f"--out={path}"):
        assert machine_paths(text), text


def test_no_tracked_file_names_a_path_of_a_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    assert len(files) > 500
    found = {}
    for file in files:
        content = file.read_bytes()
        if b"\0" not in content:
            text = re.sub(r'"image/png": "[^"]*"', "", content.decode("utf-8", "replace"))  # pictures in notebooks
            found[str(file.relative_to(ROOT))] = machine_paths(text)
    assert {name: paths for name, paths in found.items() if paths} == {}
