"""Draws figures as files do, and reads from the SVG what was drawn."""

import re
from html import unescape

from stages.aggregate.charts.frame import WIDTH, draw_svg

MARK = re.compile(
    r'<(?:path|line|text) aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="([^"]*)"([^>]*)>'
)
TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


class Drawing:
    """One figure, drawn.

    Attributes:
        spec: its specification.
        svg: the file.
        marks: what each mark that has data says of itself, with its kind and attributes.
        texts: everything that is written.
    """

    def __init__(self, spec):
        self.spec, self.svg = spec, draw_svg(spec)
        self.marks = [Mark(*map(unescape, found)) for found in MARK.findall(self.svg)]
        self.texts = [unescape(text) for text in TEXT.findall(self.svg)]
        self.message, self.caption = (
            unescape(re.search(f"<{tag}>(.*?)</{tag}>", self.svg)[1]) for tag in ("title", "desc")
        )
        self.message = self.message.replace("\N{NO-BREAK SPACE}", " ")
        # Two columns of a page wide, and no text under 9 px where a page shows it 830 px wide.
        assert float(re.search(r'width="([\d.]+)"', self.svg)[1]) <= 1.02 * WIDTH
        assert min(map(float, re.findall(r'font-size="([\d.]+)px"', self.svg))) >= 5.5

    def points(self, **match):
        """The values of the dots, those alone whose attributes are as asked."""
        return [mark.values for mark in self.marks if mark.kind == "point" and mark.has(match)]

    def rules(self, **match):
        return [mark.values for mark in self.marks if mark.kind == "rule mark" and mark.has(match)]

    def rings(self):
        return [mark.values for mark in self.marks if mark.kind == "point" and "fill" not in mark.attributes]


class Mark:
    """A mark: its kind, the values that its label gives, and its attributes."""

    def __init__(self, label, kind, attributes):
        self.kind, self.attributes = kind, dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
        pairs = (part.split(": ", 1) for part in label.split("; ") if ": " in part)
        self.values = {name: number(value) for name, value in pairs}

    def has(self, match):
        return all(self.attributes.get(name.replace("_", "-")) == value for name, value in match.items())


def number(text):
    try:
        return float(text.replace("−", "-"))
    except ValueError:
        return text
