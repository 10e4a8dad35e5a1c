"""Count the lines of code under stages: lines with a token other than a comment or docstring.

    python -m tests.bench.lines [REVISION]

Prints a row for each folder, today or at a revision, and the sum; templates, scripts and chart specifications apart.
Then the lines of tests for each line of code: without `APART`, and with it.
"""

import collections
import subprocess
import sys
import tempfile
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[2]
IGNORED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
IGNORED |= {tokenize.ENDMARKER}
OTHER = (".js", ".j2", ".css", ".json")
APART = ("bench", "faults", "reference", "tools")
"""Folders of the tests that measure or write, and do not test."""


def main() -> None:
    """Print the table."""
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            archive = subprocess.run(["git", "archive", sys.argv[1]], cwd=ROOT, capture_output=True, check=True).stdout
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
            print(table(Path(folder)))
    else:
        print(table(ROOT))


def table(root: Path) -> str:
    """Tabulate the lines of a checkout."""
    counts: collections.Counter[str] = collections.Counter()
    for path in (root / "stages").rglob("*.py"):
        folder, *inner = path.relative_to(root / "stages").parts
        counts[folder if inner else "."] += code_lines(path)
    others = [
        path for path in [*(root / "stages").rglob("*"), *(root / ".dvc/plots").glob("*")] if path.suffix in OTHER
    ]
    rows = [f"{count:7,}  {name}" for name, count in sorted(counts.items()) if count]
    rows += [f"{sum(counts.values()):7,}  stages", f"{sum(text_lines(path) for path in others):7,}  {' '.join(OTHER)}"]
    of_tests = {path.relative_to(root / "tests"): code_lines(path) for path in (root / "tests").rglob("*.py")}
    testing = sum(count for path, count in of_tests.items() if path.parts[0] not in APART)
    whole, code = sum(of_tests.values()), sum(counts.values())
    rows.append(
        f"{testing:7,}  tests, {testing / code:.2f} a line; with {', '.join(APART)} {whole:,}, {whole / code:.2f}"
    )
    return "\n".join(rows)


def code_lines(path: Path) -> int:
    """Count the lines of one module."""
    lines: set[int] = set()
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            docstring = token.type == tokenize.STRING and token.line.strip().startswith(('"""', 'r"""'))
            if token.type not in IGNORED and not docstring:
                lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines)


def text_lines(path: Path) -> int:
    """Count the lines of a file that are not blank."""
    return sum(bool(line.strip()) for line in path.read_text().splitlines())


if __name__ == "__main__":
    main()
