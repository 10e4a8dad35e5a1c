"""Score every layer of one cell by how well classes separate in its embedding.

Reads one embedding store and the dataset's thumbnails; writes layers.csv (a row per step, split, layer and score),
images.parquet (every image's contribution and cluster), clusterings.csv (what k-means found), refits.parquet (scores of
the unseen split fitted again to parts of it), and of the last step gallery.parquet (where each layer puts the images
that have a thumbnail) and, as asked for, the tables of analyses. Where its classes are scored in sets, each set has a
folder of its own with these files.

    python -m stages.measure --dataset handwriting --model efficientnet_lite0 --fold 0 --seed 0 \\
        --embeddings EMBEDDINGS --thumbnails THUMBNAILS --out MEASURES
"""

import argparse
import sys

from stages.shared.workflow.stage_run import StageParser, StageRun
from stages.measure.cell import judged_images, notes_on_drawn, store_of_seen
from stages.measure.checks import check_cell, check_finite, check_params, check_sets
from stages.measure.outputs import notes_of_sets, write_measured
from stages.measure.params import MeasureParams, available
from stages.measure.run import measure, plan_jobs
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.runtime.console import Stopwatch, run_main
from stages.shared.runtime.processors import worker_count
from stages.shared.tables.gallery import read_thumbnails
from stages.shared.workflow.params import read_section


def main() -> None:
    """Parse, check, score, write."""
    args = parse_args()
    watch = Stopwatch("measure", args.cell, args.log)
    reads = [args.embeddings, args.thumbnails]
    with StageRun("measure", args.params, keys=["measure"], reads=reads, writes=[args.out]) as run:
        asked = read_section(args.params, "measure", MeasureParams)
        store = open_embeddings(args.embeddings)
        check_cell(store, (args.dataset, args.model, args.fold, args.seed))
        sets = store.sets
        of_others = all(store_of_seen(each) is not None for each in sets)
        params, left_out = available(asked, args.fold, store.splits, frozen=store.frozen, of_others=of_others)
        workers, jobs, whole = worker_count(args.workers), [], sets
        sets = [judged_images(each, params) for each in sets]
        check_sets(sets, params)
        for number, each in enumerate(sets):
            check_params(each, params)
            jobs += plan_jobs(each, params, number)
            check_finite(each, plan_jobs(each, params), params)
        pictured = read_thumbnails(args.thumbnails, args.dataset)["sample_id"]
        measured = measure(sets, params, jobs, workers=workers)
        rows = write_measured(run.scratch(args.out), store, sets, measured, params, pictured)
    drawn = [note for pair in zip(whole, sets, strict=True) for note in notes_on_drawn(*pair)]
    for note in dict.fromkeys([*left_out, *drawn, *notes_of_sets(sets, params, measured)]):
        print(f"measure: {note}", file=sys.stderr)
    counts = {"images": len(store.samples), "classes": store.samples["label"].nunique(), "layers": len(store.layers)}
    counts["checkpoints"] = len(store.steps)
    watch.done(f"{rows} scores of {len(jobs)} embeddings", **run.logged, **counts)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = StageParser(__doc__, "dataset", "model", "fold", "seed")
    parser.add_artifact("--embeddings", "the cell's embedding store")
    parser.add_artifact("--thumbnails", "the dataset's thumbnails")
    parser.add_artifact("--out", "folder to write")
    parser.add_argument("--workers", help="number of processes (or WHICHLAYER_WORKERS; by default one per processor)")
    return parser.parse_cell()


if __name__ == "__main__":
    run_main(main)
