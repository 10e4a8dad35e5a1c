"""From a source's candidates to the packed dataset: choose, decode, find copies, write, report.

Each image is decoded once, in the order in which its source reads fastest, into a scratch file beside the output;
from there the images that stay are written in the manifest's order. Memory holds a block of files and a shard.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.prepare.candidates import Candidate, Listing, Split, check_candidates, group_by_name
from stages.prepare.decode import decode_many, pixel_limit
from stages.prepare.duplicates import resolve_duplicates
from stages.prepare.limits import DEFAULT_LIMITS, LimitsParams, Resources
from stages.prepare.params import DatasetParams
from stages.prepare.raw_files import check_regular
from stages.prepare.report import Report, Skipped, make_report, write_report
from stages.prepare.sources import SOURCES
from stages.prepare.splits import FoldPlan, plan_folds, without_dropped
from stages.shared.images.image_store import MANIFEST_COLUMNS, write_fold, write_images
from stages.shared.runtime.console import progress
from stages.shared.runtime.errors import MAX_NAMES, UserError, prefix_errors


def prepare_dataset(
    raw: Path, out: Path, params: DatasetParams, seed: int, dataset: str, limits: LimitsParams = DEFAULT_LIMITS
) -> Report:
    """Prepare one dataset.

    Args:
        raw: the raw folder (or archive, or a symlink to either); never written to.
        out: the folder to create: `images.zarr`, `manifest.csv`, `folds/`, `report.json`.
        params: the dataset's entry.
        seed: its root seed.
        dataset: its id, for messages.
        limits: of what the raw data may ask for.

    Raises:
        UserError: the raw data are missing, damaged or beyond a limit, or the splits cannot be made from them.
    """
    with Resources(limits) as resources, pixel_limit(limits.pixels), prefix_errors(f"datasets.{dataset}"):
        check_regular(raw)
        listing = list_images(raw, params, seed, resources)
        plan = plan_folds(listing.candidates, params, seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = resources.enter_context(tempfile.TemporaryFile(dir=out.parent))  # noqa: SIM115
        images, skipped = _decode_all(_in_reading_order(listing.candidates, plan), scratch, params, dataset)
        images, duplicates = resolve_duplicates(images, params.on_duplicate)
        images = images.sort_values(["label", "sample_id"])
        plan = without_dropped(plan, set(images["sample_id"]), params)
        pixels = _read_back(scratch, images.index, params.image_size)
        manifest = images[list(MANIFEST_COLUMNS)]
        write_images(out, pixels, manifest, dataset=dataset, size=params.image_size, fill=params.fill)
        for fold, splits in plan.splits.items():
            split_of = {c.sample_id: split for split, candidates in splits.items() for c in candidates}
            in_fold = images.assign(split=images["sample_id"].map(split_of))
            write_fold(out, fold, in_fold.dropna(subset="split"))
    report = make_report(params.source, plan, skipped, duplicates, listing)
    write_report(out / "report.json", report)
    return report


def list_images(raw: Path, params: DatasetParams, seed: int, resources: Resources) -> Listing:
    """List what a dataset's source offers, with the groups that its entry asks for.

    Raises:
        UserError: the raw data are missing or damaged, two images have one id, a name has control characters, or an
            image has no group.
    """
    listing = SOURCES[params.source](raw, params, seed, resources)
    check_candidates(listing.candidates)
    if params.group is None or any(c.group for c in listing.candidates):
        return listing
    return replace(listing, candidates=group_by_name(listing.candidates, params.group))


def _in_reading_order(candidates: Sequence[Candidate], plan: FoldPlan) -> list[tuple[Candidate, Split]]:
    """Return the images to pack, in the order in which their source reads fastest, with their splits where seen."""
    split_of: dict[str, Split] = {c.sample_id: "unseen" for c in plan.packed}
    for splits in plan.splits.values():
        split_of |= {c.sample_id: split for split in ("train", "test") for c in splits[split]}
    return [(c, split_of[c.sample_id]) for c in candidates if c.sample_id in split_of]


def _decode_all(
    candidates: list[tuple[Candidate, Split]], scratch: IO[bytes], params: DatasetParams, dataset: str
) -> tuple[pd.DataFrame, list[Skipped]]:
    """Return a row for each image that could be decoded, in the order of their pixels in the scratch file."""
    rows: list[tuple[str, ...]] = []
    skipped: list[Skipped] = []
    contents = [candidate.content for candidate, _ in candidates]
    decoded = decode_many(contents, size=params.image_size, fit=params.fit, fill=params.fill)
    stream = progress(decoded, total=len(candidates), what=f"prepare {dataset}", unit="images")
    for (candidate, split), (sha256, pixels) in zip(candidates, stream, strict=True):
        if isinstance(pixels, str):
            skipped.append(Skipped(candidate.source, pixels))
            continue
        packed = pixels.tobytes()
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
    return pd.DataFrame(rows, columns=[*MANIFEST_COLUMNS, "split", "pixels_sha256"]), skipped


def _read_back(scratch: IO[bytes], positions: Iterable[int], size: int) -> Iterator[NDArray[np.uint8]]:
    length = size * size * 3
    for position in positions:
        scratch.seek(position * length)
        yield np.frombuffer(scratch.read(length), dtype=np.uint8).reshape(size, size, 3)
