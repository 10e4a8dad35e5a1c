"""What scores, refits and each analysis of the last step cost on one cell, in CPU seconds on one thread.

The cell is synthetic, as in `measure_cost`: nine layers and the raw-pixel baseline, 15 seen and 5 unseen classes, 100
training images per class. As in the stage, refits and analyses are charged
with what they compute beyond the scores of the same layer, which come first.

    python -m tests.bench.analysis_cost --seen 600 --unseen 500
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.core.scores.catalogue import LAYER_SCORES, needs_of, score_split
from stages.core.scores.refits import refit
from stages.measure.analyses.registry import ANALYSES, load
from stages.measure.cell import Cell
from stages.measure.params import MeasureParams
from stages.measure.run import limit_to_one_thread, plan_jobs
from stages.shared.embeddings.embedding_store import (
    LAST_STEP,
    EmbeddingWriter,
    Layer,
    open_embeddings,
    write_store_digests,
)
from stages.shared.workflow.params import parse
from tests.bench.measure_cost import MEASURE, WIDTHS, correlated

LAYERS = [Layer(f"layer{i}", f"layer{i}", i, "mean", width, 0, 0) for i, width in enumerate(WIDTHS)]
PIXELS = Layer("pixels", "", -1, "none", 192, 0, 0)
SEEN, UNSEEN, TRAIN_PER_CLASS = 15, 5, 100
PARAMS = {"metrics": list(LAYER_SCORES), "analyses": list(ANALYSES)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seen", type=int, default=600, help="test images of the seen classes")
    parser.add_argument("--unseen", type=int, default=500)
    parser.add_argument("--layers", type=int, default=len(LAYERS), help="how many, from the input on")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        layers = [PIXELS, *LAYERS[: args.layers]]
        write_store(path, args.seen, args.unseen, layers)
        seconds = time_cell(path, parse(MEASURE | PARAMS, MeasureParams, where="measure"))
    print(f"CPU seconds on one thread, {len(layers)} layers, {args.seen} seen and {args.unseen} unseen images")
    for name, spent in seconds.items():
        print(f"  {name:15s} {spent:7.2f}")
    print(f"  {'together':15s} {sum(seconds.values()):7.2f}", flush=True)


def time_cell(path: Path, params: MeasureParams) -> dict[str, float]:
    """Compute one cell at one step, timing every part of it."""
    spent: dict[str, float] = defaultdict(float)
    cell = Cell(open_embeddings(path), params)
    with limit_to_one_thread(params):
        for job in plan_jobs(cell.store, params):
            split = cell.embedded(job.layer, job.step, job.split, needs=needs_of(job.metrics))
            spent["scores"] += seconds_of(score_split, split, job.metrics)
            if job.refits:
                spent["refits"] += seconds_of(
                    refit, split, cell.parts.groups, cell.parts.halves, job.refits, cell.parts.search
                )
            for name in job.analyses:
                step = [job.step] if ANALYSES[name].ends else []
                spent[name] += seconds_of(load(name), cell, job.layer, split, *step)
        for name in (name for name in params.analyses if ANALYSES[name].whole_network):
            spent[name] = seconds_of(load(name), cell)
    return spent


def seconds_of(function: Callable[..., Any], *arguments: Any) -> float:
    began = time.process_time()
    function(*arguments)
    return time.process_time() - began


def write_store(path: Path, seen: int, unseen: int, layers: list[Layer]) -> None:
    """Write a store of one step with its training images."""
    main = [("test", seen, SEEN), ("unseen", unseen, UNSEEN)]
    write_part(path, main, layers)
    write_part(path / LAST_STEP, [("train", SEEN * TRAIN_PER_CLASS, SEEN)], layers)
    write_store_digests(path, {})  # again, with the inner store's


def write_part(path: Path, splits: list[tuple[str, int, int]], layers: list[Layer]) -> None:
    """Write one store."""
    parts = []
    for split, count, classes in splits:
        names = [f"{'unseen' if split == 'unseen' else 'seen'}{c}" for c in np.arange(count) % classes]
        ids = [f"{split}{i}" for i in range(count)]
        parts.append(pd.DataFrame({"sample_id": ids, "split": split, "label": names, "group": ""}))
    cell = {"dataset": "synthetic", "model": "nine", "fold": "0", "seed": 0}
    with EmbeddingWriter(
        path, samples=pd.concat(parts, ignore_index=True), steps=[0], layers=layers, classes=[], dtype="float32",
        attributes=cell,
    ) as writer:  # fmt: skip
        for layer in layers:
            for number, (_, count, classes) in enumerate(splits):
                writer.write(layer.name, 0, correlated(count, classes, layer.width, number)[0])


if __name__ == "__main__":
    main()
