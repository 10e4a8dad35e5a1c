"""Draw the picture of docs/uncertainty.md: which classes and images a repetition of the study draws anew, by scope.

python -m docs.tools.scopes docs/images
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

STYLE = """text { font: 14px sans-serif; fill: #1f2328 } .muted { fill: #656d76 } .title { font-weight: bold }
rect { fill: none; stroke: #8d96a0 } circle { fill: #0072b2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .muted { fill: #8d96a0 } circle { fill: #56b4e9 } }"""
ROWS = ("this study", "repeated", "repeated")
CLASSES, BOX, GAP, PANEL = 4, 56, 10, 400
"""Classes of a study, and the sizes in pixels of a class's box, between boxes, and of the picture of one scope."""


def row(left: float, top: float, names: str, seed: int) -> Iterator[str]:
    """Yield one study: a box for each unseen class, and a dot for each of its images."""
    for number, name in enumerate(names):
        x, random = left + number * (BOX + GAP), Random(f"{name} {seed}")
        yield f'<rect x="{x}" y="{top}" width="{BOX}" height="{BOX}" rx="4"/>'
        yield f'<text x="{x + 5}" y="{top + 16}">{name}</text>'
        for _ in range(7):
            yield f'<circle cx="{x + random.uniform(8, 48):.0f}" cy="{top + random.uniform(22, 50):.0f}" r="2.5"/>'


def draw() -> str:
    """Draw both scopes beside each other, as SVG for light and dark pages."""
    anew, same = ("ABCD", "EFGH", "IJKL"), ("ABCD",) * len(ROWS)
    panels = {
        "over classes": ("other classes, retrained", anew),
        "over images": ("other images of the same classes", same),
    }
    parts = []
    for panel, (title, (what, studies)) in enumerate(panels.items()):
        left = panel * (PANEL + 20)
        parts += [
            f'<text class="title" x="{left}" y="16">{title}</text>',
            f'<text class="muted" x="{left + 100}" y="16">{what}</text>',
        ]
        for number, (label, names) in enumerate(zip(ROWS, studies, strict=True)):
            top = 30 + number * (BOX + GAP)
            parts.append(f'<text class="muted" x="{left}" y="{top + BOX / 2 + 5}">{label}</text>')
            parts += row(left + 90, top, names, number)
    size = f'viewBox="0 0 {2 * PANEL + 20} {30 + len(ROWS) * (BOX + GAP)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write scopes.svg into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder")
    (parser.parse_args(arguments).images / "scopes.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
