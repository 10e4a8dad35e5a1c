"""The notebooks of docs/examples run: one shows a table and a chart, one makes a search index of a folder."""

import ast

import nbformat
import pytest
from nbclient import NotebookClient

from tests.workflow import ROOT


def run_notebook(name, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(ROOT / "docs" / "examples" / name, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    return notebook


@pytest.mark.filterwarnings("ignore")  # of the Jupyter libraries
def test_the_notebook_shows_a_verdict_a_table_and_a_chart(tmp_path, monkeypatch):
    notebook = run_notebook("score.ipynb", tmp_path, monkeypatch)
    score, gain, chart = (cell["outputs"][-1]["data"] for cell in notebook.cells if cell["cell_type"] == "code")
    assert "choosing pays" in score["text/html"]
    assert "<table" in score["text/html"]
    assert "retrieval" in gain["text/plain"]
    assert chart["application/vnd.vegalite.v5+json"]["data"]["values"][1]["layer"] == "middle"


@pytest.mark.filterwarnings("ignore")  # of the Jupyter libraries
def test_a_folder_becomes_a_search_index_in_ten_lines(tmp_path, monkeypatch):
    notebook = run_notebook("search.ipynb", tmp_path, monkeypatch)
    _, made, found = (cell for cell in notebook.cells if cell["cell_type"] == "code")
    assert len([line for line in made["source"].splitlines() if line]) <= 10
    told = made["outputs"][-1]["data"]["text/plain"]
    assert told.startswith("For retrieval take ")
    classes, *rows = (ast.literal_eval(line) for line in found["outputs"][-1]["text"].splitlines())
    right = [label == str(digit) for digit, row in zip(classes, rows, strict=True) for label in row]
    assert sum(right) > 15  # of 25
