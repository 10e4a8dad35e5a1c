"""README.md of a cut: the model card, from what card.json holds."""

from collections.abc import Mapping
from typing import Any

from stages.aggregate.formatting import decimals, interval
from stages.aggregate.metric_info import metric_name
from stages.commands.cut.folder import ONNX, Cut

SQUARE = {
    "crop": "ImageOps.fit(image, (S, S), Image.Resampling.BILINEAR)",
    "pad": "ImageOps.pad(image, (S, S), Image.Resampling.BILINEAR, color=(fill,) * 3)",
    "squash": "image.resize((S, S), Image.Resampling.BILINEAR)",
}
"""How an RGB image becomes square, by the dataset's `fit`, as prepare does it."""


def readme(cut: Cut, card: Mapping[str, Any]) -> str:
    """Write the model card.

    Args:
        cut: what it is.
        card: the content of card.json.
    """
    sections = [_title(cut, card), _facts(cut, card), _scores(card), _data(card), _use(cut, card), _made(card)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _title(cut: Cut, card: Mapping[str, Any]) -> str:
    network, layer = card["network"], card["layer"]
    trained = "as it is" if network["frozen"] else f"fine-tuned on {cut.dataset} for {cut.step} steps"
    return (
        f"# {network['name']} up to layer {layer['place']} (`{layer['name']}`)\n\n"
        f"{network['name']} of {network['library']}, {trained}, cut after layer {layer['place']} (`{layer['name']}`). "
        f"From RGB images of {cut.image_size} x {cut.image_size} pixels it computes embeddings of {cut.width} numbers "
        f"(pooling: {cut.pooling}). Resizing and normalization are inside."
    )


def _facts(cut: Cut, card: Mapping[str, Any]) -> str:
    network, size, agreement = card["network"], card["size"], card["agreement"]
    weights = ", ".join(f"{name} {value}" for name, value in network["weights"].items())
    rows = {
        "checkpoint": f"{cut.dataset}, {cut.model}, fold {cut.fold}, seed {cut.seed}, step {cut.step}",
        "pre-trained weights": f"{weights}; licence: {network['weights_licence']}",
        "parameters": _of(size["parameters"], size["network_parameters"]),
        "multiply-adds per image": _of(size["multiply_adds"], size["network_multiply_adds"]),
        "files": ", ".join(f"`{name}` {count / 1e6:.2f} MB" for name, count in card["files"].items()),
        "agreement": f"with {agreement['source']}, {agreement['images']} images of the split {agreement['split']}: "
        + ", ".join(f"`{name}` {value:.1e}" for name, value in agreement["distance"].items())
        + f" of an embedding's length at most ({agreement['tolerance']:g} allowed)",
        "versions": ", ".join(f"{name} {number}" for name, number in card["versions"].items()),
    }
    return _table(("", ""), list(rows.items()))


def _of(part: int, whole: int) -> str:
    return f"{part:,} of the network's {whole:,} ({part / max(whole, 1):.1%})"


def _scores(card: Mapping[str, Any]) -> str:
    scores = card["scores"]
    if not scores:
        return "## Scores\n\nNone: the workflow has no results of this layer at this step."
    metrics = dict.fromkeys(score["metric"] for score in scores)
    cells = {(score["metric"], score["split"]): _value(score) for score in scores}
    rows = [(metric_name(name), *(cells.get((name, split), "") for split in ("unseen", "test"))) for name in metrics]
    table = _table(("score", "unseen classes", "seen classes, other images"), rows)
    return (
        "## Scores\n\nOf this layer at this step, means over the folds and seeds of the study. Brackets: intervals "
        f"over what is named; docs/uncertainty.md of whichlayer says at which level they hold.\n\n{table}"
    )


def _value(score: Mapping[str, Any]) -> str:
    if "interval" not in score:
        return decimals(score["value"])
    return f"{decimals(score['value'])} {interval(*score['interval'])} ({score['scope']})"


def _data(card: Mapping[str, Any]) -> str:
    data = card["data"]
    classes = ", ".join(data["classes"]) or "none (the network was taken as it is)"
    unseen = ", ".join(data["unseen_classes"]) or "none"
    return (
        f"## Data\n\nTrained on the classes: {classes}.\n\nNot trained on: {unseen}.\n\n"
        f"{data['images']} images of source `{data['source']}`. SHA-256 of the list of images with the hash of each "
        f"`{data['manifest_sha256']}`, of the fold `{data['fold_sha256']}`, of the checkpoint "
        f"`{card['network']['checkpoint_sha256']}`."
    )


def _use(cut: Cut, card: Mapping[str, Any]) -> str:
    onnx = _code(loading(cut, "onnx")) if ONNX in card["files"] else ""
    with_onnx = f"\n\nWith onnxruntime:\n\n{onnx}" if onnx else ""
    return f"## Use\n\nWith torch, in this folder:\n\n{_code(loading(cut, 'torch'))}{with_onnx}"


def loading(cut: Cut, runtime: str) -> list[str]:
    """Write the lines that embed `image.png` with nothing but `torch` or `onnxruntime`, NumPy and Pillow."""
    imports = "import numpy, torch" if runtime == "torch" else "import numpy, onnxruntime"
    decode = [
        "from PIL import Image, ImageOps",
        f"S, fill = {cut.image_size}, {cut.fill}",
        'image = Image.open("image.png")',
        "image.draft(None, (2 * S, 2 * S))  # of large JPEGs",
        'image = ImageOps.exif_transpose(image).convert("RGBA")',
        'image = Image.alpha_composite(Image.new("RGBA", image.size, (fill, fill, fill, 255)), image).convert("RGB")',
        f"pixels = numpy.array({SQUARE[cut.fit]}).transpose(2, 0, 1)[None]",
    ]
    run = {
        "torch": [
            "with torch.inference_mode():",
            '    embedding = torch.export.load("model.pt2").module()(torch.from_numpy(pixels))',
        ],
        "onnx": [
            'session = onnxruntime.InferenceSession("model.onnx")',
            'embedding = session.run(["embedding"], {"pixels": pixels})[0]',
        ],
    }[runtime]
    return [imports, *decode, *run]


def _made(card: Mapping[str, Any]) -> str:
    return f"## Made by\n\n    {card['command']}"


def _code(lines: list[str]) -> str:
    return "\n".join(["```python", *lines, "```"])


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
