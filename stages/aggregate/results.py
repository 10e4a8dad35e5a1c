"""Everything that is computed from the cells of the grid: the tables and the facts of data/results."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.aggregate.curves import Scores, average, curves
from stages.aggregate.facts import Facts
from stages.aggregate.findings.collect import collect_findings
from stages.aggregate.inference.intervals import add_uncertainty, infer_power
from stages.aggregate.inference.network_data import Name, NetworkData, collect_network_data
from stages.aggregate.params import Asked
from stages.aggregate.read import read_analyses, read_catalogue, read_curves, read_layers, read_refits
from stages.aggregate.recommend.recommend import recommend_all
from stages.aggregate.tables.all_tables import fact_tables, score_tables
from stages.aggregate.tables.summary import SummaryRow, summarize
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.runtime.errors import UserError, did_you_mean
from stages.shared.settings.params import ALL


@dataclass(frozen=True)
class Results:
    """What the cells of a grid add up to.

    Attributes:
        layers: the metric rows of all cells.
        scores: the means over seeds and folds, with `UNCERTAINTY`.
        summary: one row per curve that has a best layer.
        facts: the findings, and the layer and checkpoint to take of each network.
        tables: the tables, by file name.
        networks: the measured data of each network.
        n_cells: how many cells there are.
    """

    layers: pd.DataFrame
    scores: Scores
    summary: list[SummaryRow]
    facts: Facts
    tables: dict[str, pd.DataFrame]
    networks: dict[Name, NetworkData]
    n_cells: int

    @property
    def without_images(self) -> list[str]:
        """Networks of which a cell kept no contributions of images."""
        return ["/".join(name) for name, network in self.networks.items() if network.images is None]

    @property
    def without_refits(self) -> list[str]:
        """Networks without scores fitted again."""
        return ["/".join(name) for name, network in self.networks.items() if network.refits.empty]

    @property
    def without_best(self) -> list[str]:
        """Curves that should have a best layer but have no finite value on unseen classes."""
        return without_best(self.scores)


def compute_results(measures: Path, training: Path, asked: Asked) -> Results:
    """Sum up the cells of a grid.

    Args:
        measures: holds `<dataset>/<model>/<fold>/<seed>/`, as the measure stage wrote it.
        training: holds `<dataset>/<model>/<fold>/<seed>/training.csv`.
        asked: which cells, what of each, and how they are summed up.

    Raises:
        UserError: a cell lacks a table, has one of another version or step, or the main score chooses no layer.
    """
    grid, params = asked.grid, asked.params
    courses = read_curves(training, grid, asked.checkpoints)
    layers = read_layers(measures, courses, grid, asked.checkpoints)
    unseen = layers[layers["fold"] != ALL]
    catalogue = read_catalogue(measures, grid)
    means = average(unseen, grid, catalogue)
    check_main_score(means, params.main_metric)
    analyses = read_analyses(measures, grid, asked.analyses)
    tables = {f"{name}.csv": table for name, table in analyses.items()} | {"training.csv": courses}

    networks = collect_network_data(unseen, read_refits(measures, grid), grid, catalogue, measures)
    scores = add_uncertainty(means, networks)
    tables |= score_tables(unseen, scores, networks)
    summary = summarize(scores, params.main_metric)

    recommendations, regrets = recommend_all(summary, scores, networks, analyses)
    findings = collect_findings(summary, scores, networks, tables["steps.csv"], params.accuracy_margin)
    tables |= fact_tables(summary, regrets)
    fold = ALL if ALL in grid.folds else grid.numbered[0]
    power = infer_power(scores, networks, params.main_metric)
    facts = Facts(recommendations, findings, params.use, f"{fold}/{grid.seeds[0]}", power)
    return Results(layers, scores, summary, facts, tables, networks, len(list(grid.cells())))


def check_main_score(scores: Scores, main_metric: str) -> None:
    """Refuse a main score that chooses no layer, before any long work.

    Args:
        scores: curves averaged over seeds.
        main_metric: the score that the verdict speaks of.

    Raises:
        UserError: it was not measured, has no finite value on unseen classes, or neither high nor low is better.
    """
    known = sorted(scores.curves["metric"].unique())
    if main_metric not in known:
        raise UserError(
            f"aggregate.main_metric: {main_metric!r} was not measured on any layer: "
            f"{did_you_mean(main_metric, known)}; choose one of these, or add it to measure.metrics"
        )
    main = scores.curves[scores.curves["main"] & (scores.curves["metric"] == main_metric)]
    for curve in curves(main):
        point, step = curve.name, curve.last
        where = f"aggregate.main_metric: {point['dataset']}, {point['model']}: {main_metric}"
        if point["better"] == "neither":
            raise UserError(f"{where} is neither better high nor better low, so it chooses no layer")
        if curve.best(UNSEEN, step) is None:
            raise UserError(
                f"{where} at step {step} has no finite value at any layer on the split {UNSEEN!r}, so no layer "
                "can be chosen; choose another score, or look at the embeddings"
            )


def without_best(scores: Scores) -> list[str]:
    """Name the curves that should have a best layer but have no finite value on unseen classes."""
    chosen_from = scores.curves[scores.curves["better"] != "neither"]
    return ["/".join(curve.key) for curve in curves(chosen_from) if curve.best(UNSEEN, curve.last) is None]
