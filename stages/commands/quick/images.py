"""The images of a folder, read as the prepare stage does while they are embedded."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from ...measure.params import MeasureParams
from ...prepare.bits import FULL, Bits
from ...prepare.candidates import Candidate
from ...prepare.decode import IMAGES_AHEAD, decode_alike
from ...prepare.duplicates import resolve_duplicates
from ...prepare.params import PrepareParams, parse_dataset
from ...prepare.pools import shuffled
from ...prepare.sources import list_images
from ...shared.images.image_store import Pixels
from ...shared.runtime.errors import UserError, listed
from ...shared.runtime.package import PARAMS, RAW
from ...shared.workflow.params import read_section
from ..project import DEMO, MAX_LISTED

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


class FolderImages:
    """Images of a folder, read as the prepare stage does by default, anew for each network and a few at a time.

    Attributes:
        facts: of each image that was read, at the first size: `sample_id`, `label`, `split`, `pixels_sha256`.

    Args:
        folder: the folder or archive.
        chosen: its images.
        workers: threads that decode; None: one per processor.
    """

    def __init__(self, folder: Path, chosen: Sequence[Candidate], workers: int | None = None) -> None:
        self._folder, self._chosen, self._workers = folder, chosen, workers
        self._max_pixels = read_section(PARAMS, "prepare", PrepareParams).max_pixels
        self._said = set[str]()
        self.facts = pd.DataFrame()

    def __len__(self) -> int:
        """Return the number of images, copies included."""
        return len(self._chosen)

    def pixels(self, size: int) -> Iterator[Pixels]:
        """Yield each image, (size, size, 3) uint8, while the next ones are decoded.

        The number of bits that images of 16 bits use is found from all of them, and printed on stderr, as is how many
        are enlarged.

        Raises:
            UserError: files cannot be decoded. It names all of them, so that one look is enough to take them out.
        """
        how: dict[str, Any] = {"size": size, "max_pixels": self._max_pixels, "workers": self._workers}
        decoded = decode_alike([each.content for each in self._chosen], tell=self._print_bits, **how)
        rows, sides, unreadable = list[tuple[str, ...]](), list[int](), list[str]()
        for each, (_, image) in zip(self._chosen, decoded, strict=True):
            if isinstance(image, str):
                unreadable.append(f"{each.source}: {image}")
                continue
            sides.append(image.side)
            if len(sides) in (IMAGES_AHEAD, len(self)):  # early enough to stop and take another size
                self._print_enlarged(sides, size)
            if self.facts.empty:
                rows.append((each.sample_id, each.label, "unseen", sha256(image.pixels.tobytes()).hexdigest()))
            if not unreadable:
                yield image.pixels
        if unreadable:
            found = listed(unreadable, MAX_LISTED)
            raise UserError(f"{self._folder}: every file must be an image, found {found}; remove such files")
        if rows:
            self.facts = pd.DataFrame(rows, columns=["sample_id", "label", "split", "pixels_sha256"])

    def _print_bits(self, bits: Bits) -> None:
        self._print("bits", f"images of {FULL} bits use {bits}, so {2**bits - 1} is taken for white")

    def _print_enlarged(self, sides: Sequence[int], size: int) -> None:
        """Print how many images are smaller than the network's input, and what enlarging them does."""
        if smaller := [side for side in sides if side < size]:
            usual = max(8, int(np.median(sides)))
            of = f"{len(sides)}" if len(sides) == len(self) else f"the first {len(sides)}"
            times = round((size / usual) ** 2)
            self._print(
                f"enlarged to {size}",
                f"{len(smaller)} of {of} images are smaller than {size} px and are enlarged, which raises scores where "
                "networks were trained at that size" + f"; --image-size {usual} takes {times} times less" * (times > 1),
            )

    def _print(self, what: str, line: str) -> None:
        """Print a line above the progress bar of a terminal, once of each thing."""
        if what not in self._said:
            self._said.add(what)
            tqdm.write(f"quick: {line}", file=sys.stderr)


def keep_rows(sources: Iterable[dict[str, NDArray[np.float32]]], rows: Sequence[int]) -> None:
    """Keep the rows, ascending, of some images in all layers, in the same memory; poolings may share a layer."""
    for X in {id(X): X for layers in sources for X in layers.values()}.values():
        for new, old in enumerate(rows):
            if new < old:
                X[new] = X[old]
    for layers in sources:
        layers.update({name: X[: len(rows)] for name, X in layers.items()})


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


def check_enough(folder: Path, counts: Counter[str]) -> None:
    """Check that there are classes to separate, of enough images for the probe's folds.

    Raises:
        UserError: naming classes of few images.
    """
    least = read_section(PARAMS, "measure", MeasureParams).probe.folds
    if len(counts) < 2 or min(counts.values()) < least:
        found = listed([f"{name} ({count})" for name, count in reversed(counts.most_common())], 5) or "none"
        tables = [path.name for path in sorted(folder.glob("*.csv"))]
        instead = f", or give the table that lists their classes (--table {tables[0]})" if tables else ""
        raise UserError(
            f"{folder}: must have at least 2 classes, and every class at least {least} images, found {found}; add "
            f"images, or remove such classes{instead}"
        )
