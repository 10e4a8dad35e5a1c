import json
import re
from pathlib import Path

import pytest

from stages.aggregate.metric_info import METRIC_INFO

NAMES = {metric: info.name for metric, info in METRIC_INFO.items() if metric != "accuracy"}  # of layers
TEMPLATES = Path(__file__).parents[2] / ".dvc" / "plots"


@pytest.mark.parametrize("template", ["depth", "steps"])
def test_plots_spell_and_order_the_scores_as_tables_and_figures_do(template):
    plot = json.loads((TEMPLATES / f"{template}.json").read_text())
    (names,) = [t["calculate"] for t in plot["transform"] if t["as"] == "metric_name"]
    assert json.loads(re.match(r"(\{.*\})\[datum\.metric\]", names)[1]) == NAMES
    assert plot["facet"]["row"]["sort"] == list(NAMES.values())
