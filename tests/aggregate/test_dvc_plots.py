"""The plots' templates name and order scores as the tables do, from the data alone."""

import json
from pathlib import Path

import pytest

from stages.aggregate.metric_info import METRIC_INFO

TEMPLATES = Path(__file__).parents[2] / ".dvc" / "plots"


@pytest.mark.parametrize("template", ["depth", "steps"])
def test_plots_take_every_score_as_it_comes(template):
    text = (TEMPLATES / f"{template}.json").read_text()
    assert json.loads(text)["facet"]["row"]["sort"] is None  # in the order of the table
    assert not [metric for metric in METRIC_INFO if metric != "accuracy" and f'"{metric}' in text]


@pytest.mark.parametrize("template", ["depth", "steps"])
def test_plots_show_means_over_folds_alone(template):
    transforms = json.loads((TEMPLATES / f"{template}.json").read_text())["transform"]
    assert {"filter": "datum.fold == 'mean'"} in transforms
