"""One function reads images: whoever else opened one would read another picture, or wait for a pipe."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow import ROOT

READER = ROOT / "stages" / "prepare" / "decode.py"
OTHER_READERS = {"imread", "read_image", "decode_image", "decode_jpeg", "decode_png", "pil_loader", "default_loader"}
OTHER_LIBRARIES = {"cv2", "imageio", "skimage", "tifffile", "rawpy", "pillow_heif", "matplotlib"}


def openings(code: str) -> Iterator[int]:
    """Yield the lines of code in which an image file is opened."""
    tree = ast.parse(code)
    modules = {
        each.asname or each.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module == "PIL")
        for each in node.names
        if each.name in ("Image", "PIL", "PIL.Image", "ImageFile")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            opened = node.attr == "open" and ast.unparse(node.value).partition(".")[0] in {
                m.partition(".")[0] for m in modules
            }
            if opened or node.attr in OTHER_READERS:
                yield node.lineno
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {each.name for each in node.names}
            source = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            libraries = {name.partition(".")[0] for name in ({source} if source else names)}
            if libraries & OTHER_LIBRARIES or names & OTHER_READERS or (source == "PIL.Image" and "open" in names):
                yield node.lineno


@pytest.mark.parametrize(
    "code",
    [
        "from PIL import Image\nImage.open('a')",
        "from PIL import Image as I\nI.open('a')",
        "import PIL.Image\nPIL.Image.open('a')",
        "from PIL.Image import open",
        "from torchvision.io import read_image",
        "import cv2",
    ],
)
def test_openings_are_found(code: str):
    assert list(openings(code))


def test_only_one_module_opens_images():
    assert list(openings(READER.read_text()))
    found = {
        str(Path(path).relative_to(ROOT)): lines
        for path in (ROOT / "stages").rglob("*.py")
        if path != READER and (lines := list(openings(path.read_text())))
    }
    assert found == {}
