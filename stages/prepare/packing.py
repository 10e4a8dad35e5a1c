"""From a source's candidates to the packed dataset: choose, decode, find copies, write, report.

Each image is decoded once, in the order in which its source reads fastest, into a scratch file beside the output;
from there the images that stay are written in the manifest's order. Memory holds a block of files and a shard.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.prepare.candidates import Candidate, Content, Split
from stages.prepare.decode import BadImageError, decode, digest
from stages.prepare.duplicates import DecodedImage, resolve_duplicates
from stages.prepare.params import DatasetParams
from stages.prepare.regular_files import check_regular
from stages.prepare.report import Report, Skipped, write_report
from stages.prepare.sources import SOURCES
from stages.prepare.splits import assign_splits, check_sizes, unique_ids
from stages.shared.console import UserError, errors_of, progress
from stages.shared.image_store import MANIFEST_COLUMNS, SPLITS, write_images

IMAGES_PER_BLOCK = 32

Splits = dict[Split, list[Candidate]]
Decoded = NDArray[np.uint8] | str  # (S, S, 3), or why there is none


def prepare_dataset(raw: Path, out: Path, params: DatasetParams, seed: int, dataset: str) -> Report:
    """Prepare one dataset.

    Args:
        raw: the raw folder (or archive, or a symlink to either); never written to.
        out: the folder to create: `images.zarr`, `manifest.csv`, `report.json`.
        params: the dataset's entry.
        seed: its root seed.
        dataset: its id, for messages and progress.

    Raises:
        UserError: the raw data are missing or damaged, or the splits cannot be made from them.
    """
    with ExitStack() as resources:
        check_regular(raw)
        listing = SOURCES[params.source](raw, params, seed, resources)
        resources.enter_context(errors_of(f"datasets.{dataset}"))
        unique_ids(listing.candidates)
        splits = assign_splits(listing.candidates, params, seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = resources.enter_context(tempfile.TemporaryFile(dir=out.parent))
        chosen = _in_reading_order(listing.candidates, splits)
        decoded = progress(_decoded(chosen, params), total=len(chosen), what=f"prepare {dataset}", unit="images")
        images, skipped = _keep_decoded(decoded, scratch, params)
        images, duplicates = resolve_duplicates(images, params.on_duplicate)
        images.sort(key=lambda i: (SPLITS.index(i.split), i.candidate.label, i.candidate.sample_id))
        kept: Splits = {split: [i.candidate for i in images if i.split == split] for split in splits}
        check_sizes(kept, _labels(splits, "train"), _labels(splits, "unseen"))
        pixels = _read_back(scratch, images, params.image_size)
        write_images(out, pixels, _manifest(images), size=params.image_size, fill=params.fill)
    report = Report.of(params.source, kept, skipped, duplicates, listing.ignored)
    write_report(out / "report.json", report)
    return report


def _labels(splits: Splits, split: Split) -> set[str]:
    return {c.label for c in splits[split]}


def _in_reading_order(candidates: Sequence[Candidate], splits: Splits) -> list[tuple[Candidate, Split]]:
    split_of = {c.sample_id: split for split, chosen in splits.items() for c in chosen}
    return [(c, split_of[c.sample_id]) for c in candidates if c.sample_id in split_of]


def _keep_decoded(
    decoded: Iterable[tuple[Candidate, Split, str, Decoded]], scratch: IO[bytes], params: DatasetParams
) -> tuple[list[DecodedImage], list[Skipped]]:
    images: list[DecodedImage] = []
    skipped: list[Skipped] = []
    for candidate, split, sha256, pixels in decoded:
        if isinstance(pixels, str):
            _refuse_bad(candidate, pixels, params)
            skipped.append(Skipped(candidate.source, pixels))
            continue
        packed = pixels.tobytes()
        scratch.write(packed)
        images.append(DecodedImage(candidate, split, sha256, hashlib.sha256(packed).hexdigest(), len(images)))
    return images, skipped


def _refuse_bad(candidate: Candidate, reason: str, params: DatasetParams) -> None:
    if params.on_bad_image == "error":
        raise UserError(
            f"{candidate.source} cannot be decoded: {reason}; replace or remove it, or set `on_bad_image: skip` to "
            "leave such files out"
        )


def _decoded(
    chosen: list[tuple[Candidate, Split]], params: DatasetParams
) -> Iterator[tuple[Candidate, Split, str, Decoded]]:
    work = partial(_decode_one, params=params)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        for start in range(0, len(chosen), IMAGES_PER_BLOCK):
            block = chosen[start : start + IMAGES_PER_BLOCK]
            contents = [_read(candidate) for candidate, _ in block]
            for (candidate, split), (sha256, pixels) in zip(block, pool.map(work, contents), strict=True):
                yield candidate, split, sha256, pixels


def _read(candidate: Candidate) -> Content | OSError:
    try:
        return candidate.content()
    except OSError as error:
        return error


def _decode_one(content: Content | OSError, params: DatasetParams) -> tuple[str, Decoded]:
    if isinstance(content, OSError):
        return "", f"cannot be read ({content.strerror or content})"
    try:
        return digest(content), decode(content, params.image_size, params.fit, params.fill)
    except BadImageError as error:
        return "", str(error)


def _manifest(images: Sequence[DecodedImage]) -> pd.DataFrame:
    rows = [(i.candidate.sample_id, i.split, i.candidate.label, i.candidate.source, i.sha256) for i in images]
    return pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS))


def _read_back(scratch: IO[bytes], images: Sequence[DecodedImage], size: int) -> Iterator[NDArray[np.uint8]]:
    length = size * size * 3
    for image in images:
        scratch.seek(image.position * length)
        yield np.frombuffer(scratch.read(length), dtype=np.uint8).reshape(size, size, 3)
