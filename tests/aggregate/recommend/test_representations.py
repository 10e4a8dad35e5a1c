from itertools import product

import numpy as np
import pandas as pd

from stages.aggregate.recommend.representations import choice_of, representations
from stages.core.scores.refits import class_groups, left_out_part

NAMES = [f"class {number:02}" for number in range(24)]


def test_groups_of_classes_keep_their_order():
    """More than 20 classes are left out in random groups, which a table sorts by their names."""
    parts = [left_out_part([NAMES[k] for k in group]) for group in class_groups(NAMES)]
    assert parts != sorted(parts)
    values = [("judged", name, k % 2, k) for k, name in enumerate(NAMES)] + [
        ("choosing", "", 0, 0),
        ("choosing", "", 1, 0),
    ]
    values += [("class", part, 0, number) for number, part in enumerate(parts)]
    rows = [
        {"layers": layer, "join": "single", "recipe": "plain", "kind": kind, "part": part, "fold": str(fold)}
        | {"value": float(value)}
        for layer, (kind, part, fold, value) in product(["first", "last"], values)
    ]
    choice = choice_of(pd.DataFrame(rows))
    assert choice.without.tolist() == [[number, number] for number in range(len(parts))]
    np.testing.assert_array_equal(choice.folds, np.arange(24) % 2)


def test_seeds_of_random_weights_count_alike():
    """As means over seeds do: the first one alone would take the other layer."""
    scores = {(0, "first"): 0.6, (0, "last"): 0.5, (1, "first"): 0.1, (1, "last"): 0.3}
    table = [
        {"dataset": "mine", "model": "net", "seed": seed, "layers": layer, "join": "single", "recipe": "plain"}
        | {"kind": kind, "part": part, "fold": str(fold), "value": value}
        for (seed, layer), value in scores.items()
        for kind, part, fold in [
            ("choosing", "", 0),
            ("choosing", "", 1),
            *(("judged", n, int(n > "b")) for n in "abcd"),
        ]
    ]
    [record] = representations(pd.DataFrame(table))
    assert (record.layers, record.value, record.last_value, record.n_classes) == (["last"], 0.4, 0.4, 4)
