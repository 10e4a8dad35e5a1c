"""Campaign: folders that people name to `whichlayer quick`; the right pixels and classes, or one message."""

import contextlib
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import click
import numpy as np
from PIL import Image

from stages.commands.quick.command import quick
from stages.shared.runtime.errors import UserError
from tests.faults.campaign import Campaign, Place, shuffled
from tests.faults.images import png_bomb, png_that_says
from tests.faults.outcomes import SAME, SENTENCE, Outcome, attempt, expected
from tests.prepare.deep_images import tiff

SIZE, EACH = 16, 6
MEANS = {"a": 40, "b": 100, "c": 160}
"""Grey levels of the images of each class, from 39 less to 39 more."""

Pixels = Any
Labels = list[str]
Write = Callable[[Path], object]


class EmbeddedError(Exception):
    """What `quick` would embed."""


def level(label: str, number: int) -> Pixels:
    """Grey pixels of one image, (S, S) uint8, whose mean is that of its class."""
    noise = np.random.default_rng([ord(label[0]), number]).permuted(np.linspace(-39, 39, SIZE * SIZE))
    return (MEANS[label] + noise).round().astype(np.uint8).reshape(SIZE, SIZE)


def write_classes(folder: Path, suffix: str = ".png", write: Callable[[Pixels, Path], object] | None = None) -> Path:
    """Write images of three classes by a function of their grey levels."""
    for label in MEANS:
        (folder / label).mkdir(parents=True)
        for number in range(EACH):
            path = folder / label / f"{number}{suffix}"
            (write or save)(level(label, number), path)
    return folder


def save(grey: Pixels, path: Path) -> None:
    Image.fromarray(grey).save(path, "PNG")


def deep(bits: int) -> Write:
    """Grey of so many bits in 16, as cameras and microscopes write it."""
    scale = (2**bits - 1) / 255

    def write(grey: Pixels, path: Path) -> None:
        path.write_bytes(tiff((grey * scale).round(), "<u2"))

    return lambda folder: write_classes(folder, ".tif", write)


def turned(grey: Pixels, path: Path) -> None:
    """Upside down, with a tag that says so."""
    exif = Image.Exif()
    exif[274] = 3
    Image.fromarray(grey[::-1, ::-1]).save(path, exif=exif, quality=100)


def behind_glass(grey: Pixels, path: Path) -> None:
    """Opaque, with an alpha channel."""
    Image.fromarray(np.dstack([grey, np.full_like(grey, 255)])).save(path)


def of_colours(mode: str, kind: str) -> Callable[[Pixels, Path], None]:
    return lambda grey, path: Image.fromarray(grey).convert(mode).save(path, kind)


def put(place: str, content: bytes | None = None, make: Callable[[Path], object] | None = None) -> Write:
    """The usual images, and something beside them."""

    def write(folder: Path) -> None:
        path = write_classes(folder) / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
        if make is not None:
            make(path)

    return write


def table(text: str, encoding: str = "utf-8") -> Write:
    """The images in one folder, and a CSV; `{rows}` are the right ones."""

    def write(folder: Path) -> None:
        rows = []
        for label in MEANS:
            for number in range(EACH):
                (folder / "img").mkdir(parents=True, exist_ok=True)
                save(level(label, number), folder / "img" / f"{label}{number}.png")
                rows.append(f"img/{label}{number}.png,{label}")
        (folder / "labels.csv").write_bytes(text.replace("{rows}", "\n".join(rows)).encode(encoding))

    return write


def moved(old: str, new: str) -> Write:
    """The usual images, one file or folder of them by another name."""

    def write(folder: Path) -> None:
        write_classes(folder)
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)

    return write


def below(*parents: str) -> Write:
    return lambda folder: write_classes(folder.joinpath(*parents))


def without_classes(folder: Path) -> None:
    (write_classes(folder.with_name("other")) / "a").rename(folder)


def linked(folder: Path) -> None:
    write_classes(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


def files_linked(folder: Path) -> None:
    other = write_classes(folder.with_name("elsewhere"))
    for path in sorted(other.rglob("*.png")):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        (folder / path.parent.name / path.name).symlink_to(path)


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder, "w") as archive:
        for path in sorted(write_classes(folder.with_name("elsewhere")).rglob("*.png")):
            archive.write(path, path.relative_to(path.parents[1]))


def copied(source: str, target: str) -> Write:
    """The usual images, and a copy of a file or folder."""

    def write(folder: Path) -> None:
        of = (folder if folder.exists() else write_classes(folder)) / source
        (shutil.copytree if of.is_dir() else shutil.copy)(of, folder / target)

    return write


def only(*labels: str) -> Write:
    def write(folder: Path) -> None:
        write_classes(folder)
        for label in MEANS.keys() - {*labels}:
            shutil.rmtree(folder / label)

    return write


LABELS_CSV = ("--table", "labels.csv")
RIGHT: dict[str, tuple[Write, tuple[str, ...]]] = {
    "plain": (write_classes, ()),
    "jpeg": (lambda folder: write_classes(folder, ".jpg", of_colours("RGB", "JPEG")), ()),
    "webp": (lambda folder: write_classes(folder, ".webp", of_colours("RGB", "WEBP")), ()),
    "palette": (lambda folder: write_classes(folder, ".gif", of_colours("P", "GIF")), ()),
    "upper-case suffix": (lambda folder: write_classes(folder, ".PNG"), ()),
    "no suffix": (lambda folder: write_classes(folder, ""), ()),
    "wrong suffix": (lambda folder: write_classes(folder, ".jpg"), ()),
    "alpha": (lambda folder: write_classes(folder, ".png", behind_glass), ()),
    "EXIF": (lambda folder: write_classes(folder, ".jpg", turned), ()),
    **{f"{bits} bits": (deep(bits), ()) for bits in (10, 12, 14, 16)},
    "one folder above": (below("photos"), ()),
    "two folders above": (below("birds", "photos"), ()),
    "hidden file": (put("a/.DS_Store", b"x"), ()),
    "hidden folder": (put(".git/a/0.png", b"x"), ()),
    "Thumbs.db": (put("a/Thumbs.db", b"x"), ()),
    "file beside classes": (put("README.txt", b"x"), ()),
    "empty class": (put("d", make=Path.mkdir), ()),
    "link": (linked, ()),
    "links to files": (files_linked, ()),
    "zip": (zipped, ()),
    "a copy": (copied("a/0.png", "a/copy.png"), ()),
    "table": (table("path,label\n{rows}"), LABELS_CSV),
    "table with a mark": (table("path,label\n{rows}", "utf-8-sig"), LABELS_CSV),
    "table with further columns": (table("label,id,path\n" + "".join(
        f"{label},{number},img/{label}{number}.png\n" for label in MEANS for number in range(EACH)
    )), LABELS_CSV),
}  # fmt: skip
WRONG: dict[str, tuple[Write, tuple[str, ...]]] = {
    "missing": (lambda folder: None, ()),
    "empty": (Path.mkdir, ()),
    "a text": (Path.touch, ()),
    "a pipe": (os.mkfifo, ()),
    "no class folder": (without_classes, ()),
    "one class": (only("a"), ()),
    "a class of one": (put("d/0.png", make=lambda path: save(level("a", 7), path)), ()),
    "too deep": (moved("a/0.png", "a/deeper/0.png"), ()),
    "names that look alike": (moved("b", "a "), ()),
    "NFC and NFD": (lambda folder: (moved("a", "e\u0301")(folder), (folder / "b").rename(folder / "\u00e9")), ()),
    "control character": (moved("a", "a\x1b[31m"), ()),
    "line end": (moved("a/0.png", "a/0\n.png"), ()),
    "a name of wrong bytes": (moved("a/0.png", os.fsdecode(b"a/\xff.png")), ()),
    "a text among images": (put("a/notes.txt", b"x"), ()),
    "an empty file": (put("a/7.png", b""), ()),
    "half a file": (put("a/7.png", make=lambda path: path.write_bytes((path.parent / "0.png").read_bytes()[:150])), ()),
    "a bomb": (put("a/7.png", png_bomb(20_000, 20_000)), ()),
    "a file that says it is large": (put("a/7.png", png_that_says(15_000, 15_000)), ()),
    "more pixels than prepare takes": (put("a/7.png", png_bomb(11_000, 11_000)), ()),
    "a HEIC": (put("a/7.heic", b"\0\0\0\x18ftypheic" + bytes(100)), ()),
    "a pipe in a class": (put("a/7.png", make=os.mkfifo), ()),
    "a device in a class": (put("a/7.png", make=lambda path: path.symlink_to("/dev/zero")), ()),
    "a link to nothing": (put("a/7.png", make=lambda path: path.symlink_to("gone")), ()),
    "a link to itself": (put("a/7.png", make=lambda path: path.symlink_to("7.png")), ()),
    "a link to the folder above": (put("a/up", make=lambda path: path.symlink_to("..")), ()),
    "all copies": (lambda folder: write_classes(folder, write=lambda grey, path: save(level("a", 0), path)), ()),
    "all but one class copies": (lambda folder: (only("a", "b")(folder), copied("b", "c")(folder)), ()),
    "a damaged zip": (lambda folder: folder.write_bytes(b"PK\3\4" + bytes(99)), ()),
    "a table that is not named": (table("path,label\n{rows}"), ()),
    "a table that is not there": (write_classes, LABELS_CSV),
    "a table above": (table("path,label\n{rows}"), ("--table", "../labels.csv")),
    "a table with semicolons": (table("path;label\nimg/a0.png;a"), LABELS_CSV),
    "a table without header": (table("{rows}"), LABELS_CSV),
    "a table of another encoding": (table("path,label\n{rows}", "utf-16"), LABELS_CSV),
    "an empty table": (table(""), LABELS_CSV),
    "a table of nothing": (table("path,label\n"), LABELS_CSV),
    "a path twice": (table("path,label\n{rows}\nimg/a0.png,b"), LABELS_CSV),
    "a path that is not there": (table("path,label\n{rows}\nimg/z.png,b"), LABELS_CSV),
    "a path outside": (table("path,label\n{rows}\n../x.png,b"), LABELS_CSV),
    "a row without label": (table("path,label\n{rows}\nimg/a0.png,"), LABELS_CSV),
    "image size 7": (write_classes, ("--image-size", "7")),
    "image size a text": (write_classes, ("--image-size", "large")),
    "images per class 4": (write_classes, ("--per-class", "4")),
    "another use": (write_classes, ("--use", "sorting")),
    "detection": (write_classes, ("--use", "detection")),
    "demo and folder": (write_classes, ("--demo",)),
    "out that is there": (write_classes, ("--out", ".")),
    "out below a file": (write_classes, ("--out", "/dev/null/out")),
    "an unknown option": (write_classes, ("--layers", "all")),
}  # fmt: skip
CASES = {name: (SAME, *case) for name, case in RIGHT.items()} | {
    name: (SENTENCE, *case) for name, case in WRONG.items()
}


def run(trial: str, place: Place) -> Outcome:
    """Give a folder to the command."""
    kind, write, options = CASES[trial]
    folder = place.scratch / ("images.zip" if "zip" in trial else "images")
    write(folder)
    return expected(kind, attempt(lambda: embedded(folder, options)))


def embedded(folder: Path, options: tuple[str, ...]) -> None:
    """Check what the command would embed: every class, and its images' levels of grey in their places."""
    try:
        with (
            patch("stages.library.embedding.embed_named", _embed),
            patch("stages.commands.quick.waves.answer", _answer),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            quick.main([str(folder), "--image-size", str(SIZE), *options], standalone_mode=False)
    except click.ClickException as error:
        raise UserError(error.format_message()) from None
    except EmbeddedError as found:
        pixels, labels = found.args
        assert {label: labels.count(label) for label in labels} == dict.fromkeys(MEANS, EACH), labels
        for label in MEANS:
            own = {tuple(level(label, number).ravel()): number for number in range(EACH)}
            grey = np.asarray(pixels)[np.array(labels) == label].astype(int).mean(axis=-1)
            wanted = np.array([*own]).reshape(EACH, SIZE, SIZE)
            off = np.abs(grey[:, None] - wanted).mean(axis=(2, 3)).min(axis=0)  # JPEG and WebP lose a little
            assert off.max() < 12, f"{label}: {off.max():.1f} levels off"


def _embed(network: object, pixels: Iterable[Pixels], *_: Any, **__: Any) -> dict[str, dict[str, Pixels]]:
    return {"auto": {"pixels": np.stack([*pixels])}}


def _answer(sources: dict[str, dict[str, Pixels]], labels: Labels, *_: Any) -> NoReturn:
    [layers] = sources.values()
    raise EmbeddedError(layers["pixels"], labels)


CAMPAIGN = Campaign("odd folders, then quick", shuffled(CASES), run, seconds=60)
