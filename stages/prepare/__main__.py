"""Prepare one dataset: choose its splits, decode its images once, pack them.

Reads the raw folder and, for downloaded datasets, a checksummed cache; writes a folder: `images.zarr` (uint8 RGB),
`manifest.csv` (id, class, group, source, SHA-256 of every image), `folds/` (for each choice of the unseen classes the
split of every image) and `report.json` (counts, and what was left out). Another folder gets small pictures of some
images of unseen classes, `thumbnails.parquet`.

    python -m stages.prepare --dataset handwriting --raw data/raw/handwriting --out data/prepared/handwriting \\
        --thumbnails data/thumbnails/handwriting
"""

import argparse
import sys

from stages.shared.workflow.stage_run import StageParser, StageRun
from stages.prepare.packing import prepare_dataset
from stages.prepare.params import PrepareParams, read_dataset
from stages.prepare.thumbnails import make_thumbnails
from stages.shared.runtime.console import Stopwatch, run_main
from stages.shared.runtime.errors import printable
from stages.shared.workflow.params import read_section


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = StageParser(__doc__, "dataset")
    parser.add_artifact("--raw", "the raw folder or archive, read only")
    parser.add_artifact("--out", "the folder to create")
    parser.add_artifact("--thumbnails", "the folder to create for small pictures")
    return parser.parse_cell()


def main() -> None:
    """Run the stage."""
    args = parse_args()
    watch = Stopwatch("prepare", args.cell, args.log)
    keys = ["prepare", f"datasets.{args.dataset}"]
    writes = [args.out, args.thumbnails]
    with StageRun("prepare", args.params, keys=keys, reads=[args.raw], writes=writes) as run:
        section = read_section(args.params, "prepare", PrepareParams)
        params = read_dataset(args.params, args.dataset)
        seed = params.root_seed(section.seed)
        prepared, thumbnails = run.scratch(args.out), run.scratch(args.thumbnails)
        report = prepare_dataset(args.raw, prepared, params, seed, args.dataset, section.max_pixels)
        make_thumbnails(prepared, thumbnails, list(report.images), seed, args.dataset)
    for note in report.notes():
        print(printable(f"prepare {args.dataset}: {note}"), file=sys.stderr, flush=True)
    watch.done(f"{report.summary()} in {args.out}", **run.logged)


if __name__ == "__main__":
    run_main(main)
