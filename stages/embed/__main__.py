"""Embed the images of one fold of a prepared dataset at every layer of one network, at each of its checkpoints.

Reads packed images and checkpoints; writes one Zarr group: an array per layer, (step, sample, feature), beside the
head's logits and a raw-pixel baseline. A group inside it holds training images at the last checkpoint.

    python -m stages.embed --dataset handwriting --model efficientnet_lite0 --fold 0 --seed 0 \\
        --prepared PREPARED --weights WEIGHTS --out EMBEDDINGS
"""

import argparse

from stages.shared.workflow.stage_run import StageParser, StageRun
from stages.embed.cell import open_cell
from stages.embed.image_sets import available, limit_training
from stages.embed.loading import checked_checkpoints
from stages.embed.params import EmbedParams, TapsParams
from stages.shared.images.image_store import fold_files, open_images
from stages.shared.runtime.console import Stopwatch, run_main
from stages.shared.workflow.params import read_model_part, read_section
from stages.shared.workflow.seeding import cell_seed
from stages.shared.workflow.versions import library_versions


def main() -> None:
    """Parse, check, embed, write."""
    args = parse_args()
    watch = Stopwatch("embed", args.cell, args.log)
    keys = ["embed", f"models.{args.model}.taps"]
    inputs = [*fold_files(args.prepared, args.fold), args.weights]
    with StageRun("embed", args.params, keys=keys, reads=inputs, writes=[args.out]) as run:
        taps = read_model_part(args.params, args.model, "taps", TapsParams)
        params = read_section(args.params, "embed", EmbedParams)
        images = limit_training(open_images(args.prepared, args.fold, dataset=args.dataset), params.train_per_class)
        checkpoints = checked_checkpoints(args.weights, images, args.of)
        network = checkpoints.network
        params, left_out = available(images, params, fold=args.fold, frozen=network.frozen)
        cell = open_cell(images, checkpoints, taps, params, seed=cell_seed(args.seed, args.fold))
        attributes = {"dataset": args.dataset, "model": args.model, "fold": args.fold, "seed": args.seed}
        versions = library_versions("torch", network.library, builds=False)
        made_with = {"prepare": images.made_with, "finetune": checkpoints.last.versions, "embed": versions}
        attributes |= {"frozen": network.frozen, "made_with": made_with}
        layers = cell.write(run.scratch(args.out), attributes)
    count = len(cell.checkpoints)
    watch.done(
        f"{len(cell.rows)} images at {layers} layers and {count} checkpoint{'s' if count > 1 else ''}, "
        f"{len(cell.training_rows)} more at the last" + "".join(f"; left out: {phrase}" for phrase in left_out),
        **run.logged,
        images=len(cell.rows),
        checkpoints=count,
        operations=cell.embedder.layers[-1].layer.operations,
    )


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = StageParser(__doc__, "dataset", "model", "fold", "seed")
    parser.add_artifact("--prepared", "the dataset's packed images")
    parser.add_artifact("--weights", "folder of the network's checkpoints")
    parser.add_artifact("--out", "Zarr group to create")
    return parser.parse_cell()


if __name__ == "__main__":
    run_main(main)
