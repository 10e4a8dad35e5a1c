"""Fine-tune one network on the seen classes of one fold of a prepared dataset, with one seed.

Reads packed images; writes a checkpoint per step of `finetune.steps` (weights/step_000100.safetensors) and a table of
loss and test accuracy (training.csv). Of a frozen network it writes only step 0, without a head. A run that was
stopped goes on from its last checkpoint or later (`stages.finetune.loop`).

    python -m stages.finetune --dataset handwriting --model efficientnet_lite0 --fold 0 --seed 0 \\
        --prepared PREPARED --weights WEIGHTS --history TRAINING/training.csv
"""

import argparse

from stages.shared.workflow.stage_run import StageParser, StageRun
from stages.finetune.checks import check_cell
from stages.finetune.params import FinetuneParams, schedule_length
from stages.shared.images.image_store import PackedImages, fold_files, open_images
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.console import Stopwatch, run_main
from stages.shared.workflow.params import read_model_part, read_section
from stages.shared.workflow.seeding import cell_seed


def main() -> None:
    """Parse, check, train, write."""
    args = parse_args()
    watch = Stopwatch("finetune", args.cell, args.log)
    keys, outputs = ["finetune", f"models.{args.model}.network"], [args.weights, args.history.parent]
    reads = [*fold_files(args.prepared, args.fold)]
    with StageRun("finetune", args.params, keys=keys, reads=reads, writes=outputs, resumable=True) as run:
        images, network, params, length, seed = read_cell(args)

        # torch takes seconds to import: what is wrong above is reported first
        from ..shared.networks.weights import finish_checkpoints
        from .cell import run_cell

        weights, history_file = run.scratch(args.weights), run.scratch(args.history.parent) / args.history.name
        history = run_cell(images, network, params, length=length, seed=seed, weights=weights, run=run, watch=watch)
        finish_checkpoints(weights, args.of)
        history.write(history_file, args.of)
    kept = len(params.kept(frozen=network.frozen))
    watch.done(
        f"{kept} {'checkpoint' if kept == 1 else 'checkpoints'}, {history.summary()}",
        **run.logged,
        images=len(images.rows("train")) + len(images.rows("test")),
    )


def read_cell(args: argparse.Namespace) -> tuple[PackedImages, NetworkParams, FinetuneParams, int, int]:
    """Read and check what is trained: images, network, parameters, the schedule's length, the cell's seed."""
    params = read_section(args.params, "finetune", FinetuneParams)
    network = read_model_part(args.params, args.model, "network", NetworkParams)
    images = open_images(args.prepared, args.fold, dataset=args.dataset)
    check_cell(images, args.prepared, network, args.model)
    length = 0 if network.frozen else schedule_length(params, len(images.rows("train")), epochs=network.epochs)
    return images, network, params, length, cell_seed(args.seed, args.fold)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = StageParser(__doc__, "dataset", "model", "fold", "seed")
    parser.add_artifact("--prepared", "the dataset's packed images")
    parser.add_artifact("--weights", "folder to write checkpoints to")
    parser.add_artifact("--history", "CSV table to write, in a folder of its own")
    return parser.parse_cell()


if __name__ == "__main__":
    run_main(main)
