"""Count the words of the pages, and habits of language in their prose.

    python -m docs.tools.words            # a line per page: words of prose, words to read, budget
    python -m docs.tools.words --habits   # how often each habit comes in their prose, and a third of how often it did

Prose is what remains without code blocks, tables and comments. Words to read are all words of a page, tables and
commands among them, without the regions that `make docs` writes. A generated page is no part of the reading path.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from docs.tools.sources import ROOT

GENERATED = ("docs/columns.md", "docs/coverage.md", "docs/paper-tables.md")
READING_PATH = 17_000
"""Words to read of all pages together, at most."""
BUDGET = 900
"""Words of prose of a page, at most, unless it is in `BUDGETS`."""
BUDGETS = {
    "README.md": 360,
    "CONTRIBUTING.md": 430,
    "SECURITY.md": 360,
    "CHANGELOG.md": 405,
    "docs/compare.md": 250,
    "docs/cut.md": 170,
    "docs/getting-started.md": 230,
    "docs/limits.md": 390,
    "docs/recommend.md": 240,
    "docs/release.md": 160,
    "docs/results.md": 480,
    "docs/uncertainty.md": 380,
    "docs/use.md": 360,
    "docs/README.md": 20,
    "docs/glossary.md": 20,
    "docs/troubleshooting.md": 50,
    "docs/datasets.md": 600,
    "docs/default-study.md": 300,
    "docs/five-datasets.md": 800,
    "docs/method.md": 500,
    "docs/models.md": 460,
    "docs/paper.md": 1_050,
    "docs/parameters.md": 160,
    "docs/scale.md": 650,
    "docs/scores.md": 810,
    "docs/statistics.md": 1_000,
    "docs/study/README.md": 600,
}
HABITS = {
    "what": (r"\bwhat\b", 166),
    "which": (r"\bwhich\b", 121),
    "where": (r"\bwhere\b", 112),
    "the one": (r"\b(?:the|this|that|last|earlier|other|another) ones?\b|\bones\b|\bone of\b", 36),
    "Of ..., first": (r"(?:^|\. )(?-i:Of) ", 21),
    "that of, those of": (r"\b(?:that|those) of\b", 41),
    "is of, are of": (r"\b(?:is|are) of\b", 10),
    "alone": (r"\balone\b", 53),
    "things that speak": (r"\b(?:says?|said|tells?|told)\b", 81),
    "hedges": (
        r"\bnot (?:be |been |yet )?(?:shown|known|proven|distinguishable)\b|\bno proven level\b|\b(?:is|are) known\b",
        32,
    ),
    "brackets": (r"\(", 314),
    "semicolons": (r";", 235),
}
"""Pattern of each habit, and how often it came in the 24,426 words of the first pages: a third is the limit."""


def pages() -> list[Path]:
    """List the pages, README first."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    return [*top, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("*/README.md"))]


def prose(text: str) -> str:
    """Return a page without code blocks, tables and comments; of a link only its words."""
    text = re.sub(r"<!--.*?-->|<picture>.*?</picture>", "", text, flags=re.DOTALL)
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(?: {4,}\S| *\|).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)


def to_read(text: str) -> str:
    """Return a page without the regions that `make docs` writes, and without comments."""
    text = re.sub(r"<!-- (.+?): written by `make docs` -->.*?<!-- end of \1 -->", "", text, flags=re.DOTALL)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def count(text: str) -> int:
    """Count words: runs without a blank that have a letter or a digit."""
    return sum(any(map(str.isalnum, word)) for word in text.split())


def name(page: Path) -> str:
    """Return a page's path below the project."""
    return page.relative_to(ROOT).as_posix()


def lengths() -> Iterator[tuple[str, int, int]]:
    """Yield each page's name, its words of prose and its words to read; 0 words to read of a generated page."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        yield name(page), count(prose(text)), 0 if name(page) in GENERATED else count(to_read(text))


def habits() -> dict[str, int]:
    """Count each habit in the prose of the reading path."""
    text = "\n".join(prose(page.read_text(encoding="utf-8")) for page in pages() if name(page) not in GENERATED)
    flags = re.MULTILINE | re.IGNORECASE
    return {habit: len(re.findall(pattern, text, flags)) for habit, (pattern, _) in HABITS.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--habits", action="store_true", help="count habits of language, not words")
    if parser.parse_args(arguments).habits:
        print("   now  third")
        print("\n".join(f"{found:6,} {HABITS[habit][1] // 3:6,}  {habit}" for habit, found in habits().items()))
        return
    print(f"{'prose':>6} {'to read':>8} {'budget':>7}  page")
    total = [0, 0]
    for page, *words in lengths():
        total = [sum(pair) for pair in zip(total, words, strict=True)]
        budget = f"{BUDGETS.get(page, BUDGET):,}" if page not in GENERATED else "–"
        print(f"{words[0]:6,} {words[1]:8,} {budget:>7}  {page}")
    print(f"{total[0]:6,} {total[1]:8,} {READING_PATH:7,}  in all")


if __name__ == "__main__":
    main()
