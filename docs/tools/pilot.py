"""Recommend layers anew from the pilot's committed cells: writes recommendation.json and regret.csv of its results.

    python -m docs.tools.pilot

The cells were measured by version 0.1, which did not count multiply-adds; the label-free scores are not in them.
"""

from pathlib import Path

import pandas as pd

from stages.aggregate.curves import average
from stages.aggregate.inference.intervals import add_uncertainty
from stages.aggregate.inference.network_data import collect_network_data
from stages.aggregate.recommend.recommend import recommend_all
from stages.aggregate.recommend.regret import REGRET_COLUMNS
from stages.aggregate.render.json_files import recommendations_json
from stages.aggregate.tables.summary import summarize
from stages.measure.metrics import SCORES
from stages.shared.files.csv_table import typed, write_table
from stages.shared.settings.params import read_run
from stages.shared.tables.metric_table import COLUMNS

PILOT = Path(__file__).parents[1] / "pilot"


def main() -> None:
    """Read every cell of the grid, recommend, and write."""
    run = read_run(PILOT / "params.yaml")
    layers, refits = [], []
    for cell in run.cells():
        name = "-".join(map(str, cell))
        layers.append(pd.read_csv(PILOT / "cells" / f"{name}.csv", dtype={"fold": str}).assign(operations=0))
        again = pd.read_parquet(PILOT / "refits" / f"{name}.parquet")
        refits.append(again.assign(dataset=cell[0], model=cell[1], fold=cell[2], seed=cell[3]))
    rows, halves = typed(pd.concat(layers, ignore_index=True), COLUMNS), pd.concat(refits, ignore_index=True)
    networks = collect_network_data(rows, halves, run, SCORES)
    scores = add_uncertainty(average(rows, run, SCORES), networks)
    recommendations, regrets = recommend_all(summarize(scores, "nmi"), scores, networks)
    (PILOT / "results/recommendation.json").write_text(f"{recommendations_json(recommendations)}\n", encoding="utf-8")
    write_table(PILOT / "results/regret.csv", regrets, REGRET_COLUMNS)


if __name__ == "__main__":
    main()
