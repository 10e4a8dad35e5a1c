"""Take README's pictures of the default study after `make repro EXACT=1`: the top of the page, and a figure.

python -m docs.tools.study_pictures docs/images
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

from docs.tools.sources import ROOT, label

RESULTS = ROOT / "data" / "results"
WIDTH, HEIGHT = 1280, 1060
"""Of the window, in CSS pixels; taken at twice as many."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write report.png and depth_handwriting.png into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="the folder")
    args = parser.parse_args(arguments)
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=2)
        page.goto((RESULTS / "report.html").as_uri())
        page.locator(".chart svg.marks").nth(1).wait_for()
        page.screenshot(path=args.images / "report.png")
        browser.close()
    figure = RESULTS / "figures" / "depth-handwriting-efficientnet_lite0.png"
    shutil.copyfile(figure, args.images / "depth_handwriting.png")
    for name in ("report", "depth_handwriting"):
        label(args.images / f"{name}.png", RESULTS / "metrics.json")


if __name__ == "__main__":
    main()
