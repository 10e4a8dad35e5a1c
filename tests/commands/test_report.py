import webbrowser

import pytest
from click.testing import CliRunner

from stages.aggregate.result_files import finish_results
from stages.commands.results import report
from stages.shared.runtime.errors import UserError


@pytest.fixture
def page(tmp_path):
    (tmp_path / "report.html").write_text("<!doctype html>")
    finish_results(tmp_path)
    return tmp_path / "report.html"


def run(*arguments):
    return CliRunner().invoke(report, [*map(str, arguments)], catch_exceptions=False).stdout


def test_it_names_the_page(page):
    assert run(page.parent) == f"{page}\n"


def test_open_opens_it_in_the_browser(page, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not opened.append(address))
    assert run(page.parent, "--open") == f"{page}\n"
    assert opened == [page.as_uri()]


def test_without_a_browser_it_says_so(page, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    with pytest.raises(UserError, match="found no browser on this machine"):
        run(page.parent, "--open")


def test_without_a_page_it_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match=r"report\.html: must be .* found no file; run `dvc repro`"):
        run(tmp_path)


def test_a_damaged_page_is_not_opened(page):
    page.write_text("<!doctype htmk>")
    with pytest.raises(UserError, match=r"report\.html: must be as .* wrote it, found different content"):
        run(page.parent)
