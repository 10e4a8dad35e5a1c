"""The model card of a cut: facts of the network, the data, the scores and the files, and README.md, which has them."""

import re
from collections.abc import Collection, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Template

from ...aggregate.facts_file import read_facts
from ...aggregate.result_files import check_result
from ...aggregate.words.formatting import place
from ...embed.taps.tap import trace_forward
from ...shared.embeddings.split_names import SEEN, UNSEEN
from ...shared.images.image_store import fold_path
from ...shared.networks.network import Network
from ...shared.networks.params import NetworkParams
from ...shared.tables.metric_table import read_layer_scores
from ...shared.workflow.digests import file_sha256
from ...shared.workflow.params import ALL
from .represented import Represented
from .source import Source

UNKNOWN = "unknown"

SPDX = {r"Apache\b.*\b2(\.0)?\b": "Apache-2.0", r"(The )?MIT License\b": "MIT", r"BSD 3-Clause\b": "BSD-3-Clause"}
"""How packages name licences, and their identifiers."""

HUB_LICENCES = ("apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc0-1.0", "mit", UNKNOWN)
"""Those that the front matter of a model card names by these words; any other one is `other`, with its name."""

SQUARE = {
    "crop": "ImageOps.fit(image, (S, S), Image.Resampling.BILINEAR)",
    "pad": "ImageOps.pad(image, (S, S), Image.Resampling.BILINEAR, color=(fill,) * 3)",
    "squash": "image.resize((S, S), Image.Resampling.BILINEAR)",
}
"""How an RGB image becomes square, by the dataset's `fit`, as prepare does it."""

RUN = {
    "torch": "with torch.inference_mode():\n"
    '    embedding = torch.export.load("model.pt2").module()(torch.from_numpy(pixels))',
    "onnxruntime": 'session = onnxruntime.InferenceSession("model.onnx")\n'
    'embedding = session.run(["embedding"], {"pixels": pixels})[0]',
}
"""Lines that embed pixels, by runtime."""

HEAD, REPRESENTATION_HEAD, USE = (
    Path(__file__).with_name(name) for name in ("card.md.j2", "representation.md.j2", "use.md.j2")
)
"""The card of a layer, that of a representation, and how to load the files, which ends any card."""


def facts_of(source: Source, tensors: Collection[str], licence: str | None) -> dict[str, Any]:
    """Collect what a card says of a layer, its network, data, size and scores, as JSON values.

    Args:
        source: what is cut.
        tensors: names of those that the cut holds.
        licence: of the pre-trained weights; None: what timm or a package says.
    """
    layer, params, network = source.layer, source.network_params, source.cell.embedder.network
    n_layers = len({pooled.tap.path for pooled in source.cell.embedder.layers})
    images, prepared = source.cell.images, source.paths.prepared
    last = place(source.layers[-1].layer.depth, n_layers - 1)
    made = {"representation": source.scaler.about} if isinstance(source.scaler, Represented) else {}
    return made | {
        "layer": {name: getattr(layer, name) for name in ("name", "module", "depth", "pooling", "width")}
        | {"scale": source.scaler.scaling, "layers": n_layers}
        | {"place": " and ".join([*(str(each.layer.depth + 1) for each in source.layers[:-1]), last])},
        "network": network_facts(params, network.module, licence)
        | {"checkpoint_sha256": file_sha256(source.checkpoint)},
        "data": {
            "source": source.dataset.source,
            "images": len(images.manifest),
            "manifest_sha256": file_sha256(prepared / "manifest.csv"),  # which lists the hash of every image
            "fold_sha256": file_sha256(fold_path(prepared, source.store.fold)),
            "classes": list(source.cell.classes),
            "unseen_classes": list(images.unseen),
        },
        "scores": layer_scores(source),
        "size": size_facts(network, tensors, layer.operations),
    }


def size_facts(network: Network, tensors: Collection[str], operations: int) -> dict[str, int]:
    """Count the parameters and multiply-adds per image of a cut, and of its whole network.

    Args:
        network: the whole one.
        tensors: names of those that the cut holds.
        operations: multiply-adds of the cut.
    """
    parameters = {name: p.numel() for name, p in network.module.named_parameters()}
    return {
        "parameters": sum(count for name, count in parameters.items() if name in tensors),
        "network_parameters": sum(parameters.values()),
        "multiply_adds": operations,
        "network_multiply_adds": trace_forward(network.module, network.transform.size).operations[""],
    }


def network_facts(params: NetworkParams, module: Any, licence: str | None) -> dict[str, Any]:
    """Collect what a card says of a network: its entry, its weights and their licence."""
    weights = {name: value for name, value in params.weights.model_dump().items() if value is not None}
    if "path" in weights:
        weights["path"] = Path(weights["path"]).name  # no path of this machine
    facts = {name: getattr(params, name) for name in ("library", "name", "config", "image_size", "frozen")}
    return facts | {"weights": weights, "weights_licence": licence or find_licence(params, module)}


def find_licence(params: NetworkParams, module: Any) -> str:
    """Look up the licence of the pre-trained weights where timm or a package names it; else `unknown`."""
    licence = None
    if params.weights.source == "none":
        return "none: random weights"
    if params.weights.source == "hub" and params.library == "timm":
        licence = module.pretrained_cfg.get("license")
    elif params.weights.source == "package":
        try:
            licence = package_licence(distribution(str(params.weights.name)))
        except PackageNotFoundError:
            licence = None
    return UNKNOWN if not licence else str(licence)


def package_licence(package: Distribution) -> str | None:
    """Return the licence that a package names, or the first line of its licence file; None if it has neither."""
    named = [package.metadata[key] for key in ("License-Expression", "License") if key in package.metadata]
    named += [
        file.read_text(encoding="utf-8").strip().partition("\n")[0]
        for file in package.files or []
        if re.match("licen[cs]e", file.name, flags=re.IGNORECASE)
    ]
    licence = next((each for each in named if each.lower() != UNKNOWN), None)
    return next((name for text, name in SPDX.items() if licence and re.match(text, licence)), licence)


def layer_scores(source: Source) -> list[dict[str, Any]]:
    """Average the layer's scores of rows scaled as the cut's over folds and seeds; none before aggregate has run."""
    path, store, layer = source.paths.results / "layers.csv", source.store, source.layer
    if not path.is_file():
        return []
    table = read_layer_scores(check_result(path))
    scales = table["metric"].isin(read_facts(path.parent).unit_rows).map({True: "l2", False: "none"})
    keys: dict[str, Any] = {"dataset": store.dataset, "model": store.model, "step": source.step}
    keys |= {"layer": layer.module, "pooling": layer.pooling}
    same = (table[[*keys]] == pd.Series(keys)).all(axis=1) & (scales == source.scaler.scaling)
    rows = table[same & table["split"].isin([SEEN, UNSEEN]) & (table["fold"] != ALL)]
    means = rows.groupby(["metric", "split"], sort=False)["value"].mean().reset_index()
    return [{str(name): value for name, value in row.items()} for row in means.to_dict("records")]


def readme(card: Mapping[str, Any], decode: Mapping[str, Any], head: Path = HEAD) -> str:
    """Write README.md.

    Args:
        card: the content of card.json.
        decode: of preprocess.json.
        head: the template of what it is.
    """
    template = Template(
        "".join(path.read_text(encoding="utf-8") for path in (head, USE)), trim_blocks=True, lstrip_blocks=True
    )
    licence = card["network"]["weights_licence"].lower()
    hub_licence = licence if licence in HUB_LICENCES else "other"
    return str(template.render(card, decode=decode, square=SQUARE[decode["fit"]], run=RUN, hub_licence=hub_licence))
