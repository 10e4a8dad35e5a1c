import base64
import re
import webbrowser

import pandas as pd
import pytest
from click.testing import CliRunner

from stages.aggregate.charts.theme import PALE
from stages.aggregate.facts import Facts, finish_results, write_facts
from stages.aggregate.tables.score_tables import DEPTH_COLUMNS
from stages.commands.results import report
from stages.shared.runtime.errors import UserError
from tests.aggregate.charts.drawing import MARK, Mark
from tests.aggregate.networks import evidence, network
from tests.aggregate.recommended import recommendation


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
    with pytest.raises(UserError, match=r"report\.html: must be .* found no file; run `make repro`"):
        run(tmp_path)


def test_a_damaged_page_is_not_opened(page):
    page.write_text("<!doctype htmk>")
    with pytest.raises(UserError, match=r"report\.html: must be as the aggregate stage wrote it, found other content"):
        run(page.parent)


def test_out_is_of_two_studies(page, tmp_path):
    with pytest.raises(UserError, match="--out: names the page of two studies, found one alone; name the other"):
        run(page.parent, "--out", tmp_path / "one.html")


def study(folder, *models, score, at=4, normalize="none", **best):
    """Results of networks that were measured by NMI at nine layers; the score is that at depth `at`."""
    told = [recommendation(model=model, normalize=normalize) for model in models]
    told = [each.model_copy(update={"best": each.best.model_copy(update=best)}) for each in told]
    write_facts(folder, Facts(told, [evidence(*map(network, models))]))
    rows = [
        {"dataset": "handwriting", "model": model, "fold": "mean", "pooling": "mean", "metric": "nmi", "depth": depth}
        | {"split": "unseen", "step": 100, "relative_depth": depth / 8, "layer": f"l{depth}"}
        | {"value": score - 0.01 * abs(depth - at), "sd": 0.05}
        for model in models
        for depth in range(9)
    ]
    pd.DataFrame(rows, columns=list(DEPTH_COLUMNS)).assign(better="higher").to_csv(folder / "depth.csv", index=False)
    (folder / "report.html").write_text("<!doctype html>")
    finish_results(folder)


def test_two_studies_stand_on_one_page(tmp_path):
    for name, models, score in (("before", ["a", "<b>"], 0.25), ("after", ["a"], 0.75)):
        (tmp_path / name).mkdir()
        study(tmp_path / name, *models, score=score)
    out = tmp_path / "both.html"
    assert run(tmp_path / "before", "--against", tmp_path / "after", "--out", out) == f"{out}\n"
    page = out.read_text(encoding="utf-8")
    assert page.count("handwriting: take, of a at step 100") == 2
    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', page)
    assert [row.count("<td>5/9</td><td>100</td>") for row in rows] == [2, 1]
    assert "&lt;b&gt;" in rows[1]
    assert "<b>" not in page
    assert 'class="beside"' not in page  # two verdicts of 80 columns are wider than the page
    drawn = base64.b64decode(re.search(r"svg\+xml;base64,([^\"]+)", page)[1]).decode()
    values = {float(value) for value in re.findall(r"value: (0\.[\d]+); line", drawn)}
    assert {0.25, 0.75, 0.21, 0.71} <= values
    assert "default-src 'none'; img-src data:" in page
    with pytest.raises(UserError, match=r"both\.html: must not exist"):
        run(tmp_path / "before", "--against", tmp_path / "after", "--out", out)


def test_scores_of_other_rows_do_not_stand_beside_each_other(tmp_path):
    for normalize in ("none", "l2"):
        (tmp_path / normalize).mkdir()
        study(tmp_path / normalize, "a", score=0.5, normalize=normalize)
    out = tmp_path / "both.html"
    run(tmp_path / "none", "--against", tmp_path / "l2", "--out", out)
    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', out.read_text(encoding="utf-8"))
    assert [row.count("<td>5/9</td>") for row in rows] == [1, 1]


def test_a_study_that_was_kept_without_its_page_or_scores_by_layer_is_compared(tmp_path):
    study(tmp_path, "a", score=0.5)
    for name in ("report.html", "digests.json"):
        (tmp_path / name).unlink()
    out = tmp_path / "both.html"
    assert run(tmp_path, "--against", tmp_path, "--out", out) == f"{out}\n"
    out.unlink()
    header, *_ = (tmp_path / "depth.csv").read_text().splitlines()
    (tmp_path / "depth.csv").write_text(f"{header}\n")
    assert run(tmp_path, "--against", tmp_path, "--out", out) == f"{out}\n"
    assert "handwriting: take, of a at step 100" in out.read_text(encoding="utf-8")


def test_the_chart_of_two_studies_shows_what_is_known_at_its_step(tmp_path):
    """Neither a deviation as an interval, nor unknown ties as ties, nor the best layer of another step."""
    study(tmp_path, "a", score=0.5, at=6, step=0)
    out = tmp_path / "both.html"
    run(tmp_path, "--against", tmp_path, "--out", out)
    page = out.read_text(encoding="utf-8")
    assert page.count("<td>5/9</td><td>0</td>") == 2
    drawn = base64.b64decode(re.search(r"svg\+xml;base64,([^\"]+)", page)[1]).decode()
    marks = [Mark(*found) for found in MARK.findall(drawn)]
    dots = [mark for mark in marks if mark.kind == "point"]
    assert {mark.values["x"] for mark in dots if "fill" not in mark.attributes} == {6 / 8}
    assert {mark.attributes["fill"] for mark in dots if "fill" in mark.attributes} == {PALE}
    assert not any(mark.kind == "rule mark" for mark in marks)
