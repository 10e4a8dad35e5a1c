"""Words rendered in typefaces after a written or drawn hand: one class per typeface.

A stand-in, made offline from fonts that install with the project, for the paper's calligraphers: who wrote this? Every
class writes the same words, so that only the hand tells classes apart. An image depends only on the seed, its class,
its split and its number.
"""

from contextlib import ExitStack
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from pydantic import ConfigDict, Field, ValidationError

from ...shared.runtime.errors import UserError, with_command
from ...shared.workflow.digests import file_sha256
from ...shared.workflow.params import Id, Params
from ...shared.workflow.seeding import child_seed
from ..candidates import Candidate, Listing
from ..params import HandwritingParams
from ..raw_files import SOURCE_FILE

FONT_PIXELS = 128  # the size at which a word is drawn, before it is scaled down
EXTENT = (0.70, 0.96)  # the word's longer side, as a share of the image
DEGREES = 8.0  # rotation, to either side
INK = (0, 90)  # grey levels
SEED_NAME = "hands"  # the dataset's first name; another one would draw other images


class FontEntry(Params):
    """One typeface: the PyPI package that carries it, its version, the font's file name and SHA-256."""

    package: str
    version: str
    file: str
    sha256: str


class HandwritingFile(Params):
    """What is read of `source.json`: the typefaces by class, and the words."""

    model_config = ConfigDict(extra="ignore")

    fonts: dict[Id, FontEntry]
    words: Annotated[list[str], Field(min_length=1)]


def list_handwriting(raw: Path, params: HandwritingParams, seed: int, resources: ExitStack) -> Listing:
    """List the images that can be rendered: each class has enough for any role.

    Raises:
        UserError: a font's package is not installed, or a font is not the one that was committed.
    """
    source = read_fonts_file(raw)
    counts: dict[Literal["train", "test"], int] = {"train": max(params.train, params.unseen), "test": params.test}
    candidates = []
    for label, font in find_fonts(source, raw).items():
        for split, count in counts.items():
            for number in range(count):
                image_seed = child_seed(seed, SEED_NAME, label, split, number)
                word = source.words[np.random.default_rng(child_seed(image_seed, "word")).integers(len(source.words))]
                render = partial(render_word, word, str(font), params.image_size, params.fill, image_seed)
                sample_id = f"{label}/{split}/{number:05d}"
                candidates.append(Candidate(sample_id, label, split, f"{font.name}: {word}", render))
    return Listing(candidates)


def read_fonts_file(raw: Path) -> HandwritingFile:
    """Read which fonts and words the dataset has.

    Raises:
        UserError: `source.json` is missing, or not as it was committed.
    """
    path = raw / SOURCE_FILE
    try:
        return HandwritingFile.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError) as error:
        restore_it = with_command("restore it", "git checkout --", path)
        raise UserError(f"{path}: must be as it comes with the project, found {error}; {restore_it}") from None


def find_fonts(source: HandwritingFile, raw: Path) -> dict[str, Path]:
    """Find and verify the font file of each class; no code of its package is run.

    Raises:
        UserError: a font's package is not installed, or a font has another SHA-256.
    """
    paths = {}
    for label, entry in source.fonts.items():
        try:
            files = distribution(entry.package).files or []
        except PackageNotFoundError:
            files = []
        path = next((Path(str(file.locate())) for file in files if file.name == entry.file), None)
        if path is None or file_sha256(path) != entry.sha256:
            raise UserError(
                f"{raw}: the font of class {label!r} must be {entry.file} of the package {entry.package} "
                f"{entry.version}, found {'another' if path else 'none'}; `python -m pip install '.[handwriting]'`"
            )
        paths[label] = path
    return paths


def render_word(word: str, font: str, size: int, fill: int, seed: int) -> Image.Image:
    """Draw one word, scaled to fill the image, with jitter of size, place, angle and ink.

    Args:
        word: what is written.
        font: path of the font file.
        size: height and width of the image in pixels.
        fill: grey level of the paper.
        seed: of the jitter.

    Returns:
        A grey (size, size) image, antialiased.
    """
    rng = np.random.default_rng(seed)
    mask = _draw(word, font).rotate(rng.uniform(-DEGREES, DEGREES), Image.Resampling.BICUBIC, expand=True)
    mask = mask.crop(mask.getbbox())
    scale = rng.uniform(*EXTENT) * size / max(mask.size)
    width, height = (max(1, round(side * scale)) for side in mask.size)
    mask = mask.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (int(rng.integers(size - side + 1)) for side in mask.size)
    image = Image.new("L", (size, size), fill)
    image.paste(int(rng.integers(INK[0], INK[1] + 1)), (left, top), mask)
    return image


def _draw(word: str, font: str) -> Image.Image:
    """Draw white on black, cut to the ink, with room for the rotation."""
    face = _face(font)
    left, top, right, bottom = face.getbbox(word)
    margin = FONT_PIXELS // 2  # swashes may reach beyond the box
    mask = Image.new("L", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin))
    ImageDraw.Draw(mask).text((margin - left, margin - top), word, fill=255, font=face)
    return ImageOps.expand(mask.crop(mask.getbbox()), border=2)


@lru_cache(maxsize=64)
def _face(font: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font, FONT_PIXELS, layout_engine=ImageFont.Layout.BASIC)  # the same with or without Raqm
