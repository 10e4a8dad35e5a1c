"""The paper on this software: its numbers are those of the recorded data, and its references exist."""

import json
import re

import pytest
from ruamel.yaml import YAML

from docs.study import kinds, sentences, tables
from tests.workflow import ROOT

FOLDER = ROOT / "docs" / "joss"
TEXT = (FOLDER / "paper.md").read_text()
HEAD, BODY = TEXT.split("---\n", 2)[1:]
PROSE = re.sub(r"^\|.*\n", "", BODY, flags=re.M)
RUNS = json.loads((ROOT / "docs" / "default-study" / "runs.json").read_text())
FROZEN = tables.read_scores("frozen.csv")


def gains(use: str, rule: str) -> dict[tuple[str, str], float]:
    curves = tables.curves_of(FROZEN, tables.USES[use], "unit")
    return {pair: tables.RULES[rule](each) for pair, each in curves.items()}


@pytest.mark.parametrize("use", tables.USES)
def test_the_table_has_the_gains_of_the_recorded_scores(use: str):
    (row,) = re.findall(rf"^\| (?:OOD )?{use} \(.*$", BODY, flags=re.M)
    expected = [tables.bracketed(*tables.over_datasets(gains(use, rule))) for rule in ("last", "one before")]
    assert [cell.strip() for cell in row.split("|")[2:4]] == expected


def test_the_steps_are_those_of_the_study():
    means = kinds.kind_gains("map_at_r")
    for name, gains_of in (("mean of eight kinds", means.mean()), ("photos", means.loc["photos"])):
        assert f"| {name} | {' | '.join(map(tables.signed, gains_of))} |" in BODY
    assert len(means) == 8
    assert kinds.steps("map_at_r")["dataset"].nunique() == 11


def test_every_number_of_the_text_is_a_recorded_one():
    retrieval = gains("retrieval", "last")
    by_domain = [tables.mean_of(retrieval, domain) for domain in (tables.GLYPHS, tables.PHOTOS)]
    runs = [run["uses"]["retrieval"] for run in RUNS.values()]
    tuned = [run["crossvalidated"] for run in runs]
    untrained = {tables.signed(run["untrained"]) for run in runs}
    assert len(untrained) == 1
    assert len(runs) == 6
    assert all(run["low"] < 0 < run["high"] for run in runs if "low" in run)
    expected = {*map(tables.signed, [*by_domain, min(tuned), max(tuned)]), *untrained}
    small, large = (
        tables.over_datasets({pair: tables.RULES["last"](own) for pair, own in each.items()})
        for each in sentences.sized("map_at_r")
    )
    before, after = (tables.over_datasets(sentences.lite0_at("map_at_r", step)) for step in (0, tables.TRAINED))
    expected |= {tables.signed(before[0]), *re.findall(r"[+-]\d\.\d{3}", tables.bracketed(*after))}
    within = kinds.by_kind(kinds.steps("map_at_r")).groupby("kind", observed=True).mean()
    expected.add(tables.signed((within["within"] - within["habit"]).mean()))
    expected |= {tables.signed(small[0]), *re.findall(r"[+-]\d\.\d{3}", tables.bracketed(*large))}
    assert {*re.findall(r"[+-]?\d\.\d{3}", PROSE)} == expected


def test_the_paper_has_what_its_journal_asks():
    assert 750 <= len(PROSE.split()) <= 1750
    head = YAML(typ="safe").load(HEAD)
    assert (FOLDER / head["bibliography"]).is_file()
    cited = {*re.findall(r"@([a-z]+\d*)", BODY)}
    assert cited == {*re.findall(r"^@\w+\{(\w+),", (FOLDER / "paper.bib").read_text(), flags=re.M)}
    assert {"Summary", "Statement of need", "State of the field"} <= {*re.findall(r"^# (.+)$", BODY, flags=re.M)}
