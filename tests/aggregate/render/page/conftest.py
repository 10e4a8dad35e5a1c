import os
import shutil
from pathlib import Path

import pytest

from stages.aggregate.render.page.page import render_page
from tests.aggregate.render.page.made import made_study

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "these tests open the page in Chromium, which is not installed: `apt-get install chromium` (Debian, Ubuntu)"


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    return made_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def page_file(study, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render_page(study), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium; where it is missing the tests are skipped, under WHICHLAYER_NEEDS_BROWSER they fail."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        (pytest.fail if os.environ.get("WHICHLAYER_NEEDS_BROWSER") else pytest.skip)(INSTALL)
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install '.[dev]'")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()
