"""The main score: refused where it chooses no layer."""

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.curves import average
from stages.aggregate.main_score import check_main_score
from stages.shared.console import UserError
from stages.shared.metric_table import typed
from stages.shared.params import RunParams
from tests.aggregate.test_curves import point

RUN = RunParams(datasets=["d"], models=["m"], seeds=[0, 1])


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
