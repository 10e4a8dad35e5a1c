"""Measure where things stand on README, drawn by Chromium as wide as GitHub shows it in a window of 1280 pixels.

python -m docs.tools.pixels               # the first command, the verdict and the end of the page, in pixels
python -m docs.tools.pixels --width 326   # the same on a phone of 390 pixels
"""

import argparse
import shutil
from collections.abc import Sequence

from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

from docs.tools.sources import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COLUMN = 832
"""Width of the text of a repository's page in a window of 1280 pixels."""
STYLE = """
body { margin: 0; width: %dpx; font: 16px/1.5 sans-serif; overflow-wrap: break-word }
h1 { font-size: 2em; margin: 0 0 16px; padding-bottom: .3em; line-height: 1.25; border-bottom: 1px solid }
h2 { font-size: 1.5em; margin: 24px 0 16px; padding-bottom: .3em; line-height: 1.25; border-bottom: 1px solid }
p, ul, ol, pre, table { margin: 0 0 16px }
ul, ol { padding-left: 2em }
li + li { margin-top: .25em }
img { max-width: 100%% }
pre, code { font: 13.6px/1.45 monospace }
pre { padding: 16px; overflow: auto }
table { border-collapse: collapse; display: block; overflow: auto }
td, th { padding: 6px 13px; border: 1px solid }
"""
PLACES = {"first command": "pre", "verdict": "pre:has-text('gain over last')", "end": "#end"}
"""Selectors by what is measured."""


def measure(width: int = COLUMN) -> dict[str, int]:
    """Return the upper end in pixels of each of `PLACES` on README.

    Args:
        width: of the column of text, in pixels.
    """
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render((ROOT / "README.md").read_text("utf-8"))
    page_html = f"<base href='{ROOT.as_uri()}/'><style>{STYLE % width}</style>{html}<p id='end'></p>"
    file = ROOT / ".cache" / "readme.html"
    file.parent.mkdir(exist_ok=True)
    file.write_text(page_html, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=next(filter(None, map(shutil.which, BROWSERS))), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto(file.as_uri())
        tops = {name: page.locator(place).first.bounding_box() for name, place in PLACES.items()}
        browser.close()
    return {name: round(box["y"]) for name, box in tops.items() if box}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the places."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=COLUMN, help="of the column of text, in pixels")
    for name, top in measure(parser.parse_args(arguments).width).items():
        print(f"{top:6,} px  {name}")


if __name__ == "__main__":
    main()
