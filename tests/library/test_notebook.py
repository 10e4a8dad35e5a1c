"""The notebook of docs/examples runs, and shows a table and a chart."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.workflow import ROOT


@pytest.mark.filterwarnings("ignore")  # of the Jupyter libraries
def test_the_notebook_shows_a_verdict_a_table_and_a_chart(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(ROOT / "docs" / "examples" / "score.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    score, gain, chart = (cell["outputs"][-1]["data"] for cell in notebook.cells if cell["cell_type"] == "code")
    assert "choosing pays" in score["text/html"]
    assert "<table" in score["text/html"]
    assert "retrieval" in gain["text/plain"]
    assert chart["application/vnd.vegalite.v5+json"]["data"]["values"][1]["layer"] == "middle"
