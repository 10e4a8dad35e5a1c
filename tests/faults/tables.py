"""Tables that are wrong: a right CSV with changed bytes, cells and lines."""

import random

HEADER = "path,label,split"
NASTY_CELLS = [
    *(
        "",
        " ",
        "NA",
        "nan",
        "null",
        "../x.png",
        "/etc/passwd",
        "a/../../x",
        "C:\\x",
        '"',
        '""',
        '"a,b"',
        "'",
        ",",
        ",,,",
    ),
    *("=cmd()", "<b>", "$x$", "\\input{x}", "\x1b[31m", "\0", "\r", "\t", "\u2028", "\ufeff", "é" * 300, "x" * 200_000),
    *("train", "test", "unseen", "validation", "path", "label"),
]


def table(paths: list[str]) -> str:
    """A right table: two classes, in turn."""
    rows = [f"{path},{'ab'[n % 2]},{('train', 'test')[n // 2 % 2]}" for n, path in enumerate(paths)]
    return "\n".join([HEADER, *rows]) + "\n"


def mutated_table(text: str, seed: int) -> bytes:
    """Change a table in one to three places."""
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 1, 2, 3])):
        lines = text.splitlines(keepends=True) or ["\n"]
        line = rng.randrange(len(lines))
        cells = lines[line].rstrip("\n").split(",")
        cells[rng.randrange(len(cells))] = rng.choice(NASTY_CELLS)
        start = rng.randrange(len(text) + 1)
        ways = [
            [*lines[:line], ",".join(cells) + "\n", *lines[line + 1 :]],
            [*lines[:line], lines[line], lines[line], *lines[line + 1 :]],
            [*lines[:line], *lines[line + 1 :]],
            [text[:start], chr(rng.randrange(1, 0x3000)), text[start:]],
            [text[:start], text[start + 3 :]],
            [text.replace("\n", rng.choice(["\r\n", "\r", "\n\n", ";"]))],
            [text.replace(",", rng.choice([";", "\t", ",,"]))],
        ]
        text = "".join(rng.choice(ways))
    encoded = text.encode(rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]), "replace")
    return encoded if rng.random() < 0.9 else encoded[: rng.randrange(len(encoded) + 1)]
