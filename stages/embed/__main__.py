"""Embed the images of one prepared dataset at every layer of one fine-tuned network, at each of its checkpoints.

Reads packed images and checkpoints; writes one Zarr group: an array per layer, (step, sample, feature), beside the
head's logits and a raw-pixel baseline. A group inside it holds more images at the last checkpoint: training images, and
corrupted test images.

    python -m stages.embed --dataset handwriting --model efficientnet_lite0 --seed 0 \\
        --prepared PREPARED --weights WEIGHTS --out EMBEDDINGS
"""

import argparse
from pathlib import Path

from stages.shared.stage_run import StageRun
from stages.embed.cell import library_versions, open_cell
from stages.embed.params import EmbedParams
from stages.embed.taps.params import TapsParams
from stages.shared.console import Stopwatch, UserError, add_log_argument, nearest, run_main
from stages.shared.image_store import PackedImages, open_images
from stages.shared.networks.params import NetworkParams
from stages.shared.params import read_entry, read_section


def main() -> None:
    """Parse, check, embed, write."""
    args = parse_args()
    watch = Stopwatch("embed", f"{args.dataset}-{args.model}-{args.seed}", args.log)
    keys = ["embed", f"models.{args.model}.network", f"models.{args.model}.taps"]
    with StageRun("embed", args.params, keys=keys, reads=[args.prepared, args.weights], writes=[args.out]) as run:
        params = read_section(args.params, "embed", EmbedParams)
        network = read_entry(args.params, "models", args.model, NetworkParams, part="network")
        taps = read_entry(args.params, "models", args.model, TapsParams, part="taps")
        images = open_images(args.prepared)
        check_splits(images, params)
        cell = open_cell(images, network, taps, params, weights=args.weights, seed=args.seed)
        names = {"dataset": args.dataset, "model": args.model, "seed": args.seed}
        layers = cell.write(run.scratch(args.out), {**names, "versions": library_versions(network.library)})
    watch.done(
        f"{len(cell.rows)} images at {layers} layers and {len(cell.checkpoints)} checkpoints, "
        f"{sum(len(part.rows) for part in cell.extra)} more at the last"
    )


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="entry of `datasets`")
    parser.add_argument("--model", required=True, help="entry of `models`")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--prepared", required=True, type=Path, help="the dataset's packed images")
    parser.add_argument("--weights", required=True, type=Path, help="folder of the network's checkpoints")
    parser.add_argument("--out", required=True, type=Path, help="Zarr group to create")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    add_log_argument(parser)
    return parser.parse_args()


def check_splits(images: PackedImages, params: EmbedParams) -> None:
    """Check that every split to embed has images.

    Raises:
        UserError: naming the one that has none.
    """
    present = list(images.manifest["split"].unique())
    asked = [("splits", split) for split in params.splits]
    asked += [("train_per_class", "train")] if params.train_per_class else []
    for name, split in asked:
        if split not in present:
            raise UserError(
                f"embed.{name} asks for {split!r}, of which this dataset has no images: {nearest(split, present)}"
            )


if __name__ == "__main__":
    run_main(main)
