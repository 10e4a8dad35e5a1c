"""A tiny study's files, as the stages hand them to each other, and what the stages read of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stages.aggregate.read import read_galleries, read_tables
from stages.embed.loading import checked_checkpoints
from stages.measure.checks import check_cell
from stages.shared.embeddings.embedding_store import (
    BASELINE,
    LAST_STEP,
    LOGITS,
    Embeddings,
    EmbeddingWriter,
    Layer,
    open_embeddings,
)
from stages.shared.images.image_store import open_images, open_prepared, read_manifest
from stages.shared.networks.params import NetworkParams, WeightsParams
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, read_state, write_checkpoint
from stages.shared.tables.gallery import read_thumbnails
from stages.shared.workflow.digests import cell_id
from stages.shared.workflow.params import RunParams
from tests.aggregate.synthetic import write_cells
from tests.packed import SEEN, pack, write_fold_all

NAMES = {
    "dataset": "trees", "model": "net", "fold": "0", "seed": "0", "step": "000050", "layer": "stem",
    "other_dataset": "ferns", "other_fold": "all", "other_seed": "1", "other_step": "000000", "other_layer": "head",
}  # fmt: skip
NETWORK = NetworkParams(library="timm", name="none", weights=WeightsParams(source="none"), image_size=32)
STEPS = (0, 50)
LAYERS = [
    Layer("pixels", "", -1, "none", 3, 0, 0),
    Layer("stem", "stem", 0, "mean", 4, 8, 8),
    Layer("head", "head", 1, "none", 2, 10, 10),
]


def write_study(data: Path) -> None:
    """Write what prepare, finetune, embed and measure leave, of two datasets, two folds and two seeds."""
    write_cells(data, ["trees", "ferns"], ["net"], [0, 1], analyses=True, layers=("stem", "head"))
    for number, dataset in enumerate(("trees", "ferns")):
        pack(data / "prepared" / dataset, dataset=dataset, size=8, seed=number, train=8 + number)
        write_fold_all(data / "prepared" / dataset)
    for seed in (0, 1):
        write_weights(data / f"checkpoints/trees/net/0/{seed}/weights", seed)
        write_embeddings(data / f"embeddings/trees/net/0/{seed}", seed)


def write_weights(folder: Path, seed: int) -> None:
    for step in STEPS:
        info = CheckpointInfo(step, SEEN, NETWORK.model_dump(), {})
        weight = torch.full((8, 9), float(100 * seed + step))
        write_checkpoint(folder, {"weight": weight}, info)
    finish_checkpoints(folder, ("trees", "net", "0", seed))


def write_embeddings(path: Path, seed: int) -> None:
    """Two splits of three images at every step, and at the last also three training images."""
    with embedding_writer(path, seed, ["test"] * 3 + ["unseen"] * 3, STEPS) as outer:
        fill(outer, seed)
        with embedding_writer(path / LAST_STEP, seed, ["train"] * 3, STEPS[-1:]) as inner:
            fill(inner, seed + 2)


def embedding_writer(path: Path, seed: int, splits: list[str], steps: Sequence[int]) -> EmbeddingWriter:
    labels = [f"{'new' if split == 'unseen' else 'old'}{row % 2}" for row, split in enumerate(splits)]
    samples = pd.DataFrame({"split": splits, "label": labels, "group": ""})
    samples["sample_id"] = samples["split"] + samples.index.astype(str)
    of = cell_id(("trees", "net", "0", seed))
    return EmbeddingWriter(
        path, samples=samples, steps=steps, layers=LAYERS, classes=["old0", "old1"], dtype="float32", attributes=of
    )


def fill(writer: EmbeddingWriter, seed: int) -> None:
    random = np.random.default_rng(seed)
    for step in writer.steps:
        for name, width in (*((layer.name, layer.width) for layer in LAYERS), (LOGITS, 2)):
            if name != BASELINE or step == writer.steps[0]:
                writer.write(name, step, random.normal(size=(writer.count, width)).astype(np.float32))


def read_prepared(data: Path) -> object:
    images = open_images(data / "prepared" / "trees", "0", dataset="trees")
    return images.read(np.arange(len(images.manifest))).tobytes(), images.manifest.to_csv()


def read_weights(data: Path) -> object:
    images = open_images(data / "prepared" / "trees", "0", dataset="trees")
    folder, cell = data / "checkpoints/trees/net/0/0/weights", ("trees", "net", "0", 0)
    found = checked_checkpoints(folder, images, cell)
    states = [read_state(path) for path in found.paths.values()]
    return found.last, [{name: tensor.tolist() for name, tensor in state.items()} for state in states]


def read_measured(data: Path) -> object:
    store = open_embeddings(data / "embeddings/trees/net/0/0")
    assert store.last_step is not None
    check_cell(store, ("trees", "net", "0", 0))
    pictures = read_thumbnails(data / "thumbnails" / "trees", "trees").to_csv()
    return pictures, [everything_in(each) for each in (store, store.last_step)]


def everything_in(store: Embeddings) -> object:
    read = [
        values.tolist()
        for step in store.steps
        for split in store.splits
        for values in (store.logits(step, split), *(store.features(layer, step, split) for layer in store.layers))
    ]
    return store.samples.to_csv(), store.classes, store.layers, read


def read_measures(data: Path) -> object:
    run = RunParams(datasets=["trees"], models=["net"], folds=[0], seeds=[0, 1])
    measures = data / "measures"
    tables = read_tables(measures, data / "training", run, ["k_sensitivity"])
    read = [tables.courses, tables.layers, tables.refits, *tables.analyses.values()]
    read += read_galleries(measures, run).values()
    manifest = read_manifest(open_prepared(data / "prepared" / "trees", "trees")).to_csv()
    read += [tables.images(cell, [100], ["nn1_accuracy"]) for cell in run.cells()]
    return [table.to_csv() for table in read] + [repr(tables.catalogue), manifest]


READERS: dict[str, Callable[[Path], object]] = {
    "finetune": read_prepared,
    "embed": read_weights,
    "measure": read_measured,
    "aggregate": read_measures,
}
"""By the stage that reads: everything that it reads."""
