"""The library and the workflow give the same bytes: a folder of images through four stages, and as arrays."""

import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.aggregate.params import AggregateParams
from stages.aggregate.words.verdict import verdict
from stages.embed.__main__ import main as embed
from stages.embed.embedder import raw_pixels
from stages.embed.params import TapsParams
from stages.library import score
from stages.library.checks import Layers
from stages.library.embedding import embed_named
from stages.library.export import compute_results
from stages.library.settings import arguments_of
from stages.measure.__main__ import main as measure
from stages.measure.params import MeasureParams
from stages.prepare.__main__ import main as prepare
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.embeddings.embeddings import BASELINE
from stages.shared.images.image_store import open_images
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, write_checkpoint
from stages.shared.workflow.params import load
from tests.commands.features.made import write_images

CELL = ("trees", "tiny", "0", 0)
FILES = {
    "layers.csv", "clusterings.csv", "images.parquet", "refits.parquet", "scores.json", "layer_pairs.csv",
}  # fmt: skip
TINY = {
    "library": "timm", "name": "test_resnet.r160_in1k", "weights": {"source": "none"}, "image_size": 32, "frozen": True
}  # fmt: skip
DATASET = {"source": "folder", "image_size": 32, "unseen_classes": "all"}
MEASURE = {
    "metrics": ["map_at_r", "nn1_accuracy", "nmi", "probe_accuracy"], "extra": {"metrics": ["ami"], "steps": "ends"},
    "analyses": ["layer_pairs"], "normalize": "l2", "kmeans": {"starts": 5, "polished": 2, "seed": 0},
    "knn_k": "split", "neighbours": "all", "probe": {"C": 1.0, "folds": 3, "steps": "ends"},
    "refits": {"metrics": ["map_at_r", "nmi"], "steps": "ends", "halves": 4, "starts": 3, "polished": 1},
}  # fmt: skip
EMBED = {
    "splits": ["test", "unseen"], "pooling": ["auto"], "augment": False, "baseline_size": 4, "dtype": "float32",
    "batch_size": 8, "train_per_class": 0,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The artifacts of a cell in which all classes are unseen, as the stages write them."""
    params = {"prepare": {"seed": 0}, "embed": EMBED, "measure": MEASURE, "finetune": {"steps": [0], "keep": "all"}}
    params |= {"run": {"datasets": ["trees"], "models": ["tiny"], "folds": [0], "seeds": [0]}, "aggregate": {}}
    params |= {"datasets": {"trees": DATASET}, "models": {"tiny": {"network": TINY, "taps": {"layers": "default"}}}}
    YAML(typ="safe").dump(params, tmp_path / "params.yaml")
    write_images(tmp_path / "raw")
    network = NetworkParams.model_validate(TINY)
    info = CheckpointInfo(0, (), network.model_dump(), {"degrees": 10.0, "padding": 20})
    write_checkpoint(tmp_path / "weights", build_network(network, 1, seed=0).body_state(), info)
    finish_checkpoints(tmp_path / "weights", CELL)
    options = [f"--{name}={value}" for name, value in zip(("dataset", "model", "fold", "seed"), CELL, strict=True)]
    options.append(f"--params={tmp_path / 'params.yaml'}")
    artifacts = {
        prepare: {"raw": "raw", "out": "prepared", "thumbnails": "thumbnails"},
        embed: {"prepared": "prepared", "weights": "weights", "out": "embeddings"},
        measure: {"embeddings": "embeddings", "thumbnails": "thumbnails", "out": "measures"},
    }
    for stage, paths in artifacts.items():
        named = [f"--{option}={tmp_path / name}" for option, name in paths.items()]
        monkeypatch.setattr(
            sys, "argv", ["stage", *(options[:1] + options[-1:] if stage is prepare else options), *named]
        )
        stage()
    return tmp_path


def test_of_a_study_in_which_all_classes_are_unseen(folder: Path):
    images = open_images(folder / "prepared", "0")
    store = open_embeddings(folder / "embeddings")
    pixels = images.read(images.rows("unseen"))
    network = NetworkParams.model_validate(TINY)
    layers = embed_named(network, pixels, len(pixels), TapsParams(), ["auto"], EMBED["batch_size"])["auto"]
    arrays = Layers({BASELINE: raw_pixels(pixels, EMBED["baseline_size"]), **layers}, layers.described)
    measured = MeasureParams.model_validate(load(folder / "params.yaml")["measure"])
    scored = score(
        arrays,
        store.labels("unseen"),
        ids=store.samples["sample_id"].to_numpy(dtype=str),
        metrics=measured.all_metrics,
        **arguments_of(measured),
        dataset="trees",
        model="tiny",
    )
    aggregate = AggregateParams(main_metric="map_at_r", accuracy_margin=0.05)
    results, *_ = compute_results(folder / "as_arrays", scored, measure=measured, aggregate=aggregate, workers=1)
    long_way, short_way = results.facts, scored._scored.facts
    assert [each.model_copy(update={"regret": []}) for each in long_way.recommendations] == short_way.recommendations
    assert verdict(long_way, embeds=False) == scored.verdict()
    own = folder.joinpath("as_arrays", *map(str, CELL))
    assert {name for name in FILES if (own / name).is_file()} == FILES
    for name in sorted(FILES):
        assert (own / name).read_bytes() == (folder / "measures" / name).read_bytes(), name
