"""Everything that is computed from the cells of the grid: the tables and the facts of data/results."""

from dataclasses import dataclass, replace

import pandas as pd

from ..shared.workflow.csv_table import INTEGER
from ..shared.workflow.params import ALL
from .columns import frame
from .curves import Scores, average
from .facts import Facts
from .findings.collect import collect_findings, infer_power
from .network_data import collect_network_data
from .params import Asked
from .read import Tables
from .recommend.decide import recommend_all
from .recommend.representations import representations
from .recommend.shown import Shown, show
from .tables.score_tables import CLASS_COLUMNS, classes_table, depth_table, steps_table
from .tables.summary import check_main_score, measured_network, summarize, summary_table
from .tables.summary_row import SummaryRow
from .tables.uncertainty import add_uncertainty


@dataclass(frozen=True)
class Results:
    """What the cells of a grid add up to.

    Attributes:
        layers: the metric rows of all cells.
        scores: the means over seeds and folds, with `UNCERTAINTY`.
        summary: one row per curve that has a best layer.
        facts: the findings, and the layer and checkpoint to take of each network.
        classes: classes.csv with its step, and the same at the steps of which sentences tell.
        tables: the tables, by file name.
        shown: what figures show, at the recommended checkpoints.
    """

    layers: pd.DataFrame
    scores: Scores
    summary: list[SummaryRow]
    facts: Facts
    classes: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    shown: Shown


def compute(tables: Tables, asked: Asked, notice: str = "") -> Results:
    """Sum up the cells of a grid.

    Args:
        tables: what they measured.
        asked: which cells, what of each, and how they are summed up.
        notice: a sentence that every text has.

    Raises:
        UserError: a cell lacks a row that others have, or the main score chooses no layer.
    """
    grid, params = tables.grid, asked.params
    unseen = tables.layers[tables.layers["fold"] != ALL]
    means = replace(average(unseen, grid, tables.catalogue), parts="folds" if grid is asked.grid else "sets")
    check_main_score(means, params.main_metric)
    networks = collect_network_data(unseen, tables.refits, grid, tables.catalogue, tables.images)
    scores = add_uncertainty(means, networks)
    steps = steps_table(scores)
    summary = summarize(scores, params.main_metric)
    recommendations, regrets = recommend_all(
        summary, scores, networks, asked.measured.neighbours, worthwhile=params.worthwhile_gain
    )
    chosen = {
        (each.dataset, each.model): each.recommended.step
        for each in recommendations
        if each.recommended is not None and each.metric == params.main_metric
    }
    by_main = [measured_network(row, scores, networks) for row in summary if row.main]
    findings = collect_findings(by_main, steps, params.accuracy_margin, chosen)
    fold = ALL if ALL in grid.folds else grid.numbered[0]
    unit_rows = [name for name, score in tables.catalogue.items() if score.scaling == "l2"]
    cell, power = f"{fold}/{grid.seeds[0]}", infer_power(by_main)
    joined = [*representations(tables.analyses["representations"])]
    no_joins = "representations" in asked.measured.analyses and not joined
    facts = Facts(recommendations, findings, params.use, cell, power, unit_rows, joined, notice, no_joins)
    told = {(each.dataset, each.model, each.best.step) for each in recommendations if each.best.step < each.last_step}
    classes = [own for network in networks.values() for own in network.images.classes]
    for dataset, model, step in sorted(told):
        classes.extend(networks[dataset, model].classes_at(step, tables.images))
    made = {f"{name}.csv": table for name, table in tables.analyses.items()}
    made |= {"classes.csv": classes_table(networks.values()), "depth.csv": depth_table(scores), "steps.csv": steps}
    made |= {"training.csv": tables.courses, "summary.csv": summary_table(summary), "regret.csv": regrets}
    told_of = frame(classes, CLASS_COLUMNS | {"step": INTEGER})
    shown = show(recommendations, scores, networks, params.main_metric)
    return Results(tables.layers, scores, summary, facts, told_of, made, shown)
