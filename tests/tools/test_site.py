"""The site: every page is in its navigation, and links lead to where pages stand there."""

import re
import tomllib

import nbformat
import pytest

from docs.tools.site import API, CONFIG, place, read_nav, write_config, write_notebook, write_page
from tests.workflow import ROOT


def test_every_page_is_in_the_navigation_once():
    pages = [page for _, names in read_nav(ROOT) for page in names]
    assert sorted(pages) == sorted({*pages})
    assert {*pages} >= {str(path.relative_to(ROOT)) for path in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]}
    assert all((ROOT / page).is_file() for page in pages)
    assert len({place(page) for page in pages} - {API}) == len(pages)


@pytest.fixture
def small(tmp_path):
    files = {
        "README.md": "![a](docs/images/a.png) [b](docs/b.md#part) [c](docs/c/README.md) [code](run.py) `[d](b.md)`",
        "docs/README.md": "See [b](b.md).\n\n| **Notes** | |\n| [c](c/README.md) | |\n| **How** | |\n| [b](b.md) | |\n",
        "docs/b.md": '# B\n\n[up](../README.md) <img src="images/a.png">\n\n```\n[x](y.md)\n```\n[own](#part)',
        "docs/c/README.md": "# C\n\n[b](../b.md), [all](..), [report](r.html)\n",
        "docs/images/a.png": "",
        "docs/c/r.html": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_sections_are_those_of_the_index(small):
    assert read_nav(small) == [
        ("Home", ["README.md", "docs/README.md"]),
        ("Notes", ["docs/c/README.md"]),
        ("How", ["docs/b.md"]),
    ]


@pytest.mark.parametrize(
    ("page", "address", "text"),
    [
        ("README.md", None, "![a](images/a.png) [b](b.md#part) [c](c/index.md) code `[d](b.md)`"),
        ("docs/b.md", None, '# B\n\n[up](index.md) <img src="images/a.png">\n\n```\n[x](y.md)\n```\n[own](b.md#part)'),
        ("docs/c/README.md", "https://h/o/n", "# C\n\n[b](../b.md), [all](../pages.md), [report](r.html)\n"),
    ],
)
def test_links_lead_to_pages_pictures_and_the_repository(small, page, address, text):
    sections = [("Home", ["README.md", "docs/README.md", "docs/b.md", "docs/c/README.md"])]
    write_page(small, small / "out", page, sections, address)
    assert (small / "out" / place(page)).read_text() == text
    for copied in re.findall(r"\b[ar]\.(?:png|html)", text):
        assert [*(small / "out").rglob(copied)]


def test_a_link_to_code_leads_to_the_repository_if_its_address_is_known(small):
    write_page(small, small / "out", "README.md", [("Home", ["README.md"])], "https://h/o/n")
    assert "[code](https://h/o/n/blob/main/run.py)" in (small / "out" / "index.md").read_text()


RESULT = nbformat.v4.new_output("execute_result", {"text/plain": "42"}, execution_count=1)


def test_a_notebook_is_a_page_with_its_results(tmp_path):
    pytest.importorskip("nbconvert")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("6 * 7", outputs=[RESULT])])
    nbformat.write(notebook, tmp_path / "n.ipynb")
    write_notebook(tmp_path, tmp_path / "out", "n.ipynb")
    assert "    42\n" in (tmp_path / "out" / "n.md").read_text()


def test_the_configuration_is_valid_and_asks_no_other_site(tmp_path):
    write_config(tmp_path / "zensical.toml", read_nav(ROOT), "https://h/o/n")
    project = tomllib.loads((tmp_path / "zensical.toml").read_text())["project"]
    assert [title for entry in project["nav"] for title in entry] == [title for title, _ in read_nav(ROOT)]
    assert project["repo_url"] == "https://h/o/n"
    assert (project["theme"]["font"], "inventories" in CONFIG.read_text()) == (False, False)
    assert re.search(rf"\b{API}\b", str(project["nav"]))
