"""The plots' templates name and order scores as the tables do, from the data alone."""

import json
import re
from pathlib import Path

import pytest
import vl_convert

from docs.tools.plot_templates import template_text, templates
from stages.core.scores.catalogue import SCORES

TEMPLATES = Path(__file__).parents[1] / ".dvc" / "plots"
ROWS = [
    {"fold": "mean", "dataset": "toy", "metric": metric, "split": "unseen", "model": "net", "<DVC_METRIC_X>": 0}
    for metric in ("nmi", "knn_purity", "ami")
]
"""Of a table of which DVC names the fields."""


@pytest.mark.parametrize("template", ["depth", "steps"])
def test_plots_take_every_score_as_it_comes(template):
    text = (TEMPLATES / f"{template}.json").read_text()
    assert not [metric for metric in SCORES if metric != "accuracy" and f'"{metric}' in text]
    drawn = vl_convert.vegalite_to_svg(text.replace('"<DVC_METRIC_DATA>"', json.dumps(ROWS)))
    labels = [label for label in re.findall(r">([^<>]+)</text>", drawn) if label in ("nmi", "knn purity", "ami")]
    assert labels == ["nmi", "knn purity", "ami"]  # in the order of the table, not of the alphabet


@pytest.mark.parametrize("template", ["depth", "steps"])
def test_plots_show_means_over_folds_alone(template):
    transforms = json.loads((TEMPLATES / f"{template}.json").read_text())["transform"]
    assert {"filter": "datum.fold == 'mean'"} in transforms


def test_the_files_are_what_the_charts_make():
    """`python -m docs.tools.plot_templates` writes them."""
    assert {path.stem: path.read_text() for path in TEMPLATES.glob("*.json")} == {
        name: template_text(spec) for name, spec in templates().items()
    }
