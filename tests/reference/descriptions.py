"""What the code says of its parameters and columns: the `Attributes:` of docstrings, of classes and of constants."""

import ast
import inspect
import re
from collections.abc import Mapping
from itertools import pairwise
from types import ModuleType

Descriptions = Mapping[str, str]
"""Names as a docstring groups them, joined by `, ` -> what they mean."""

ENTRY = re.compile(r"^ {4}(\w+(?:, \w+)*): (.+(?:\n {8,}\S.*)*)", flags=re.M)


def attributes(docstring: str | None) -> dict[str, str]:
    """Take apart the `Attributes:` of a docstring; none of one without."""
    _, found, text = inspect.cleandoc(docstring or "").partition("Attributes:\n")
    return {names: as_markdown(meaning) for names, meaning in ENTRY.findall(text)} if found else {}


def as_markdown(text: str) -> str:
    """Write a docstring's text in one line, for a cell of a table in docs/; the pages that it names become links."""
    line = " ".join(text.split()).replace("|", r"\|").removesuffix(".")
    return re.sub(r"docs/([\w/-]+\.md)(#[\w-]+)?", lambda page: f"[{page[1]}]({page[0].removeprefix('docs/')})", line)


def of_class(model: type) -> dict[str, str]:
    """Descriptions of a class's attributes; those of its bases come after its own."""
    found: dict[str, str] = {}
    for cls in model.__mro__:
        if not cls.__module__.startswith("pydantic"):
            found |= {names: text for names, text in attributes(cls.__doc__).items() if names not in found}
    return found


def of_constant(module: ModuleType, name: str) -> dict[str, str]:
    """Descriptions of a constant's keys: of the string that follows its assignment.

    Raises:
        LookupError: the module assigns no such constant, or no string follows.
    """
    body = ast.parse(inspect.getsource(module)).body
    for node, following in pairwise(body):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    return attributes(text)
    raise LookupError(f"{module.__name__}.{name} has no string after it that describes its keys")


def group_of(name: str, descriptions: Descriptions) -> tuple[str, ...]:
    """Find the names that are described together with `name`, in the order of the docstring.

    Raises:
        LookupError: none describes it.
    """
    for names in descriptions:
        if name in names.split(", "):
            return tuple(names.split(", "))
    raise LookupError(f"no docstring describes `{name}`; add it to `Attributes:`")
