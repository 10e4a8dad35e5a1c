"""Sum up what every cell of the grid measured: tables, figures, metrics and the verdict.

Reads the tables and training curves of all cells; writes layers.csv, summary.{csv,md,tex}, steps.csv, depth.csv,
classes.csv, robustness.csv, a table of each analysis, training.csv, metrics.json and figures/ (docs/results.md
describes each), and prints the verdict.

    python -m stages.aggregate --measures data/measures --training data/training --out data/results
"""

import argparse
import json
import os
from pathlib import Path

from stages.shared.stage_run import StageRun
from stages.aggregate.curves import average
from stages.aggregate.figures.draw import draw_figures
from stages.aggregate.inputs import read_analyses, read_curves, read_layers
from stages.aggregate.main_score import check_main_score
from stages.aggregate.params import AggregateParams
from stages.aggregate.report.findings import find
from stages.aggregate.report.summary_md import latex, markdown
from stages.aggregate.report.verdict import verdict
from stages.aggregate.tables.classes import robustness
from stages.aggregate.tables.summary import follow_steps, headline, last_step, summarize, without_best, write_table
from stages.aggregate.uncertainty.annotate import weigh
from stages.shared.console import Stopwatch, add_log_argument, run_main
from stages.shared.metric_table import ANALYSIS_TABLES, write_records
from stages.shared.params import read_run, read_section

NO_VERDICT = "WHICHLAYER_NO_VERDICT"
"""Set by `make repro`, which prints the verdict itself, also when nothing had to run."""


def main() -> None:
    """Parse, read, sum up, write, report."""
    args = parse_args()
    watch = Stopwatch("aggregate", "", args.log)
    keys, inputs = ["run", "aggregate"], [args.measures, args.training]
    with StageRun("aggregate", args.params, keys=keys, reads=inputs, writes=[args.out], replace=True) as run:
        out = run.scratch(args.out)
        params = read_section(args.params, "aggregate", AggregateParams)
        grid = read_run(args.params)
        layers = read_layers(args.measures, grid)
        scores = average(layers, grid)
        check_main_score(scores, params.main_metric)
        tables = {f"{name}.csv": read_analyses(args.measures, grid, name) for name in ANALYSIS_TABLES}
        evidence = weigh(args.measures, layers, scores, tables["class_subsets.csv"], grid, params)
        scores, tables["class_subsets.csv"] = evidence.scores, evidence.subsets
        summary = summarize(scores, params.main_metric)
        tables |= {"summary.csv": summary, "steps.csv": follow_steps(scores), "depth.csv": last_step(scores)}
        tables |= {"classes.csv": evidence.classes, "robustness.csv": robustness(layers)}
        tables["training.csv"] = read_curves(args.training, grid)
        write_records(out / "layers.csv", evidence.layers)
        for file, table in tables.items():
            write_table(out / file, table)
        (out / "summary.md").write_text(markdown(summary, find(summary, tables["steps.csv"])))
        (out / "summary.tex").write_text(latex(summary))
        (out / "metrics.json").write_text(json.dumps(headline(summary), indent=2) + "\n")
        drawn = {"robustness": tables["robustness.csv"], "pairs": tables["layer_pairs.csv"]}
        figures = draw_figures(out / "figures", scores, params.main_metric, grid.models, **drawn)
    cells = len(grid.datasets) * len(grid.models) * len(grid.seeds)
    watch.done(f"wrote {len(layers)} scores of {cells} cells, {figures} figures{evidence.note(without_best(scores))}")
    if not os.environ.get(NO_VERDICT):
        print(f"\n{verdict(args.out)}\n", flush=True)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.aggregate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measures", type=Path, required=True, help="holds <dataset>/<model>/<seed>/layers.csv")
    parser.add_argument("--training", type=Path, required=True, help="holds <dataset>/<model>/<seed>/training.csv")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: %(default)s")
    add_log_argument(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
