"""Sum up what every cell of the grid measured: tables, figures, metrics and the verdict.

Reads the tables and training curves of all cells; writes layers.csv, summary.{csv,md}, steps.csv, depth.csv,
classes.csv, regret.csv, a table of each analysis, training.csv, facts.json, findings.json,
recommendation.json, metrics.json, figures/ and report.html (docs/results.md describes each), and prints the verdict.

    python -m stages.aggregate --measures data/measures --training data/training \\
        --thumbnails data/thumbnails --prepared data/prepared --out data/results
"""

import argparse
import os

from stages.shared.workflow.stage_run import StageParser, StageRun
from stages.aggregate.charts.draw import check_limits
from stages.aggregate.compute import compute
from stages.aggregate.params import read_asked
from stages.aggregate.read import read_all_thumbnails, read_galleries, read_tables, read_versions
from stages.aggregate.render.page.provenance import Study, describe_run
from stages.aggregate.render.write import write_results
from stages.aggregate.result_files import input_hashes
from stages.aggregate.words.study import versions_notice
from stages.aggregate.words.verdict import verdict
from stages.shared.runtime.console import Stopwatch, run_main
from stages.shared.workflow.versions import differing

NO_VERDICT = "WHICHLAYER_NO_VERDICT"
"""Set by `make repro`, which prints the verdict itself, also when nothing had to run."""


def main() -> None:
    """Parse, read, sum up, write, report."""
    args = parse_args()
    check_limits()
    watch = Stopwatch("aggregate", args.cell, args.log)
    keys = ["run", "aggregate", "measure", "embed", "finetune", "prepare", "datasets", "models"]
    inputs = [args.measures, args.training, args.thumbnails, args.prepared]
    with StageRun("aggregate", args.params, keys=keys, reads=inputs, writes=[args.out], replace=True) as run:
        asked = read_asked(args.params)
        notice = versions_notice(differing(read_versions(args.measures, asked.grid)))
        tables = read_tables(args.measures, args.training, asked.grid, asked.measured.analyses)
        results = compute(tables, asked, notice)
        about = describe_run(args.params, asked.grid, args.prepared)
        pictures = read_all_thumbnails(args.thumbnails, asked.grid), read_galleries(args.measures, tables.grid)
        study = Study(results, about, *(pictures if asked.params.images else ()))
        folders = {"measures": args.measures, "training": args.training, "thumbnails": args.thumbnails}
        of = input_hashes(asked.grid, **folders, prepared=args.prepared)
        written = write_results(run.scratch(args.out), study, of)
    watch.done(f"{written}, in {args.out}/", **run.logged)
    if not os.environ.get(NO_VERDICT):
        print(f"\n{verdict(results.facts)}\n", flush=True)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = StageParser(__doc__)
    parser.add_artifact("--measures", "holds each cell's layers.csv")
    parser.add_artifact("--training", "holds each cell's training.csv")
    parser.add_artifact("--thumbnails", "holds each dataset's thumbnails.parquet")
    parser.add_artifact("--prepared", "holds each dataset's manifest.csv")
    parser.add_artifact("--out", "the folder to write")
    return parser.parse_cell()


if __name__ == "__main__":
    run_main(main)
