"""The notebooks of docs/examples are stored with their results, and run anew."""

import ast

import nbformat
import pytest
from nbclient import NotebookClient

from tests.workflow import ROOT


@pytest.mark.parametrize("name", ["score", "explore"])
def test_a_notebook_is_stored_with_its_tables_and_pictures(name):
    text = (ROOT / "docs" / "examples" / f"{name}.ipynb").read_text()
    cells = [cell for cell in nbformat.reads(text, as_version=4).cells if cell["cell_type"] == "code"]
    kinds = [kind for cell in cells for output in cell["outputs"] for kind in output.get("data", {})]
    assert kinds.count("image/png") == 2
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert str(ROOT) not in text


def run_notebook(name, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(ROOT / "docs" / "examples" / name, as_version=4)
    stored = [cell["outputs"][-1]["data"] for cell in notebook.cells if cell.get("outputs")]
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}}).execute()
    return [cell for cell in notebook.cells if cell["cell_type"] == "code"], stored


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the Jupyter libraries
def test_the_notebook_shows_a_verdict_a_table_and_a_chart(tmp_path, monkeypatch):
    cells, stored = run_notebook("score.ipynb", tmp_path, monkeypatch)
    anew = [cell["outputs"][-1]["data"] for cell in cells]
    assert [first_line(data) for data in anew] == [first_line(data) for data in stored]
    assert "take blocks.3 for classifier and retrieval: choosing pays" in anew[1]["text/plain"]


def first_line(data):
    """Of a verdict the answer, of a table the names of columns; digits differ between processors."""
    return data["text/plain"].partition("\n")[0]


@pytest.mark.filterwarnings("ignore")  # of the Jupyter libraries
def test_a_folder_becomes_a_search_index_in_ten_lines(tmp_path, monkeypatch):
    (_, made, found), _ = run_notebook("search.ipynb", tmp_path, monkeypatch)
    assert len([line for line in made["source"].splitlines() if line]) <= 10
    told = made["outputs"][-1]["data"]["text/plain"]
    assert told.startswith("For retrieval take ")
    classes, *rows = (ast.literal_eval(line) for line in found["outputs"][-1]["text"].splitlines())
    right = [label == str(digit) for digit, row in zip(classes, rows, strict=True) for label in row]
    assert sum(right) > 15  # of 25
