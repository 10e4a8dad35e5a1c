"""Count the words of the pages, and habits of language in their prose.

    python -m docs.tools.words            # a line per page: words of prose, words to read, budget
    python -m docs.tools.words --habits   # how often each habit comes in pages, in what code prints and in docstrings
    python -m docs.tools.words --since 0123abcd   # words at a commit and now, and the headings that went

Prose is what remains without code blocks, tables and comments. Words to read are all words of a page, tables and
commands among them, without the regions that `make docs` writes. A generated page is no part of the reading path.
"""

import argparse
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from docs.tools import texts
from docs.tools.sources import ROOT

GENERATED = ("docs/columns.md", "docs/coverage.md", "docs/paper-tables.md")
READING_PATH = 15_500
"""Words to read of all pages together, at most."""
BUDGET = 900
"""Words of prose of a page, at most, unless it is in `BUDGETS`."""
BUDGETS = {
    "README.md": 360,
    "CONTRIBUTING.md": 400,
    "SECURITY.md": 330,
    "CHANGELOG.md": 350,
    "docs/compare.md": 230,
    "docs/cut.md": 170,
    "docs/getting-started.md": 230,
    "docs/limits.md": 370,
    "docs/recommend.md": 220,
    "docs/release.md": 160,
    "docs/results.md": 430,
    "docs/uncertainty.md": 360,
    "docs/use.md": 320,
    "docs/README.md": 20,
    "docs/glossary.md": 20,
    "docs/troubleshooting.md": 50,
    "docs/datasets.md": 520,
    "docs/default-study.md": 250,
    "docs/embeddings.md": 130,
    "docs/five-datasets.md": 750,
    "docs/method.md": 350,
    "docs/models.md": 370,
    "docs/paper.md": 910,
    "docs/parameters.md": 160,
    "docs/scale.md": 650,
    "docs/scores.md": 670,
    "docs/statistics.md": 980,
    "docs/study/README.md": 600,
}
SCORE = r"(?:the |a |linear )?(?:probe|MAP@R|NMI|AUROC|AMI|ARI|1-NN|k-NN|R-precision|silhouette)"
HABITS = {
    "a blank before %": (r"\d %", 30),
    "rows of length 1, raw rows": (r"\blength 1\b|\b(?:raw|unit) rows\b", 31),
    "by + a score": (rf"(?<!measured )\bby {SCORE}\b", 75),
    "pages and files have": (
        r"(?:\b(?:page|table|file|column|row|study|section|folder|list|coverage|results|scores|limits|README|CONTRIBUTING"
        r"|report|document|summary)s?\b|`[^`\n]*`) (?:has|have|holds?)\b",
        36,
    ),
    "fronted phrase without comma": (
        r"(?:^|[.:] )(?-i:On|In|At|By|With|Without|From|For|After|Under)\b"
        r"(?: [^\s,.:;|]+){2,}?(?:\n[^,.:;|\n]*)?[.:]\s",
        31,
    ),
    "take": (r"\btak(?:e|es|ing|en)\b", 53),
    "name as a verb": (
        r"\bnames? (?:the|a|an|it|its|one|them|what|which|how|another|every|each|all|no|that)\b|\bnamed\b",
        20,
    ),
    "things that choose or judge": (
        r"\b(?:images?|labels?|folds?|classes|rules?|data|datasets?|draws?|scores?|halves|sets?|ones?|study|studies|that)"
        r" (?:choose|chooses|chose)\b|\bjudg\w+\b|\bjudge\b",
        22,
    ),
    "lose": (r"\b(?:loses?|lost|losing)\b", 17),
    "shares as bare decimals": (r"\bin (?:about )?0\.\d|\b0\.\d+ of (?:the )?(?:studies|runs|images|classes)", 7),
    "hold in": (r"\bh[oe]lds? (?:in|for|at|over|on)\b", 11),
    "negated subject": (r"(?:^|[.:] |\n\n|\| )(?-i:No|None|Nothing|Neither|Nobody) ", 12),
    "bold label": (r"^ *(?:[-*]|\d\.) \*\*", 122),
    "other": (r"\bothers?\b", 73),
    "again": (r"\bagain\b", 22),
    "then": (r"\bthen\b", 28),
    "the one before": (r"\b(?:ones?|layer) before\b|\bbefore the last\b", 5),
    "what choosing gains": (r"\bwhat (?:\w+ ){0,3}(?:gains?|costs?|loses?)\b|\b(?:its|the) loss of\b", 11),
    "things that speak": (r"\b(?:says?|said|tells?|told)\b(?! you)", 81),
    "alone": (r"\balone\b", 53),
}
"""Pattern of each habit, and how often it came in the 15,054 words of pages that an editor reviewed."""
WORDS_PER_OF = 45
"""Words for each `of`, at least."""
CONTRACTION = r"\b\w+(?:n't|'(?:s|re|ll|ve|d))\b"


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


def reading_path() -> str:
    """Return the prose of all pages that people write and read."""
    return "\n".join(prose(page.read_text(encoding="utf-8")) for page in pages() if name(page) not in GENERATED)


def habits(text: str) -> dict[str, int]:
    """Count each habit in a text."""
    flags = re.MULTILINE | re.IGNORECASE
    return {habit: len(re.findall(pattern, text, flags)) for habit, (pattern, _) in HABITS.items()}


def words_per_of(text: str) -> float:
    """Return how many words there are for each `of`."""
    return count(text) / len(re.findall(r"\bof\b", text))


def gone(before: str, now: str) -> list[str]:
    """List the headings of a page that it no longer has."""
    code = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)
    heads, left = (re.findall(r"^#+ (.+)$", code.sub("", text), re.MULTILINE) for text in (before, now))
    return [head for head in heads if head not in left]


def print_pages() -> None:
    """Print a line per page."""
    print(f"{'prose':>6} {'to read':>8} {'budget':>7}  page")
    total = [0, 0]
    for page, *words in lengths():
        total = [sum(pair) for pair in zip(total, words, strict=True)]
        budget = f"{BUDGETS.get(page, BUDGET):,}" if page not in GENERATED else "–"
        print(f"{words[0]:6,} {words[1]:8,} {budget:>7}  {page}")
    print(f"{total[0]:6,} {total[1]:8,} {READING_PATH:7,}  in all")


def print_habits() -> None:
    """Print a line per habit: its counts in pages, printed texts and public docstrings, and the limit of each count."""
    own = [reading_path(), texts.printed(), texts.public()]
    found = [habits(text) for text in own]
    print(" pages  printed  docstrings  limit")
    for habit, (_, before) in HABITS.items():
        pages_, printed, docstrings = (each[habit] for each in found)
        print(f"{pages_:6} {printed:8} {docstrings:11} {before // 3:6}  {habit}")
    pages_, printed, docstrings = (f"1 in {words_per_of(text):.0f}" for text in own)
    print(f"{pages_:>6} {printed:>8} {docstrings:>11} 1 in {WORDS_PER_OF}  of")
    pages_, printed, docstrings = (f"{count(text):,}" for text in own)
    print(f"{pages_:>6} {printed:>8} {docstrings:>11}         words")


def print_since(commit: str) -> None:
    """Print a line per page: its words to read at a commit and now, and the headings that went."""

    def at(page: str) -> str:
        found = subprocess.run(["git", "show", f"{commit}:{page}"], cwd=ROOT, capture_output=True, text=True)
        return found.stdout

    listed = subprocess.run(["git", "ls-tree", "-r", "--name-only", commit], cwd=ROOT, capture_output=True, text=True)
    old = [page for page in listed.stdout.splitlines() if re.fullmatch(r"[A-Z]+\.md|docs/(?:[^/]+/)?[^/]+\.md", page)]
    now = {name(page): page.read_text(encoding="utf-8") for page in pages()}
    print("before    now  page: headings that went")
    total = [0, 0]
    for page in sorted({*old, *now} - {"CODE_OF_CONDUCT.md", "docs/joss/paper.md"}):
        before, after = ("" if page in GENERATED else to_read(text) for text in (at(page), now.get(page, "")))
        went = gone(before, after) if after else ["the page"] * bool(before)
        total = [total[0] + count(before), total[1] + count(after)]
        print(f"{count(before):6,} {count(after):6,}  {page}{': ' * bool(went)}{', '.join(went)}")
    print(f"{total[0]:6,} {total[1]:6,}  in all")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--habits", action="store_true", help="count habits of language, not words")
    group.add_argument(
        "--since", metavar="COMMIT", help="words to read of each page at a commit and now, and what went"
    )
    asked = parser.parse_args(arguments)
    if asked.since:
        print_since(asked.since)
    elif asked.habits:
        print_habits()
    else:
        print_pages()


if __name__ == "__main__":
    main()
