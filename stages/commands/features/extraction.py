"""What turns images into features: layers of a finished cell's network, or the network of a cut.

A run may be cut short: finished shards of images are kept (`stages.shared.workflow.kept_work`) and taken up again.

    <number>-<key>.npz    one shard: features, the SHA-256 of every image, and which it lacks

The key is a hash of what determines the shard beside the images' content: the network, how they are decoded, and their
names. A shard of another key, or of images whose hashes are others now, is not used.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...embed.embedder import stored
from ...embed.params import EmbedParams
from ...library.embedding import BATCH_SIZE
from ...prepare.bits import FULL, Depth, fewest_bits
from ...prepare.decode import decode_many, digest, read_content
from ...prepare.raw_files import RawFiles
from ...shared.images.image_store import Pixels, filled
from ...shared.networks.device import choose_device
from ...shared.runtime.bound import DECODING, tell_bound
from ...shared.runtime.errors import UserError
from ...shared.runtime.progress import progress
from ...shared.workflow.digests import cell_id, file_sha256, json_hash
from ...shared.workflow.kept_work import KeptWork
from ...shared.workflow.params import read_section
from ...shared.workflow.versions import library_versions
from ..cut.export import explained, load_run
from ..cut.folder import AGAIN, PREPROCESS, PROGRAM, check_versions, read_cut
from ..cut.representation import DECODE, open_representation
from ..cut.source import CellPaths, Float32, Source, Wanted, embedding, named_cell, open_source
from .image_files import refuse_unreadable

ROTATED = "with embed.augment the stored embeddings come from rotated images; new images are not rotated"

DARK = (
    "features: images with 16 bits per sample use {bits} and come out dark, since 65535 is white in the network's "
    "dataset; save them with 8 bits if theirs is {white}"
)

OTHERS = (
    "features: {count} of {before} parts from an earlier run are made anew, since their images, the network or an "
    "option changed"
)

EmbedPixels = Callable[[Pixels], Float32]
"""(B, S, S, 3) uint8, RGB -> (B, D) float32."""


@dataclass(frozen=True)
class Extractor:
    """A network and what it takes.

    Attributes:
        about: what the features are of: dataset, model, fold, seed, step, layer, pooling, scale. Kept in the output.
        weights: the network's file.
        width: number of features, D.
        decode: how images are decoded, as the prepare stage does (`DatasetParams.decode`).
        batch_size: images per forward pass.
        embed: embeds a batch.
        device: what runs it, and the version of the library that builds it.
    """

    about: Mapping[str, Any]
    weights: Path
    width: int
    decode: Mapping[str, Any]
    batch_size: int
    embed: EmbedPixels
    device: Mapping[str, str] = field(default_factory=dict)


def open_extractor(params: Path, origin: Path | None, wanted: Wanted, resources: ExitStack) -> Extractor:
    """Find the network that `--from` names, and make it ready to run.

    Args:
        params: the params file.
        origin: the folder of a cut, or a path that ends in a cell's name; None: that of the best network for the use.
        wanted: which layers of a cell, at which checkpoint, how scaled; of a cut, its own or nothing.
        resources: let go of it when they are closed.

    Raises:
        UserError: there is no such cell, layer, step or cut.
    """
    if origin and (origin / PREPROCESS).is_file():
        return from_cut(origin, read_section(params, "embed", EmbedParams).batch_size, wanted)
    cell = named_cell(None if origin is None else str(origin), wanted)
    return from_cell(open_source(params, cell, CellPaths.of(cell), wanted), resources)


def from_cell(source: Source, resources: ExitStack) -> Extractor:
    """Take layers of one checkpoint, as the embed stage does, scaled and joined."""
    images, batch_size = source.cell.images, source.cell.params.batch_size
    embedder = replace(source.cell.embedder, layers=source.layers, logits=False, rotation=None)
    if source.cell.params.augment:
        print(f"features: {ROTATED}", file=sys.stderr)
    embedder.network.move(embedder.compute.device)
    embed = resources.enter_context(embedding(embedder, source.scaler, batch_size))
    check_versions(source, lambda pixels: embed(pixels.transpose(0, 2, 3, 1)))
    about, layer = cell_id(source.store.cell) | {"step": source.step}, source.layer
    return Extractor(
        about=about | {"layer": layer.name, "pooling": layer.pooling, "scale": source.scaler.scaling},
        weights=source.checkpoint,
        width=layer.width,
        decode=source.dataset.decode | {"size": images.size, "fill": images.fill},
        batch_size=batch_size,
        embed=embed,
        device={"device": embedder.compute.device.type, "precision": embedder.compute.precision}
        | library_versions(source.network_params.library)
        | {name: digest(value.numpy().tobytes()) for name, value in source.scaler.fitted.items()},
    )


def from_representation(path: Path, resources: ExitStack) -> Extractor:
    """Take the network and the layers that a representation names, and apply it.

    Raises:
        UserError: it is another file, or does not name a network that has these layers.
    """
    opened = open_representation(path)
    embedder = opened.embedder(choose_device())
    versions = library_versions(opened.params.library)
    if opened.params.weights.source == "package":
        versions["weights"] = version(str(opened.params.weights.name))
    return Extractor(
        about=opened.about,
        weights=path,
        width=opened.scaler.representation.n_features_out_,
        decode=DECODE | {"size": opened.params.image_size},
        batch_size=BATCH_SIZE,
        embed=resources.enter_context(embedding(embedder, opened.scaler, BATCH_SIZE)),
        device={"device": embedder.compute.device.type, "precision": embedder.compute.precision} | versions,
    )


def from_cut(folder: Path, batch_size: int, wanted: Wanted) -> Extractor:
    """Take a cut network, on the CPU.

    Raises:
        UserError: another layer, step or scale is asked for than the one it is cut at.
    """
    about, width, decode = read_cut(folder)
    asked = {"layer": "+".join(wanted.layers) or None, "step": wanted.step, "scale": wanted.scale}
    for name, value in asked.items():
        if value not in (None, about[name]):
            raise UserError(
                f"--{name}: {folder} is cut at {about[name]}, not at {value}; leave it out, or give the cell"
            )
    with explained(f"{folder / PROGRAM} cannot be loaded", AGAIN):
        run = load_run(folder / PROGRAM)

    def embed(pixels: Pixels) -> Float32:
        return run(np.ascontiguousarray(filled(pixels, batch_size).transpose(0, 3, 1, 2)))[: len(pixels)]

    return Extractor(about, folder / PROGRAM, width, decode, batch_size, embed)


IMAGES_PER_SHARD = 1024
MAX_SHARDS = 1000
"""Of more images, shards are larger: all shards are named anew in the record of each."""


@dataclass(frozen=True)
class Shard:
    """Consecutive images, embedded.

    Attributes:
        file: what holds it.
        paths: (n,) of the images.
        sha256: (n,) of their files, hexadecimal.
        unreadable: path and reason of the images that it lacks.
    """

    file: Path
    paths: list[str]
    sha256: list[str]
    unreadable: dict[str, str]

    @property
    def features(self) -> Float32:
        """Read the features, (n, D) float32."""
        with np.load(self.file, allow_pickle=False) as saved:
            return np.asarray(saved["features"])


class Shards:
    """The shards of one run, in the folder of its work.

    Args:
        work: where they lie; those that an earlier run finished are there already.
        images: what is embedded.
        extractor: by what.
        max_pixels: of an image.
        workers: threads that decode; None: one per processor.
    """

    def __init__(
        self, work: KeptWork, images: RawFiles, extractor: Extractor, max_pixels: int, workers: int | None
    ) -> None:
        self._work, self._images, self._extractor = work, images, extractor
        self._how = {**extractor.decode, "max_pixels": max_pixels, "workers": workers}
        work.folder.mkdir(parents=True, exist_ok=True)
        # a whole number of batches, so that no batch depends on where a run was cut short
        least = max(IMAGES_PER_SHARD, len(images.paths) // MAX_SHARDS)
        size = max(1, least // extractor.batch_size) * extractor.batch_size
        versions = {"weights": file_sha256(extractor.weights), "torch": torch.__version__}
        identity = {"batch_size": extractor.batch_size, **extractor.decode, **extractor.about, **extractor.device}
        self._shards: list[tuple[Path, Sequence[str]]] = []  # files, and images
        for number, start in enumerate(range(0, len(images.paths), size)):
            paths = images.paths[start : start + size]
            key = json_hash([versions, identity, list(paths)])
            self._shards.append((work.folder / f"{number:06}-{key}.npz", paths))

    def __iter__(self) -> Iterator[Shard]:
        """Read the shards in order, of which `fill` has made those that were missing."""
        return (_read(file, paths) for file, paths in self._shards)

    def fill(self, *, skip: bool) -> None:
        """Embed every shard that is not there yet.

        Args:
            skip: whether images that cannot be decoded are left out.

        Raises:
            UserError: one cannot be decoded; the shards before it stay.
        """
        kept = [(file, paths) for file, paths in self._shards if file.name in self._work.files]
        looked = progress(kept, total=len(kept), what="compare images with what is kept", unit="shards")
        done = [(file, paths) for file, paths in looked if _hashes(file) == [*map(self._sha256, paths)]]
        if len(done) < (before := len(self._work.files)):
            print(OTHERS.format(count=before - len(done), before=before), file=sys.stderr)
            self._keep([file for file, _ in done])
        for file, paths in done if not skip else ():
            refuse_unreadable(self._images.where, _read(file, paths).unreadable)
        finished = {file for file, _ in done}
        missing = [shard for shard in self._shards if shard[0] not in finished]
        whole, left = (sum(len(paths) for _, paths in shards) for shards in (self._shards, missing))
        embedded, counts = self._embed(missing, skip), {"total": whole, "done_before": whole - left}
        for _ in progress(embedded, what="features", unit="images", **counts):
            pass

    def _sha256(self, path: str) -> str:
        content = read_content(self._images.content(path))
        return "" if isinstance(content, OSError) else digest(content)

    def _keep(self, done: Sequence[Path]) -> None:
        self._work.keep({"done": f"{len(done)} of {len(self._shards)} shards"}, done)

    def _embed(self, missing: Sequence[tuple[Path, Sequence[str]]], skip: bool) -> Iterator[str]:
        """Embed shards and write them; yield every image."""
        of, content = self._extractor, self._images.content
        names = [path for _, paths in missing for path in paths]
        decoded = decode_many(map(content, names), **self._how)
        stream = tell_bound(decoded, total=len(names), what="features", by=DECODING)
        for file, paths in missing:
            unreadable, hashes, batch, features = {}, [], [], [np.empty((0, of.width), np.float32)]
            depths = list[Depth | None]()
            for path, (sha256, image) in zip(paths, stream, strict=False):  # the stream goes on with the next shard
                hashes.append(sha256 or self._sha256(path))
                if isinstance(image, str):
                    unreadable[path] = image
                else:
                    batch.append(image.pixels)
                    depths.append(image.depth)
                if batch and (len(batch) == of.batch_size or path == paths[-1]):
                    features.append(stored(of.embed(np.stack(batch)), of.about["layer"], of.about["step"], "float32"))
                    batch = []
                yield path
            if not skip:
                refuse_unreadable(self._images.where, unreadable)
            if of.decode["bits"] == FULL and (bits := fewest_bits(depths)):
                print(DARK.format(bits=bits, white=2**bits - 1), file=sys.stderr)
            texts: dict[str, Any] = {"sha256": np.array(hashes, "U64"), "unreadable": np.array(json.dumps(unreadable))}
            with file.open("wb") as opened:
                np.savez(opened, features=np.concatenate(features), **texts)
            self._keep([each for each, _ in self._shards if each.name in self._work.files or each == file])


def _read(file: Path, paths: Sequence[str]) -> Shard:
    with np.load(file, allow_pickle=False) as saved:
        unreadable: dict[str, str] = json.loads(str(saved["unreadable"]))
        hashes = zip(paths, saved["sha256"].tolist(), strict=True)
        kept = {path: sha256 for path, sha256 in hashes if path not in unreadable}
        return Shard(file, [*kept], [*kept.values()], unreadable)


def _hashes(file: Path) -> list[str]:
    with np.load(file, allow_pickle=False) as saved:
        return [*saved["sha256"].tolist()]
