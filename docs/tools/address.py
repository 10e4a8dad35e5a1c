"""Write the repository's address into README, pyproject.toml, from which the site takes it, and CITATION.cff.

python -m docs.tools.address https://github.com/OWNER/NAME
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Write it."""
    write_address(ROOT, sys.argv[1])


def write_address(root: Path, address: str) -> None:
    """Write the address of a repository on GitHub, in the place of another one if need be.

    Args:
        root: folder of the three files.
        address: https://github.com/OWNER/NAME.

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
    clone = f"{address} && cd {found[2]}"
    set_line(root / "README.md", "git clone ", clone, before="pip install '.[quick]'")


def set_line(path: Path, key: str, value: str, *, before: str) -> None:
    """Set the line that begins with `key`, also as a comment, or write it before the one that begins with `before`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.removeprefix("# ").startswith(key)]
    place = next(i for i, line in enumerate(lines) if line.startswith(before))
    path.write_text("\n".join([*lines[:place], key + value, *lines[place:], ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
