"""Write the tables of parameters and columns into docs/, from the code that owns them.

python -m tests.reference
"""

from pathlib import Path

from tests.reference.regions import DOCS, write_pages


def main() -> None:
    """Write every marked region, and name the pages that changed."""
    for page in write_pages(DOCS):
        print(f"wrote {page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page}")


if __name__ == "__main__":
    main()
