"""Write the tables of docs/ from the code and the files that own them, and the preset that another one gives.

python -m tests.reference
"""

from pathlib import Path

from tests.reference.presets import judged
from tests.reference.regions import DOCS, write_pages


def main() -> None:
    """Write every marked region, and name the pages that changed."""
    for page in write_pages(DOCS):
        print(f"wrote {page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page}")
    presets = DOCS / "presets"
    (presets / "paper-judged.yaml").write_text(judged((presets / "paper.yaml").read_text()))


if __name__ == "__main__":
    main()
