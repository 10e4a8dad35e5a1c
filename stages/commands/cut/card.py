"""The model card of a cut: facts of the network, the data, the scores and the files, and README.md, which has them."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from stages.aggregate.curves import MEAN
from stages.aggregate.facts import read_facts
from stages.aggregate.result_files import check_result
from stages.aggregate.tables.score_tables import DEPTH_COLUMNS
from stages.aggregate.words.formatting import decimals, interval, place
from stages.aggregate.words.scores import metric_name
from stages.commands.cut.cell import Source
from stages.embed.taps.tap import trace_forward
from stages.shared.core.csv_table import read_table
from stages.shared.core.digests import file_sha256, flat
from stages.shared.core.params import ALL
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.images.image_store import fold_path
from stages.shared.tables.metric_table import read_layer_scores

UNKNOWN = "unknown"

SQUARE = {
    "crop": "ImageOps.fit(image, (S, S), Image.Resampling.BILINEAR)",
    "pad": "ImageOps.pad(image, (S, S), Image.Resampling.BILINEAR, color=(fill,) * 3)",
    "squash": "image.resize((S, S), Image.Resampling.BILINEAR)",
}
"""How an RGB image becomes square, by the dataset's `fit`, as prepare does it."""

DECODE = """\
import numpy, {runtime}
from PIL import Image, ImageOps
S, fill, bits = {image_size}, {fill}, {bits}
image = Image.open("image.png")
image.draft(None, (2 * S, 2 * S))  # of large JPEGs
image = ImageOps.exif_transpose(image)
if image.mode[0] in "IF":  # grey of 16 bits; an IndexError if it has larger values than `bits` allows
    image = Image.fromarray(numpy.linspace(0, 255, 2**bits).round().astype("uint8")[numpy.asarray(image)])
image = Image.alpha_composite(Image.new("RGBA", image.size, (fill,) * 3 + (255,)), image.convert("RGBA")).convert("RGB")
pixels = numpy.array({square}).transpose(2, 0, 1)[None]
"""
RUN = {
    "torch": "with torch.inference_mode():\n"
    '    embedding = torch.export.load("model.pt2").module()(torch.from_numpy(pixels))',
    "onnxruntime": 'session = onnxruntime.InferenceSession("model.onnx")\n'
    'embedding = session.run(["embedding"], {"pixels": pixels})[0]',
}
"""Lines that embed an image file, by runtime."""

SCALED = {
    "none": "not scaled",
    "l2": "scaled to length 1",
    "standard": "each number standardized as over the study's images",
    "each": "each layer's scaled to length 1, then joined",
}
"""What is done to the numbers of an embedding."""

README = """\
# {network[name]} up to layer {layer[place]} (`{layer[name]}`)

{network[name]} of {network[library]}, {trained}, cut after layer {layer[place]} (`{layer[name]}`). \
From RGB images of {decode[image_size]} x {decode[image_size]} pixels it computes embeddings of {layer[width]} numbers \
(pooling: {layer[pooling]}; {scaled}). Resizing and normalization are inside.

## Scores

{scores_table}

## Use

{use}

## What it is

All that card.json says. `agreement` is how far its embeddings are at most from {agreement[source]}, relative to an \
embedding's length, and how far they may be; hashes are SHA-256, that of the manifest covers every image; `command` \
makes it again.

| | |
|---|---|
{facts}
"""


def facts_of(source: Source, tensors: Collection[str], licence: str | None) -> dict[str, Any]:
    """Collect what a card says of a layer, its network, data, size and scores, as JSON values.

    Args:
        source: what is cut.
        tensors: names of those that the cut holds.
        licence: of the pre-trained weights; None: what timm or a package says.
    """
    layer, params, network = source.layer, source.network_params, source.cell.embedder.network
    n_layers = len({pooled.tap.path for pooled in source.cell.embedder.layers})
    weights = {name: value for name, value in params.weights.model_dump().items() if value is not None}
    if "path" in weights:
        weights["path"] = Path(weights["path"]).name  # no path of this machine
    images, prepared = source.cell.images, source.paths.prepared
    parameters = {name: p.numel() for name, p in network.module.named_parameters()}
    last = place(source.layers[-1].layer.depth, n_layers - 1)
    return {
        "layer": {name: getattr(layer, name) for name in ("name", "module", "depth", "pooling", "width")}
        | {"scale": source.scaler.scaling, "layers": n_layers}
        | {"place": " and ".join([*(str(each.layer.depth + 1) for each in source.layers[:-1]), last])},
        "network": {name: getattr(params, name) for name in ("library", "name", "config", "image_size", "frozen")}
        | {"weights": weights, "weights_licence": licence or find_licence(source)}
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
        "size": {
            "parameters": sum(count for name, count in parameters.items() if name in tensors),
            "network_parameters": sum(parameters.values()),
            "multiply_adds": layer.operations,
            "network_multiply_adds": trace_forward(network.module, network.transform.size).operations[""],
        },
    }


def find_licence(source: Source) -> str:
    """Look up the licence of the pre-trained weights where timm or a package says it; else `unknown`."""
    params, licence = source.network_params, None
    if params.weights.source == "none":
        return "none: random weights"
    if params.weights.source == "hub" and params.library == "timm":
        module: Any = source.cell.embedder.network.module
        licence = module.pretrained_cfg.get("license")
    elif params.weights.source == "package":
        with suppress(PackageNotFoundError):
            about = metadata(str(params.weights.name))
            licence = next((about[key] for key in ("License-Expression", "License") if key in about), None)
    return UNKNOWN if not licence or licence.lower() == UNKNOWN else str(licence)


def layer_scores(source: Source) -> list[dict[str, Any]]:
    """List the layer's scores over all folds, of rows scaled as the cut's are, at the last step with intervals.

    None before aggregate has run.
    """
    path, store, layer = source.paths.results / "depth.csv", source.store, source.layer
    if not path.is_file():
        return []
    table = read_table(check_result(path), DEPTH_COLUMNS, what="a table of scores against depth", stage="aggregate")
    poolings = table["pooling"].str.split("+").map(lambda names: layer.pooling in names or layer.pooling == "none")
    of_layer = table[_of_layer(table, source) & (table["fold"] == MEAN) & poolings]
    if source.step != store.steps[-1]:  # which depth.csv is of
        of_layer = pd.concat([of_layer, _means(source)])
    facts, scale, scores = read_facts(path.parent), source.scaler.scaling, []
    others = any(each.neighbours == "other_groups" for each in facts.recommendations)
    groups = {"neighbours": "other_groups"} if others else {}
    scalings = of_layer["metric"].isin(facts.unit_rows).map({True: "l2", False: "none"})
    for row in of_layer[scalings == scale].drop_duplicates(["metric", "split"]).to_dict("records"):
        score = {name: row[name] for name in ("metric", "split", "value")} | {"scale": scale} | groups
        scope = next((scope for scope in ("classes", "images") if pd.notna(row[f"ci_{scope}_low"])), None)
        if scope:
            score |= {"interval": [row[f"ci_{scope}_low"], row[f"ci_{scope}_high"]], "scope": f"other {scope}"}
        scores.append(score)
    return scores


def _of_layer(table: pd.DataFrame, source: Source) -> "pd.Series[bool]":
    keys = {"dataset": source.store.dataset, "model": source.store.model, "layer": source.layer.module}
    same = (table[[*keys, "step"]] == pd.Series(keys | {"step": source.step})).all(axis=1)
    return same & table["split"].isin([SEEN, UNSEEN])


def _means(source: Source) -> pd.DataFrame:
    """Average the scores of layers.csv over seeds and folds."""
    table = read_layer_scores(check_result(source.paths.results / "layers.csv"))
    table = table[_of_layer(table, source) & (table["pooling"] == source.layer.pooling) & (table["fold"] != ALL)]
    return table.groupby(["metric", "split"], sort=False)["value"].mean().reset_index()


def readme(card: Mapping[str, Any], decode: Mapping[str, Any]) -> str:
    """Write README.md.

    Args:
        card: the content of card.json.
        decode: of preprocess.json.
    """
    steps = "for {step} steps on {dataset}".format(**card["cell"])
    use = "With torch, in this folder:\n\n" + code(decode, "torch")
    if "model.onnx" in card["files"]:
        use += "\n\nWith onnxruntime:\n\n" + code(decode, "onnxruntime")
    leaves = {name: value for section, content in card.items() for name, value in flat(content, section).items()}
    del leaves["scores"]
    texts = {name: ", ".join(leaf) if isinstance(leaf, list) else leaf for name, leaf in leaves.items()}
    return README.format(
        **card,
        decode=decode,
        scaled=SCALED["each" if "+" in card["layer"]["pooling"] else card["layer"]["scale"]],
        trained=f"fine-tuned {steps}" if card["cell"]["step"] else "which was not fine-tuned",
        facts="\n".join(f"| {name} | {text} |" for name, text in texts.items()),
        scores_table=_scores(card["scores"]),
        use=use,
    )


def _scores(scores: list[dict[str, Any]]) -> str:
    if not scores:
        return "None: the workflow has no results of this layer at this step with numbers scaled so."
    rows = []
    for score in scores:
        bounds = f" {interval(*score['interval'])} ({score['scope']})" if "interval" in score else ""
        rows.append((metric_name(score["metric"]), score["split"], decimals(score["value"]) + bounds))
    groups = " (neighbours are images of other groups alone)" if "neighbours" in scores[0] else ""
    table = tabulate(rows, headers=("score", "split", "value"), tablefmt="pipe", disable_numparse=True)
    return (
        f"Of this layer at this step, {SCALED[scores[0]['scale']]}{groups}, means over the folds and seeds of the "
        "study: of unseen classes, and of test images of seen ones. [ ]: intervals over what is named; "
        f"docs/uncertainty.md of whichlayer says at which level they hold.\n\n{table}"
    )


def code(decode: Mapping[str, Any], runtime: str) -> str:
    """Write the lines that embed `image.png` with nothing but `torch` or `onnxruntime`, NumPy and Pillow."""
    square = SQUARE[decode["fit"]]
    return f"```python\n{DECODE.format(**decode, runtime=runtime, square=square)}{RUN[runtime]}\n```"
