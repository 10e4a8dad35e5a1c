"""Params files that are wrong, made from a right one: its values, its keys and its text."""

import copy
import random
from collections.abc import Callable
from typing import Any

NASTY: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, -(10**30), 0.0, -0.0, 0.5, 1e-320, 1e300),
    *(float("inf"), float("-inf"), float("nan"), "", " ", "0", "null", "all", "default", "none", "x" * 10_000),
    *("\x1b[31mred\x1b[0m", "a\rb", "a\nerror: fine", "\0", "\u202egnp", "../../etc/passwd", "/dev/zero", "C:\\x"),
    *("hf-hub:evil/x", "local-dir:/tmp", "https://evil.org/x", "<script>alert(1)</script>", "$\\input{x}$", "%s{0}"),
    *("=cmd|' /C calc'!A0", "$(id)", "`id`", "é" * 200, "🦉", "\ud800"),
    *([], [[]], {}, [None], [1, 1], ["a", "a"], [{}], {"": None}, {"a": {"b": {"c": []}}}, list(range(3000))),
]
"""Values that some parser, type, file system, terminal or document takes for something else."""

NASTY_KEYS: list[Any] = [
    *("", " ", "a.b", "\x1b[31m", "a\nb", "x" * 1000, "__class__", "checkpoint_path", "pretrained"),
    *("trust_remote_code", "weights", "config", "path", "seed", "steps", 1, None, True, 1.5),
]

TOKENS = [
    *("&a ", "*a", "!!int ", "!!bool x", "!!python/object:os.system", "!x ", "<<: *a", "---\n", "...\n", "- ", "? "),
    *(": ", "@", "%%"),
    *("{", "}", "[", "]", ",", "#", "|\n", ">\n", "%YAML 1.1\n", "\t", "\r", "\0", "'", '"', "2020-99-99", "1e999"),
    *("0x" + "F" * 5000, "9" * 5000, "[" * 5000, "{a: " * 200, "1:60:60", ".nan", "~", "\ufeff", "\u2028", "é"),
]
"""What means something in YAML, or looks like it."""


def mutated(content: dict[str, Any], seed: int) -> dict[str, Any]:
    """Change one to three values or keys of a params file's plain values, each somewhere."""
    rng = random.Random(seed)
    changed = copy.deepcopy(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        parent, key = rng.choice(_places(changed))
        rng.choice(_changes(rng, changed, parent, key))()
    return changed


def mutated_text(text: str, seed: int) -> str:
    """Change a params file's text in one to three places."""
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 1, 2, 3])):
        start = rng.randrange(len(text) + 1)
        stop = min(len(text), start + rng.choice([0, 1, 3, 30]))
        lines = text.splitlines(keepends=True)
        line = rng.randrange(len(lines) or 1)
        ways = [
            text[:start] + rng.choice(TOKENS) + text[stop:],
            text[:start] + text[stop:],
            text[:start] + chr(rng.randrange(1, 0x300)) + text[stop:],
            "".join([*lines[:line], *lines[line : line + 1] * 2, *lines[line + 1 :]]),
            "".join([*lines[:line], "  ", *lines[line:]]),
            "".join([*lines[:line], *lines[line + 1 :]]),
        ]
        text = rng.choice(ways)
    return text


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every value, as what holds it and its key or index."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
    return [place for key in keys for place in [(node, key), *_places(node[key])]] or [({"": 0}, "")]


def _changes(rng: random.Random, tree: Any, parent: Any, key: Any) -> list[Callable[[], Any]]:
    other, other_key = rng.choice(_places(tree))
    nasty, name = copy.deepcopy(rng.choice(NASTY)), rng.choice(NASTY_KEYS)
    changes: list[Callable[[], Any]] = [
        lambda: parent.__setitem__(key, nasty),
        lambda: parent.__setitem__(key, nasty),
        lambda: parent.__delitem__(key),
        lambda: parent.__setitem__(key, copy.deepcopy(other[other_key])),
        lambda: parent.__setitem__(key, [parent[key]]),
        lambda: parent.__setitem__(key, str(parent[key])),
    ]
    if isinstance(parent, dict):
        changes += [lambda: parent.__setitem__(name, nasty), lambda: parent.__setitem__(name, parent.pop(key))]
    return changes
