"""The images of a folder, read as the prepare stage does."""

import sys
from collections import Counter
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...measure.params import MeasureParams
from ...prepare.bits import FULL, Bits
from ...prepare.decode import decode_alike
from ...prepare.duplicates import resolve_duplicates
from ...prepare.params import PrepareParams, parse_dataset
from ...prepare.pools import shuffled
from ...prepare.sources import list_images
from ...shared.networks.params import named_network
from ...shared.runtime.errors import UserError, listed
from ...shared.runtime.package import PARAMS, RAW
from ...shared.workflow.params import load, read_section
from .command import DEMO


def read_images(
    folder: Path, table: str | None, network: str, size: int | None, per_class: int
) -> tuple[NDArray[np.uint8], list[str]]:
    """Read images as the prepare stage does, at most so many of each class: (N, S, S, 3) uint8, and their classes.

    Copies are left out by the rule of `on_duplicate: drop`, and counted on stderr: neighbours would be copies. The
    number of bits that images of 16 bits use is found from all of them, and printed there, too.

    Raises:
        UserError: the network has no such name or image size, there are too few classes, or images of one, or an image
            cannot be decoded.
    """
    size = named_network(load(PARAMS)["models"], network, size).image_size
    entry: dict[str, Any] = {"source": "table", "table": table} if table else {"source": "folder"}
    if folder == RAW / DEMO:
        entry = {"source": DEMO, "train": per_class, "test": 2, "unseen": 2}
    params = parse_dataset(entry | {"image_size": size}, folder.name)
    with ExitStack() as resources:
        listing = list_images(folder, params, 0, resources)
        candidates = listing.candidates
        if listing.ignored:
            print(
                f"quick: left out files of no class: {listed(sorted(map(repr, listing.ignored)), 5)}", file=sys.stderr
            )
        labels = sorted({each.label for each in candidates})
        of_class = ([each for each in candidates if each.label == label] for label in labels)
        chosen = [each for own in of_class for each in shuffled(own, 0, "quick", own[0].label)[:per_class]]
        check_enough(folder, Counter(each.label for each in chosen))
        how = {"size": size, "fit": params.fit, "fill": params.fill}
        how |= {"max_pixels": read_section(PARAMS, "prepare", PrepareParams).max_pixels}
        decoded = list(decode_alike([c.content for c in chosen], tell=_print_bits, **how))
    pixels, rows = list[NDArray[np.uint8]](), list[tuple[str, ...]]()
    for each, (_, image) in zip(chosen, decoded, strict=True):
        if isinstance(image, str):
            raise UserError(f"{folder}: every file must be an image, found {each.source}: {image}; take it out")
        pixels.append(image.pixels)
        rows.append((each.sample_id, each.label, "unseen", sha256(image.pixels.tobytes()).hexdigest()))
    images = pd.DataFrame(rows, columns=["sample_id", "label", "split", "pixels_sha256"])
    images = drop_copies(images)
    check_enough(folder, Counter(images["label"]))
    return np.stack(pixels)[images.index], images["label"].tolist()


def drop_copies(images: pd.DataFrame) -> pd.DataFrame:
    """Leave out copies of images, and print how many, and the classes of which no image is left."""
    kept, copies = resolve_duplicates(images, "drop")
    gone = listed(sorted(map(repr, {*images["label"]} - {*kept["label"]})), 5)
    if copies.dropped:
        print(
            f"quick: left out {copies.dropped} copies of images (images found in several classes, which all go: "
            f"{copies.between_classes}){', so that no image is left of ' * bool(gone)}{gone}",
            file=sys.stderr,
        )
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
            f"{folder}: must have at least 2 classes of at least {least} images each, found {found}; add images, or "
            f"take such classes out{instead}"
        )
