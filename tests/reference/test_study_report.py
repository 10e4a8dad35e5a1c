"""The study's report: every score of a layer, and every gain on a card, again from the scores in frozen.csv."""

import json
import re

import numpy as np
import pytest

from docs.study import tables

REPORT = (tables.HERE / "report.html").read_text(encoding="utf-8")
DATA = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', REPORT, flags=re.S)[0])
MODELS = {"mobilenet_v2": "MobileNetV2", "vit_saliency": "ViT-S"}
MODELS |= {f"efficientnet_lite{size}_frozen": f"Lite{size}" for size in range(3)}
FOLDS = ("0", "1", "2", "3")
"""Folds of the report."""

ROUNDING = 0.000502
"""Of three decimals; the table has six."""

ONE_IMAGE = 0.002
"""The report's embeddings were computed again: by probe one image of 500 may have changed its side."""


def curves(score: str) -> dict[tuple[str, str], tables.Curves]:
    scores = tables.read_scores("frozen.csv")
    return tables.curves_of(scores[scores["fold"].isin(FOLDS)], score, "unit")


@pytest.mark.parametrize("score", tables.SCORES.values())
def test_every_layer_has_the_score_of_the_table(score: str):
    networks = [(each["dataset"], MODELS[each["model"]]) for each in DATA["networks"]]
    series, compared = DATA["series"], 0
    places = zip(*(series[name] for name in ("network", "fold", "metric", "split", "value")), strict=True)
    for network, fold, metric, split, values in places:
        if (metric, split) == (score, "unseen") and fold in FOLDS:
            expected = curves(score)[networks[network]][FOLDS.index(fold)]
            wrong = np.abs(np.array(values) - expected)
            assert wrong.max() < ROUNDING + ONE_IMAGE * (score == "probe_accuracy"), (networks[network], fold)
            assert (wrong > ROUNDING).sum() <= 1
            compared += 1
    assert compared == len(networks) * len(FOLDS) == 100


def test_every_card_has_the_gain_of_the_table():
    card = r"<h2>(\w+) · (\w+): \w+ \(([^)]+)\)</h2>(?:(?!<h2>).)*?gain over the last layer</dt><dd>(\S+)[ <]"
    found = re.findall(card, REPORT, flags=re.S)
    known = [(*pair, float(gain)) for *pair, gain in found if gain[0] in "+-"]
    assert len(found) == 100
    assert len(known) > 90
    for dataset, model, name, gain in known:
        expected = tables.RULES["last"](curves(tables.SCORES[name])[dataset, MODELS[model]])
        assert abs(gain - expected) < ROUNDING + ONE_IMAGE / 4 * (name == "probe"), (dataset, model, name)
