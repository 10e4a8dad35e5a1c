"""data/results: everything that is computed from the cells of the grid, and how it is written."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.aggregate.curves import Scores, average
from stages.aggregate.figures.draw import Drawn, draw_figures
from stages.aggregate.inference.image_scores import all_classes
from stages.aggregate.inference.network_data import add_uncertainty, gather
from stages.aggregate.page.images import NO_PICTURES, Pictures
from stages.aggregate.page.provenance import Run
from stages.aggregate.page.render import Study, write_page
from stages.aggregate.params import Asked
from stages.aggregate.points import check_main_score
from stages.aggregate.read import cells, read_analyses, read_curves, read_layers, read_refits
from stages.aggregate.recommend.candidates import collect_candidates
from stages.aggregate.recommend.recommend import recommend
from stages.aggregate.recommend.schema import Recommendation, write_recommendations
from stages.aggregate.report.evidence import DatasetEvidence, collect_evidence
from stages.aggregate.report.findings import Finding, evaluate_findings, write_findings
from stages.aggregate.report.recommendation import recommendation_sentences
from stages.aggregate.report.regret import regret_section
from stages.aggregate.report.summary_md import markdown
from stages.aggregate.report.summary_tex import latex
from stages.aggregate.result_files import finish_results
from stages.aggregate.tables.depth import last_step
from stages.aggregate.tables.metrics_json import write_metrics
from stages.aggregate.tables.regret import regret_table
from stages.aggregate.tables.robustness import robustness
from stages.aggregate.tables.steps import follow_steps
from stages.aggregate.tables.summary import SummaryRow, summarize, summary_table, without_best
from stages.shared.files.csv_table import write_table
from stages.shared.settings.params import ALL
from stages.shared.tables.metric_table import write_records


@dataclass(frozen=True)
class Results:
    """What the cells of a grid add up to.

    Attributes:
        layers: the metric rows of all cells.
        scores: the means over seeds and folds, with `UNCERTAINTY`.
        summary: one row per curve that has a best layer.
        evidence: what the claims are judged by, dataset by dataset.
        findings: the claims, judged.
        recommendations: the layer and checkpoint to take of each network.
        tables: the other tables, by file name.
        n_cells: how many cells there are.
        note: what is missing, for the closing line; may be empty.
    """

    layers: pd.DataFrame
    scores: Scores
    summary: list[SummaryRow]
    evidence: list[DatasetEvidence]
    findings: list[Finding]
    recommendations: list[Recommendation]
    tables: dict[str, pd.DataFrame]
    n_cells: int
    note: str


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
    curves = read_curves(training, grid, asked.checkpoints)
    layers = read_layers(measures, curves, grid, asked.checkpoints)
    unseen = layers[layers["fold"] != ALL]
    scores = average(unseen, grid)
    check_main_score(scores, params.main_metric)
    analyses = read_analyses(measures, grid, asked.analyses)
    known = gather(measures, unseen, read_refits(measures, grid), grid)
    scores = add_uncertainty(scores, known)
    tables = {f"{name}.csv": table for name, table in analyses.items()}
    tables |= {"training.csv": curves, "classes.csv": all_classes(known.images.values())}
    tables |= {"steps.csv": follow_steps(scores), "depth.csv": last_step(scores), "robustness.csv": robustness(unseen)}
    summary = summarize(scores, params.main_metric)
    tables["summary.csv"] = summary_table(summary)
    candidates = collect_candidates(summary, scores, known)
    tables["regret.csv"] = regret_table(candidates, scores.folds)
    recommendations = recommend(candidates, scores, tables["regret.csv"])
    evidence = collect_evidence(summary, scores, known, params.accuracy_margin)
    findings = evaluate_findings(evidence, tables["steps.csv"])
    note = known.note(without_best(scores))
    return Results(
        layers, scores, summary, evidence, findings, recommendations, tables, len(list(cells(grid))), note
    )  # fmt: skip


def write_results(out: Path, results: Results, run: Run, pictures: Pictures = NO_PICTURES) -> tuple[int, int]:
    """Write every file of data/results (docs/results.md describes each).

    Args:
        out: the folder; made if missing.
        results: what to write.
        run: what was run.
        pictures: what the page shows of the images.

    Returns:
        The number of figures, and the size of the page in bytes.
    """
    write_records(out / "layers.csv", results.layers)
    for file, table in results.tables.items():
        write_table(out / file, table, {})
    regret = regret_section(results.tables["regret.csv"], results.recommendations)
    recommended = list(map(recommendation_sentences, results.recommendations))
    summary = markdown(results.summary, results.findings, regret, recommended)
    (out / "summary.md").write_text(summary, encoding="utf-8")
    (out / "summary.tex").write_text(latex(results.summary), encoding="utf-8")
    write_findings(out / "findings.json", results.findings)
    write_recommendations(out / "recommendation.json", results.recommendations)
    write_metrics(out / "metrics.json", results.summary)
    drawn = Drawn(results.scores, results.summary, results.evidence, results.tables, run.models)
    figures = draw_figures(out, drawn)
    study = Study(
        results.scores, results.summary, results.findings, results.recommendations, results.tables, run, pictures
    )
    size = write_page(out / "report.html", study)
    finish_results(out)
    return figures, size
