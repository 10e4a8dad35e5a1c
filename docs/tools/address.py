"""Write the repository's address into pyproject.toml, CITATION.cff, and the pages that have ADDRESS in its place.

python -m docs.tools.address https://github.com/OWNER/NAME
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
RELEASE = "docs/release.md"
"""The page that explains this: there ADDRESS stays."""


def main() -> None:
    """Write it."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    write_address(ROOT, sys.argv[1], [name for name in listed.splitlines() if name != RELEASE])


def write_address(root: Path, address: str, pages: Iterable[str]) -> None:
    """Write the address of a repository on GitHub, in the place of another one if need be.

    Args:
        root: folder of pyproject.toml, CITATION.cff and the pages.
        address: https://github.com/OWNER/NAME.
        pages: paths of files that may have the word ADDRESS.

    Raises:
        ValueError: it is no such address.
    """
    found = re.fullmatch(r"https://github\.com/([\w-]+)/([\w.-]+)", address)
    if not found:
        raise ValueError(f"the address must be https://github.com/OWNER/NAME, found {address!r}")
    urls = {
        "Repository": address,
        "Documentation": f"https://{found[1].lower()}.github.io/{found[2]}/",
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
    }
    for key, value in urls.items():
        set_line(root / "pyproject.toml", f"{key} = ", f'"{value}"', before="Paper = ")
    set_line(root / "CITATION.cff", "repository-code: ", address, before="license: ")
    for page in pages:
        text = (root / page).read_text(encoding="utf-8")
        (root / page).write_text(re.sub(r"\bADDRESS\b", address, text), encoding="utf-8")


def set_line(path: Path, key: str, value: str, *, before: str) -> None:
    """Set the line that begins with `key`, or write it before the one that begins with `before`."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(key)]
    place = next(i for i, line in enumerate(lines) if line.startswith(before))
    path.write_text("\n".join([*lines[:place], key + value, *lines[place:], ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
