import numpy as np
import pandas as pd
import pytest

from stages.aggregate.curves import average
from stages.aggregate.points import best_index, check_main_score, equally_best
from stages.shared.runtime.errors import UserError
from stages.shared.settings.params import RunParams
from stages.shared.tables.metric_table import typed
from tests.aggregate.test_curves import point

RUN = RunParams(datasets=["d"], models=["m"], folds=[0], seeds=[0, 1])


@pytest.mark.parametrize(
    ("values", "better", "index"),
    [
        ([1, 3, 3], "higher", 1),
        ([2, 1, 1], "lower", 1),
        ([np.nan, 0, 1], "lower", 1),
        ([1, 2], "neither", None),
        ([np.nan] * 2, "higher", None),
        ([0.3, np.inf, np.inf], "higher", 1),
        ([0.3, 0.5, 0.5 + 1e-16], "higher", 1),
        ([np.nan, 0.9999999999999996, 0.9999999999999997, 0.2], "higher", 1),
        ([900.0002, 900.0, 901.0], "lower", 0),
        ([0.5, 0.50001], "higher", 1),
    ],
)
def test_the_first_of_equally_good_layers_is_the_best(values, better, index):
    assert best_index(np.array(values, dtype=float), better) == index


def test_layers_within_rounding_of_the_best_are_equally_good_in_every_row():
    values = np.array([[0.2, 0.5, 0.5 - 1e-8], [np.nan, 0.1, 0.3], [np.nan] * 3])
    assert equally_best(values, "higher").tolist() == [[False, True, True], [False, False, True], [False] * 3]
    assert equally_best(values, "lower").tolist() == [[True, False, False], [False, True, False], [False] * 3]
    assert not equally_best(values, "neither").any()


def averaged(value=0.3, better="higher", metric="nmi"):
    rows = [point("a", 0, "mean", value, seed=seed, metric=metric) for seed in (0, 1)]
    return average(typed(pd.DataFrame(rows)).assign(better=better), RUN)


def test_a_score_that_chooses_a_layer_may_be_the_main_one():
    check_main_score(averaged(), "nmi")
    check_main_score(averaged(better="lower", metric="collapse"), "collapse")


@pytest.mark.parametrize(
    ("scores", "main", "message"),
    [
        ({}, "nmy", r"aggregate\.main_metric: 'nmy' was not measured .*did you mean 'nmi'"),
        ({"value": np.nan}, "nmi", "d, m: nmi at step 0 has no finite value"),
        ({"better": "neither"}, "nmi", "d, m: nmi is neither better high nor better low"),
    ],
)
def test_another_is_refused_with_the_reason(scores, main, message):
    with pytest.raises(UserError, match=message):
        check_main_score(averaged(**scores), main)
