"""What a cut's card says: facts of the network, the data, the scores and the files, as plain values."""

import hashlib
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Any

import pandas as pd

from stages.aggregate.curves import MEAN
from stages.aggregate.formatting import place
from stages.aggregate.result_files import check_result
from stages.aggregate.tables.depth import DEPTH_COLUMNS
from stages.commands.cut.cell import CellPaths, Source
from stages.embed.cell import library_versions
from stages.embed.taps.trace import trace_forward
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.files.csv_table import read_table
from stages.shared.images.image_store import fold_path

UNKNOWN = "unknown"
PACKAGES_OF_FILES = {"model.onnx": ("onnx", "onnxscript", "onnxruntime")}


def layer_facts(source: Source) -> dict[str, Any]:
    """Say which layer it is."""
    layer = source.layer
    return {
        "name": layer.name,
        "module": layer.module,
        "place": place(layer.depth, source.n_layers - 1),
        "depth": layer.depth,
        "layers": source.n_layers,
        "pooling": layer.pooling,
        "width": layer.width,
    }


def network_facts(source: Source, licence: str | None) -> dict[str, Any]:
    """Say which network it is part of, and where its first weights came from; no path of this machine."""
    params = source.network_params
    weights = {name: value for name, value in params.weights.model_dump().items() if value is not None}
    if "path" in weights:
        weights["path"] = Path(weights["path"]).name
    return {
        "library": params.library,
        "name": params.name,
        "config": params.config,
        "weights": weights,
        "weights_licence": licence or find_licence(source),
        "image_size": params.image_size,
        "frozen": params.frozen,
        "checkpoint_sha256": _sha256(source.checkpoint),
    }


def find_licence(source: Source) -> str:
    """Look up the licence of the pre-trained weights where timm or a package says it; else `unknown`."""
    params = source.network_params
    if params.weights.source == "hub" and params.library == "timm":
        return str(source.network.module.pretrained_cfg.get("license") or UNKNOWN)  # type: ignore[union-attr,operator]
    if params.weights.source == "package":
        try:
            about = metadata(str(params.weights.name))
        except PackageNotFoundError:
            return UNKNOWN
        said = next((about[key] for key in ("License-Expression", "License") if key in about), UNKNOWN)
        return UNKNOWN if said.lower() == UNKNOWN else said
    return "none: random weights" if params.weights.source == "none" else UNKNOWN


def data_facts(source: Source, prepared: Path, fold: str) -> dict[str, Any]:
    """Say what the network was trained on, with hashes: the manifest lists the hash of every image."""
    return {
        "source": source.dataset.source,
        "images": len(source.images.manifest),
        "manifest_sha256": _sha256(prepared / "manifest.csv"),
        "fold_sha256": _sha256(fold_path(prepared, fold)),
        "classes": list(source.info.classes),
        "unseen_classes": list(source.images.unseen),
    }


def size_facts(kept: Collection[str], source: Source) -> dict[str, Any]:
    """Count parameters, and multiply-adds for one image, of the cut and of the whole network.

    Args:
        kept: names of the tensors that the cut holds.
        source: the network that it is part of.
    """
    parameters = {name: p.numel() for name, p in source.network.module.named_parameters()}
    return {
        "parameters": sum(count for name, count in parameters.items() if name in kept),
        "network_parameters": sum(parameters.values()),
        "multiply_adds": source.layer.operations,
        "network_multiply_adds": trace_forward(source.network.module, source.network.image_size).operations[""],
    }


def score_facts(source: Source, paths: CellPaths) -> list[dict[str, Any]]:
    """List the layer's scores at its last step over all folds, with intervals; none before aggregate has run."""
    path = paths.results / "depth.csv"
    if not path.is_file():
        return []
    table = read_table(check_result(path), DEPTH_COLUMNS, what="a table of scores against depth", stage="aggregate")
    layer = source.layer
    poolings = table["pooling"].str.split("+").map(lambda names: layer.pooling in names or layer.pooling == "none")
    of_layer = (table["dataset"] == source.store.dataset) & (table["model"] == source.store.model) & poolings
    of_layer &= (table["layer"] == layer.module) & (table["fold"] == MEAN) & (table["step"] == source.step)
    rows = table[of_layer & table["split"].isin([SEEN, UNSEEN])].drop_duplicates(["metric", "split"])
    return [_score(row) for row in rows.to_dict("records")]


def _score(row: Mapping[Any, Any]) -> dict[str, Any]:
    for scope in ("classes", "images"):
        low, high = row[f"ci_{scope}_low"], row[f"ci_{scope}_high"]
        if pd.notna(low):
            bounds = {"interval": [low, high], "scope": f"other {scope}"}
            break
    else:
        bounds = {}
    return {"metric": row["metric"], "split": row["split"], "value": row["value"], **bounds}


def version_facts(source: Source, files: Mapping[str, int]) -> dict[str, str]:
    """Say with which versions it was made."""
    versions = library_versions(source.network_params.library)
    extra = [name for file in files for name in PACKAGES_OF_FILES.get(file, ())]
    return versions | {name: version(name) for name in extra}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
