import json
import re
from dataclasses import replace
from html import unescape

import pytest

from stages.aggregate.charts import theme
from stages.aggregate.charts.draw import make_figures
from stages.aggregate.render.page.page import HERE, render_page, script_hash, vega_bundle
from stages.aggregate.words.findings import finding_texts
from stages.aggregate.words.page_texts import answer, findings
from tests.aggregate.render.page.made import HOSTILE, METRICS, made_study

SCRIPT = re.compile(r"<script([^>]*)>(.*?)</script>", flags=re.S)


@pytest.fixture(scope="module")
def text(page_file):
    return page_file.read_text(encoding="utf-8")


def test_the_same_study_gives_the_same_bytes(study, text):
    assert render_page(study) == text
    facts = replace(study.results.facts, no_joins=True)
    assert "Joins of layers were not compared" in render_page(
        replace(study, results=replace(study.results, facts=facts))
    )


def test_three_scripts_stand_in_it_once_and_the_policy_names_two_of_them(text):
    scripts = SCRIPT.findall(text)
    assert [attributes for attributes, _ in scripts] == [' type="application/json" id="data"', "", ""]
    assert scripts[1][1] == vega_bundle()
    assert text.count(vega_bundle()[:200]) == 1
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1])
    hashes = " ".join(script_hash(script) for _, script in scripts[1:])
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"


def test_nothing_in_it_points_elsewhere(text):
    page = SCRIPT.sub("", text)
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:|#)|url\(|@import""", page)


def test_its_data_are_json_and_no_name_in_it_is_markup(text):
    data = json.loads(SCRIPT.findall(text)[0][1])
    assert HOSTILE in data["classes"]["label"]
    assert list(data["metrics"]) == ["nmi", "ami", "knn_purity", "nn1_accuracy"]
    assert len(data["metrics"]) == len(METRICS)
    assert text.count("alert(1)") == text.count("\\u003cscript\\u003ealert(1)\\u003c/script\\u003e") > 0


def test_the_answers_the_findings_and_every_definition_are_readable_without_scripts(study, text):
    page = unescape(SCRIPT.sub("", text))
    for found in study.results.facts.of_use():
        assert page.count(f"{answer(study.results.facts.of_use(found.use))}</span>") == 1
    words = re.sub("</?code>", "`", page)
    assert all(told in words for found in study.results.facts.of_use() for told in findings(found))
    for finding in finding_texts(study.results.facts.findings).values():
        assert all(text in words for texts in finding.details.values() for text in texts)
        assert all(summary in words for summary in finding.summaries.values())
    data = json.loads(SCRIPT.findall(text)[0][1])
    assert all(metric["definition"] in page for metric in data["metrics"].values())


def test_more_networks_than_fit_are_one_click_away(study, monkeypatch):
    monkeypatch.setattr("stages.aggregate.words.page_texts.SHOWN_CARDS", 1)
    uses = {each.use for each in study.results.facts.of_use()}
    assert render_page(study).count("<summary>1 more networks<") == 2 * len(uses)  # their cards, their findings


def test_without_pictures_there_is_no_place_for_them(study):
    page = render_page(replace(study, thumbnails={}, galleries={}))
    assert 'data-chart="projection"' not in page
    assert 'class="gallery"' not in page


def test_frozen_networks_have_no_training(tmp_path, text):
    frozen = made_study(tmp_path, frozen=True)
    assert not any(name.startswith("steps") for name in make_figures(frozen.results, frozen.run.models))
    words = re.compile(r"step\b|training\b|fine-tun|trained again", re.IGNORECASE)
    pages = [re.sub("<pre.*?</pre>", "", SCRIPT.sub("", page), flags=re.S) for page in (text, render_page(frozen))]
    shown = [words.findall(page.split('<h2 id="definitions">')[0].replace('name="step"', "")) for page in pages]
    assert [len(found) > 10 for found in shown] == [True, False]
    assert shown[1] == []


def test_the_pages_colours_are_the_figures():
    css = (HERE / "page.css").read_text().upper()
    assert f"--UNSEEN: {theme.BLUE.upper()}" in css
    assert f"--UNSEEN: {theme.SKY.upper()}" in css
