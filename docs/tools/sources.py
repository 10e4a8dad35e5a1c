"""Writes into a picture of docs/images which file it was made from, so that a test finds a picture that is out of date.

python -m docs.tools.sources docs/images/report.png data/results/metrics.json
"""

import hashlib
import sys
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).parents[2]


def label(picture: Path, source: Path) -> None:
    """Write the path of the source below the project and its SHA-256 into a PNG."""
    info = PngInfo()
    info.add_text("source", f"{source.resolve().relative_to(ROOT).as_posix()} {sha256(source)}")
    with Image.open(picture) as opened:
        opened.save(picture, pnginfo=info, optimize=True)


def is_current(picture: Path) -> bool:
    """Whether a picture was made from its source as it is; False of one without a label."""
    with Image.open(picture) as opened:
        path, _, made_from = str(opened.info.get("source", "")).rpartition(" ")
    return bool(path) and sha256(ROOT / path) == made_from


def sha256(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    label(*map(Path, sys.argv[1:3]))
