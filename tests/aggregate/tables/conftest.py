import pandas as pd
import pytest

from stages.aggregate.curves import average
from stages.core.scores.catalogue import SCORES
from stages.shared.tables.metric_table import HEAD, typed
from tests.aggregate.synthetic import only_means, uncertain
from tests.aggregate.tables.scored import RUN
from tests.aggregate.test_curves import point

UNSEEN = {  # step -> layer -> value of each seed
    0: {"a": (0.5, 0.7), "b": (0.3, 0.4), "c": (0.1, 0.1)},
    10: {"a": (0.2, 0.4), "b": (0.6, 0.5), "c": (0.7, 0.4)},  # means .3 .55 .55: a tie
}
SEEN = {0: {"a": (0.2, 0.2), "b": (0.1, 0.1), "c": (0.0, 0.1)}, 10: {"a": (0.4, 0.4), "b": (0.5, 0.6), "c": (0.8, 1.0)}}
ACCURACY = {0: (0.1, 0.1), 10: (0.7, 0.9)}


def two_seeds():
    """Means over two seeds of a network's scores at two steps, which the last two layers share at the end."""
    rows = []
    for split, values in (("unseen", UNSEEN), ("test", SEEN)):
        for step, layers in values.items():
            for seed in (0, 1):
                rows.append(point("pixels", -1, "none", 0.95, seed=seed, split=split, step=step))
                rows += [
                    point(
                        layer,
                        depth,
                        "mean",
                        layers[layer][seed],
                        seed=seed,
                        split=split,
                        step=step,
                        parameters=10 * (depth + 1),
                        operations=100 * (depth + 1),
                    )
                    for depth, layer in enumerate("abc")
                ]
    rows += [
        point(HEAD, None, "", value, seed=seed, split="test", step=step, metric="accuracy")
        for step, values in ACCURACY.items()
        for seed, value in enumerate(values)
    ]
    return uncertain(only_means(average(typed(pd.DataFrame(rows)), RUN, SCORES)))


@pytest.fixture
def scores():
    return two_seeds()
