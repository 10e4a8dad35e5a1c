"""Curves of one small network, from their values."""

import pandas as pd

from stages.aggregate.curves import average
from stages.core.scores.catalogue import SCORES
from stages.shared.tables.metric_table import typed
from stages.shared.workflow.params import RunParams
from tests.aggregate.synthetic import only_means, uncertain
from tests.aggregate.test_curves import point

RUN = RunParams(datasets=["d"], models=["m"], folds=[0], seeds=[0, 1])


def scored(metric, values, better="higher", **columns):
    """One network's unseen curve, the same for both seeds."""
    rows = [
        point("abcd"[depth], depth, "mean", value, seed=s, metric=metric)
        for depth, value in enumerate(values)
        for s in (0, 1)
    ]
    return typed(pd.DataFrame(rows)).assign(better=better, **columns)


def averaged(*tables):
    return uncertain(only_means(average(pd.concat(tables, ignore_index=True), RUN, SCORES)))
