"""refits.parquet, the table of scores that were fitted again to parts of the unseen split."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.measure.run import Result
from stages.shared.embeddings.embedding_store import Embeddings
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.tables.metric_table import ALL_BUT_ONE_CLASS, HALF, REFIT_COLUMNS, row_keys


def refit_records(store: Embeddings, results: Sequence[Result]) -> pd.DataFrame:
    """Tabulate scores fitted again: of every embedding and score without each class, then of each half."""
    classes = np.unique(store.labels(UNSEEN)).tolist()
    rows = []
    for result in results:
        if result.refits is None:
            continue
        where = row_keys(result.job.step, result.job.split, *result.job.layer.keys)
        for metric in result.job.refits:
            without, halves = result.refits.of(metric)
            parts = [(ALL_BUT_ONE_CLASS, name, value) for name, value in zip(classes, without, strict=False)]
            parts += [(HALF, str(number), value) for number, value in enumerate(halves)]
            rows += [where | {"metric": metric, "kind": kind, "part": p, "value": v} for kind, p, v in parts]
    return pd.DataFrame(rows, columns=list(REFIT_COLUMNS))
