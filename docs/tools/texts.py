"""Gather the texts that code prints: errors, help, verdicts, summary.md and the page, and the library's docstrings.

A printed text is a string of three words or more anywhere in `stages`. The docstrings of commands are their `--help`.
`X` stands for values that a template fills in.
"""

import ast
import inspect
import re
from collections.abc import Iterator

import stages.library
from docs.tools.sources import ROOT
from stages.library import representing

STAGES = ROOT / "stages"
SHORTEST = 3
"""Words of a printed text, at least: shorter ones are keys, headings and names."""


def printed() -> str:
    """Return the texts that commands, errors, verdicts and the page print, as paragraphs."""
    code = [text for path in sorted(STAGES.rglob("*.py")) for text in _strings(ast.parse(path.read_text("utf-8")))]
    texts = [*code, *_page()]
    return "\n\n".join(text for text in texts if len(re.findall(r"[A-Za-z]{2,}", text)) >= SHORTEST and " " in text)


def public() -> str:
    """Return the docstrings of the names that `import whichlayer` gives, and of their public parts."""
    names = [name for name in dir(stages.library) if name in PUBLIC]
    objects = [getattr(stages.library, name) for name in names] + [getattr(representing, name) for name in REPRESENTING]
    parts = [part for each in objects if inspect.isclass(each) for part in _parts(each)]
    return "\n\n".join(filter(None, map(inspect.getdoc, [stages.library, *objects, *parts])))


PUBLIC = ("Chart", "Recommendation", "Result", "UserError", "choose_representation", "embed", "score")
REPRESENTING = ("Representation", "RepresentationChoice")


def _parts(each: type) -> list[object]:
    return [
        part
        for name, part in vars(each).items()
        if not name.startswith("_") and (callable(part) or isinstance(part, property))
    ]


def _strings(tree: ast.Module) -> Iterator[str]:
    """Yield a module's strings without docstrings, except those of commands."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        text = _text(node)
        if text is not None:
            yield text
        is_command = isinstance(node, ast.FunctionDef) and any(
            "command" in ast.dump(each) for each in node.decorator_list
        )
        for child in ast.iter_child_nodes(node):
            is_docstring = isinstance(child, ast.Expr) and _text(child.value) is not None
            part = isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)
            if not part and (is_command or not is_docstring):
                stack.append(child)


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _page() -> Iterator[str]:
    """Yield the texts of the page's template, and of its scripts."""
    folder = STAGES / "aggregate" / "render" / "page"
    for template in sorted(folder.glob("*.j2")):
        text = re.sub(r"\{\{.*?\}\}", "X", re.sub(r"\{%.*?%\}", "", template.read_text("utf-8"), flags=re.DOTALL))
        yield from re.split(r"\n|<[^>]*>", text)
    for script in sorted((folder / "js").glob("*.js")):
        found = re.findall(r'"([^"\n]*)"|`([^`]*)`', script.read_text("utf-8"))
        yield from (re.sub(r"\$\{.*?\}", "X", one or other) for one, other in found)
