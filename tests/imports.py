"""What a file of stages/ imports, by dotted name: relative imports are resolved."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imports(path: Path, nodes: Iterator[ast.AST] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Yield every module that is imported, also inside functions, and the names that are taken from it."""
    for node in nodes or ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parent.parts[: -node.level + 1 or None] if node.level else ()
            yield ".".join([*package, *([node.module] if node.module else [])]), [each.name for each in node.names]


def dotted_names(path: Path) -> set[str]:
    """Return every module, and every name with its module, that a file imports."""
    return {name for module, taken in imports(path) for name in (module, *(f"{module}.{each}" for each in taken))}
