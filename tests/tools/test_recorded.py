import copy
import json

import pandas as pd
import pytest

from tests.tools.recorded import differences, ranges, recorded_metrics

METRICS = recorded_metrics()
((DATASET, MODEL),) = [(dataset, model) for dataset, models in METRICS.items() for model in models]


def table(**depths):
    """Best layers of the uses' scores, of which the neighbours tie by other classes."""
    best = {known["metric"]: known["depth"] for known in METRICS[DATASET][MODEL]["uses"].values()} | depths
    rows = [
        {"metric": name, "best_depth": d, "tied_classes": f"{d};{d + 1}", "tied_images": None}
        for name, d in best.items()
    ]
    return pd.DataFrame(rows).set_index("metric")


def changed(**values):
    metrics = copy.deepcopy(METRICS)
    metrics[DATASET][MODEL].update(values)
    return metrics


def test_the_recorded_study_is_as_recorded():
    assert list(differences(METRICS, json.loads(json.dumps(METRICS)), table())) == []


@pytest.mark.parametrize("name", ["accuracy", "g_unseen", "last_value", "lead", "lead_at_least"])
def test_a_number_beyond_what_machines_gave_is_a_difference(name):
    (line,) = differences(METRICS, changed(**{name: METRICS[DATASET][MODEL][name] + 0.25}), table())
    assert line.startswith(f"{name}: must lie in ")


def test_every_machine_of_the_table_lies_in_its_ranges():
    low, high = ranges()["last_value"]
    assert low < 0.325 < 0.383 < high
    low, high = ranges()["lead_at_least"]
    assert low < 0.090 < 0.185 < high


def test_a_layer_that_ties_is_as_recorded_and_another_is_not():
    assert list(differences(METRICS, METRICS, table(nmi=3))) == []
    (line,) = differences(METRICS, METRICS, table(map_at_r=5))
    assert line.startswith("retrieval (map_at_r): layer 4, which is recorded, must be the best or tie with it")


def test_another_network_is_a_difference():
    (line,) = differences(METRICS, {DATASET: {"other": METRICS[DATASET][MODEL]}}, table())
    assert "must be those recorded" in line
