"""The images of a folder, read as the prepare stage does."""

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...measure.params import MeasureParams
from ...prepare.bits import FULL, Bits
from ...prepare.candidates import Candidate
from ...prepare.decode import decode_alike
from ...prepare.duplicates import resolve_duplicates
from ...prepare.params import PrepareParams, parse_dataset
from ...prepare.pools import shuffled
from ...prepare.sources import list_images
from ...shared.runtime.errors import UserError, listed
from ...shared.runtime.package import PARAMS, RAW
from ...shared.workflow.params import read_section
from ..project import DEMO

DRAWN = 224
"""Pixels of the demo's words, which are then resized as files are."""


def choose_images(folder: Path, table: str | None, per_class: int, resources: ExitStack) -> list[Candidate]:
    """Choose images of each class, at most so many, before any is read.

    Raises:
        UserError: there are too few classes, or images of one.
    """
    entry: dict[str, Any] = {"source": "table", "table": table} if table else {"source": "folder"}
    if folder == RAW / DEMO:
        entry = {"source": DEMO, "train": per_class, "test": 2, "unseen": 2}
    listing = list_images(folder, parse_dataset(entry | {"image_size": DRAWN}, folder.name), 0, resources)
    for what, names in (("files of no class", listing.ignored), ("hidden folders", listing.hidden)):
        if names:
            print(f"quick: left out {what}: {listed(sorted(map(repr, names)), 5)}", file=sys.stderr)
    by_class: dict[str, list[Candidate]] = {}
    for each in listing.candidates:
        by_class.setdefault(each.label, []).append(each)
    chosen = [each for label in sorted(by_class) for each in shuffled(by_class[label], 0, "quick", label)[:per_class]]
    check_enough(folder, Counter(each.label for each in chosen))
    return chosen


def read_images(
    folder: Path, chosen: Sequence[Candidate], size: int, workers: int | None = None
) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Read images as the prepare stage does by default.

    The number of bits that images of 16 bits use is found from all of them, and printed on stderr, as is how many
    are enlarged.

    Returns:
        (N, S, S, 3) uint8, and a row for each: `sample_id`, `label`, `split`, `pixels_sha256`.

    Raises:
        UserError: an image cannot be decoded.
    """
    pixels = np.empty((len(chosen), size, size, 3), np.uint8)
    rows, sides = list[tuple[str, ...]](), list[int]()
    limit = read_section(PARAMS, "prepare", PrepareParams).max_pixels
    decoded = decode_alike(
        [each.content for each in chosen], tell=_print_bits, size=size, max_pixels=limit, workers=workers
    )
    for row, each, (_, image) in zip(pixels, chosen, decoded, strict=True):
        if isinstance(image, str):
            raise UserError(f"{folder}: every file must be an image, found {each.source}: {image}; take it out")
        row[:] = image.pixels
        rows.append((each.sample_id, each.label, "unseen", sha256(image.pixels.tobytes()).hexdigest()))
        sides.append(image.side)
    print_enlarged(sides, size)
    return pixels, pd.DataFrame(rows, columns=["sample_id", "label", "split", "pixels_sha256"])


def move_to_front(pixels: NDArray[np.uint8], rows: Sequence[int]) -> NDArray[np.uint8]:
    """Keep rows, ascending, of (N, S, S, 3), in the same memory."""
    for new, old in enumerate(rows):
        if new < old:
            pixels[new] = pixels[old]
    return pixels[: len(rows)]


def print_enlarged(sides: Sequence[int], size: int) -> None:
    """Print how many images are smaller than the network's input, what it does, and what their usual size saves."""
    smaller = [side for side in sides if side < size]
    if smaller:
        usual = max(8, int(np.median(sides)))
        times = round((size / usual) ** 2)
        print(
            f"quick: {len(smaller)} of {len(sides)} images are smaller than {size} px and are enlarged, which raises "
            "scores where networks were trained at that size"
            + f"; --image-size {usual} takes {times} times less"
            * (times > 1),
            file=sys.stderr,
        )


def drop_copies(folder: Path, images: pd.DataFrame) -> pd.DataFrame:
    """Leave out copies of images, and print how many, and the classes of which no image is left.

    It is the rule of `on_duplicate: drop`: a copy's nearest neighbour would be the other one.

    Raises:
        UserError: too few are left.
    """
    kept, copies = resolve_duplicates(images, "drop")
    gone = listed(sorted(map(repr, {*images["label"]} - {*kept["label"]})), 5)
    if copies.dropped:
        print(
            f"quick: left out {copies.dropped} copies of images (images found in several classes, which all go: "
            f"{copies.between_classes}){', so that no image is left of ' * bool(gone)}{gone}",
            file=sys.stderr,
        )
    check_enough(folder, Counter(kept["label"]))
    return kept


def _print_bits(bits: Bits) -> None:
    print(f"quick: images of {FULL} bits use {bits}, so {2**bits - 1} is taken for white", file=sys.stderr)


def check_enough(folder: Path, counts: Counter[str]) -> None:
    """Check, before images are embedded, that there are classes to separate, of enough images for the probe's folds.

    Raises:
        UserError: naming classes of few images.
    """
    least = read_section(PARAMS, "measure", MeasureParams).probe.folds
    if len(counts) < 2 or min(counts.values()) < least:
        found = listed([f"{name} ({count})" for name, count in reversed(counts.most_common())], 5) or "none"
        tables = [path.name for path in sorted(folder.glob("*.csv"))]
        instead = f", or name the table that lists their classes (--table {tables[0]})" if tables else ""
        raise UserError(
            f"{folder}: must have at least 2 classes, and every class at least {least} images, found {found}; add "
            f"images, or take such classes out{instead}"
        )
