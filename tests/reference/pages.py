"""Marked regions of pages, which a command writes."""

import re


def fill(text: str, name: str, content: str) -> str:
    """Put content between the marks of one region.

    Raises:
        ValueError: the page does not have the marks exactly once.
    """
    begin, end = f"<!-- {name}: written by `make docs` -->", f"<!-- end of {name} -->"
    filled, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n\n{content.strip()}\n\n{end}",
        text,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"the page must have {begin} ... {end} once, found {count}")
    return filled


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Write a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ("---",) * len(head), *rows])


def code(text: str) -> str:
    """Write a text as code; nothing of an empty one."""
    return f"`{text}`" if text else ""
