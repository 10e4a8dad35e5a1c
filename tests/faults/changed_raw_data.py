"""Campaigns: damaged and crafted images, archives, tables and weights, read in one process as the stages read them."""

import hashlib
import pickle
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from stages.commands.features.extraction import Shard
from stages.commands.features.writers import WRITERS
from stages.commands.score.files import read_file as read_features
from stages.library.embedding import Reading
from stages.prepare.archives import open_archive
from stages.prepare.candidates import check_candidates
from stages.prepare.decode import read_pixels
from stages.prepare.params import DEFAULT_MAX_PIXELS, TableParams
from stages.prepare.sources.table import list_table
from stages.shared.networks.params import WeightsParams
from stages.shared.networks.weights import read_file
from stages.shared.runtime.errors import CONTROL
from tests.faults import images
from tests.faults.archives import FILES, TAR_MODES, damaged, write_archive
from tests.faults.campaign import Campaign, Place, numbered, seed_of, shuffled
from tests.faults.outcomes import FAILURE, Outcome, attempt, failure
from tests.faults.pickles import Evil
from tests.faults.tables import mutated_table, table

SIZE = 8
EXECUTED = Path(tempfile.gettempdir()) / "executed"
"""What the PostScript program writes, if something runs it."""

CRAFTED_IMAGES: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: images.png_bomb(20_000, 20_000),
    "says": lambda: images.png_that_says(30_000, 30_000),
    "text": images.png_with_text_bomb,
    "icon": images.icon_bomb,
    "gif": images.gif_bomb,
    "postscript": lambda: images.postscript(f"({EXECUTED}) (w) file"),
    "empty": lambda: b"",
    "endless": lambda: b"P6\n" + b"#" * 2**24,
}
SUFFIXES = (".zip", *TAR_MODES)
STATE = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3)}
WEIGHTS = (".safetensors", ".pth", ".pt")
PICKLES = ("zip", "legacy", "plain")


def run_image(trial: str, place: Place) -> Outcome:
    """Decode a damaged image, or a program in the place of one: pixels, or one message; also by the library."""
    EXECUTED.unlink(missing_ok=True)
    kind, _, number = trial.partition(" ")
    content = damaged(images.encoded(kind), int(number)) if number else CRAFTED_IMAGES[kind]()
    (path := place.scratch / "image").write_bytes(content)
    outcome, by_library = attempt(lambda: _decode(content)), attempt(lambda: _embed(path), str(path))
    outcome = by_library if by_library.kind == FAILURE else outcome
    return failure("it ran a program", outcome.said) if EXECUTED.exists() else outcome


def _decode(content: bytes) -> None:
    assert read_pixels(content, max_pixels=DEFAULT_MAX_PIXELS, size=SIZE).pixels.shape == (SIZE, SIZE, 3)


def _embed(path: Path) -> None:
    with catch_warnings():
        simplefilter("ignore", UserWarning)  # that says how many bits are used
        (pixels,) = Reading(DEFAULT_MAX_PIXELS, None).pixels([path], SIZE)
    assert pixels.shape == (SIZE, SIZE, 3)


def run_archive(trial: str, place: Place) -> Outcome:
    """Read a damaged archive to its end: the files that were packed, or one message."""
    path = place.scratch / f"x{trial.partition(' ')[0]}"
    path.write_bytes(damaged(write_archive(path).read_bytes(), seed_of(trial)))
    return attempt(lambda: _read_archive(path), str(path))


def _read_archive(path: Path) -> None:
    with ExitStack() as resources:
        files = open_archive(path, resources)
        found = {name: files.content(name)() for name in files.paths}
    whole = set(found) <= set(FILES) if path.suffix == ".tar" else found == FILES
    assert whole, "other files"  # of a plain tar archive, what has no checksum: contents, and that more should follow


def run_table(trial: str, place: Place) -> Outcome:
    """List a changed table: images with labels, or one message."""
    paths = [f"images/{i:02d}.png" for i in range(12)]
    (place.scratch / "images").mkdir()
    for name in paths:
        (place.scratch / name).write_bytes(b"")
    (place.scratch / "labels.csv").write_bytes(mutated_table(table(paths), seed_of(trial)))
    return attempt(lambda: _list_table(place.scratch, paths))


def _list_table(raw: Path, paths: list[str]) -> None:
    with ExitStack() as resources:
        listing = list_table(raw, TableParams(source="table", image_size=8, table="labels.csv"), 0, resources)
        check_candidates(listing.candidates)
    assert {c.source for c in listing.candidates} <= set(paths)
    assert not any(CONTROL.search(c.label) or not c.label for c in listing.candidates)


def run_labels(trial: str, place: Place) -> Outcome:
    """Give features labels by a changed table: a class for each image, or one message."""
    paths = [f"images/{i:02d}.png" for i in range(12)]
    features, labels = place.scratch / "new.parquet", place.scratch / "labels.csv"
    np.savez(place.scratch / "shard.npz", features=np.eye(12, dtype=np.float32))
    shard = Shard(place.scratch / "shard.npz", paths, ["0" * 64] * 12, {})
    WRITERS[".parquet"](features, [shard], 12, {"layer": "head", "step": 0})
    labels.write_bytes(mutated_table(table(paths), seed_of(trial)))
    return attempt(lambda: _read_labels(features, labels), str(features), str(labels))


def _read_labels(features: Path, labels: Path) -> None:
    [part] = read_features(features, labels)
    text = labels.read_bytes().decode("utf-8-sig")
    for image, label in zip(part.arrays["ids"], part.arrays["labels"], strict=True):
        rows = [line for line in text.splitlines() if str(image) in line]
        assert rows, image
        assert all(str(label) in row for row in rows), f"{label}: {rows}"


def run_weights(trial: str, place: Place) -> Outcome:
    """Read damaged weights, and objects that run code where they are unpickled: tensors, or one message."""
    kind, _, number = trial.partition(" ")
    executed = place.scratch / "executed"
    path = place.scratch / (f"w{kind}" if number else "w.pth")
    if number:
        _write_weights(path)
        path.write_bytes(damaged(path.read_bytes(), seed_of(trial)))
    else:
        _write_pickle(path, kind, Evil(executed))
    outcome = attempt(lambda: _read_weights(path), "weights.path")
    return failure("it ran code", outcome.said) if executed.exists() else outcome


def _write_weights(path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=path.suffix == ".pth")


def _write_pickle(path: Path, kind: str, evil: Evil) -> None:
    content = {"state_dict": STATE, "epoch": evil}
    if kind == "plain":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")


def _read_weights(path: Path) -> None:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    state = read_file(WeightsParams(source="file", path=str(path), sha256=sha256))
    assert all(isinstance(tensor, Tensor) for tensor in state.values())


def _each(kinds: tuple[str, ...], count: int, crafted: tuple[str, ...] = ()) -> list[str]:
    """Crafted files, and so many damaged ones, of each kind equally."""
    made = partial(numbered, count=count // len(kinds))
    return [*crafted, *shuffled(name for kind in kinds for name in made(kind))]


IMAGES = Campaign("images damaged or crafted", _each(images.FORMATS, 900, tuple(CRAFTED_IMAGES)), run_image)
ARCHIVES = Campaign("archives damaged", _each(SUFFIXES, 700), run_archive)
LABELS = Campaign("labels of features changed", numbered("table", 200), run_labels)
TABLES = Campaign("tables changed", numbered("table", 500), run_table)
WEIGHTS_FILES = Campaign("weights damaged or crafted pickles", _each(WEIGHTS, 300, PICKLES), run_weights)
