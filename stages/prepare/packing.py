"""From a source's candidates to the packed dataset: choose, decode, find exact copies, write.

Each image is decoded once, into a scratch file beside the output; from there the images that stay are written. Memory
holds a block of files and a shard.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..shared.images.image_store import MANIFEST_COLUMNS, write_fold, write_images
from ..shared.runtime.errors import MAX_NAMES, UserError, prefix_errors
from ..shared.runtime.progress import progress
from .bits import FULL, Depth, count_bits, fewest_bits
from .candidates import Candidate, Split
from .decode import decode_many
from .duplicates import resolve_duplicates
from .params import DatasetParams
from .raw_files import check_regular
from .report import Report, Skipped, make_report, write_report
from .sources import list_images
from .splits import FoldPlan, plan_folds, without_dropped


def prepare_dataset(raw: Path, out: Path, params: DatasetParams, seed: int, dataset: str, max_pixels: int) -> Report:
    """Prepare one dataset.

    Args:
        raw: the raw folder (or archive, or a symlink to either); never written to.
        out: the folder to create: `images.zarr`, `manifest.csv`, `folds/`, `report.json`.
        params: the dataset's entry.
        seed: its root seed.
        dataset: its id, for messages.
        max_pixels: of one image, before it is resized.

    Raises:
        UserError: the raw data are missing, damaged, or the splits cannot be made from them.
    """
    with ExitStack() as resources, prefix_errors(f"datasets.{dataset}"):
        check_regular(raw)
        listing = list_images(raw, params, seed, resources)
        plan = plan_folds(listing.candidates, params, seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = resources.enter_context(tempfile.TemporaryFile(dir=out.parent))
        images, skipped, scaled = _decode_all(_with_splits(plan), scratch, params, dataset, max_pixels)
        images, duplicates = resolve_duplicates(images, params.on_duplicate)
        images = images.sort_values(["label", "sample_id"])
        plan = without_dropped(plan, set(images["sample_id"]), params)
        pixels = _read_back(scratch, images.index, params.image_size)
        manifest = images[list(MANIFEST_COLUMNS)]
        write_images(out, pixels, manifest, dataset=dataset, size=params.image_size, fill=params.fill)
        for fold, splits in plan.splits.items():
            split_of = {c.sample_id: split for split, candidates in splits.items() for c in candidates}
            in_fold = images.assign(split=images["sample_id"].map(split_of))
            if plan.sets:
                set_of = {label: str(number) for number, labels in enumerate(plan.sets) for label in labels}
                seen_as = in_fold["sample_id"].map(plan.seen_as).fillna("")
                in_fold = in_fold.assign(set=in_fold["label"].map(set_of).fillna(""), seen_as=seen_as)
            write_fold(out, fold, in_fold.dropna(subset="split"))
    report = make_report(params.source, plan, skipped, duplicates, listing, scaled)
    write_report(out / "report.json", report)
    return report


def _with_splits(plan: FoldPlan) -> list[tuple[Candidate, Split]]:
    """Return the images to pack, with their splits where seen."""
    by_split = [pair for splits in plan.splits.values() for pair in splits.items() if pair[0] != "unseen"]
    split_of = {c.sample_id: split for split, images in by_split for c in images}
    return [(c, split_of.get(c.sample_id, "unseen")) for c in plan.packed]


def _decode_all(
    candidates: list[tuple[Candidate, Split]], scratch: IO[bytes], params: DatasetParams, dataset: str, max_pixels: int
) -> tuple[pd.DataFrame, list[Skipped], dict[int, int]]:
    """Return a row for each image that could be decoded, in the order of their pixels in the scratch file.

    Beside them, the images that could not, and how many had more than 8 bits, by how many.
    """
    rows: list[tuple[str, ...]] = []
    skipped: list[Skipped] = []
    depths: list[Depth] = []
    contents = [candidate.content for candidate, _ in candidates]
    decoded = decode_many(contents, max_pixels=max_pixels, **params.decode)
    stream = progress(decoded, total=len(candidates), what=f"prepare {dataset}", unit="images")
    for (candidate, split), (sha256, image) in zip(candidates, stream, strict=True):
        if isinstance(image, str):
            skipped.append(Skipped(candidate.source, image))
            continue
        packed = image.pixels.tobytes()
        depths += [image.depth] if image.depth else []
        scratch.write(packed)
        described = (candidate.sample_id, candidate.label, candidate.group, candidate.source, sha256)
        rows.append((*described, split, hashlib.sha256(packed).hexdigest()))
    if skipped and params.on_bad_image == "error":
        lines = [f"\n  {each.source} cannot be decoded: {each.reason}" for each in skipped[:MAX_NAMES]]
        more = f"\n  and {len(skipped) - MAX_NAMES} more" if len(skipped) > MAX_NAMES else ""
        raise UserError(
            f"every file must be an image that can be decoded, found {len(skipped)} that cannot; replace or remove "
            f"them, or set `on_bad_image: skip` to leave such files out:{''.join(lines)}{more}"
        )
    if params.bits is None and (bits := fewest_bits(depths)):
        raise UserError(
            f"bits: must say how many bits the values of files of 16 bits a sample use where all fit in fewer, found "
            f"{max(depth.largest or 0 for depth in depths)} as the largest; set `bits: {bits}`, or `bits: {FULL}` if "
            f"the images are to be as dark as that ({2**FULL - 1} is white)"
        )
    return pd.DataFrame(rows, columns=[*MANIFEST_COLUMNS, "split", "pixels_sha256"]), skipped, count_bits(depths)


def _read_back(scratch: IO[bytes], positions: Iterable[int], size: int) -> Iterator[NDArray[np.uint8]]:
    length = size * size * 3
    for position in positions:
        scratch.seek(position * length)
        yield np.frombuffer(scratch.read(length), dtype=np.uint8).reshape(size, size, 3)
