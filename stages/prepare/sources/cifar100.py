"""CIFAR-100: a local folder or archive of images by class, or the authors' archive, downloaded once.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Ids are the same either way:
`train/<class>/<file>.png`.
"""

import pickle
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from stages.prepare.candidates import Candidate, Listing, Split
from stages.prepare.class_folders import list_classes
from stages.prepare.download import cache_folder, download, verified
from stages.prepare.limits import Resources
from stages.prepare.params import Cifar100Params
from stages.prepare.raw_files import open_raw
from stages.prepare.source_file import HttpsUrl, Sha256, SourceFile, has_only_source_file, read_source_file
from stages.shared.runtime.errors import UserError

SIDE = 32  # pixels
FOLDER = "cifar-100-python"
ARRAY_NAMES = {
    *(("numpy", "ndarray"), ("numpy", "dtype")),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}
"""What an array is pickled with, by module and name."""

SPLITS: tuple[Split, ...] = ("train", "test")


class Cifar100File(SourceFile):
    """What `source.json` says: where the authors' archive is, its SHA-256 and its size in bytes."""

    url: HttpsUrl
    sha256: Sha256
    size: Annotated[int, Field(ge=1, le=1_000_000_000)]


def list_cifar100(raw: Path, params: Cifar100Params, seed: int, resources: Resources) -> Listing:
    """List CIFAR-100's images from the raw folder if they are there, else from the download.

    Raises:
        UserError: the download fails or is not what it should be, or the local folder has another layout.
    """
    own = raw / f"{FOLDER}.tar.gz"
    if not own.exists() and not has_only_source_file(raw):
        return list_classes(open_raw(raw, resources))
    source = read_source_file(raw, Cifar100File)
    if own.exists():
        archive = verified(own, source.sha256)
    else:
        archive = cache_folder() / f"{FOLDER}.tar.gz"
        advice = f"download {source.url} elsewhere and put it at {own}"
        download(source.url, archive, sha256=source.sha256, size=source.size, advice=advice)
    return Listing(list(read_batches(archive)))


def read_batches(archive: Path) -> Iterator[Candidate]:
    """Read the authors' archive, whose checksum was verified; of its pickles, lists and arrays alone.

    Yields:
        One candidate per image, train before test.
    """
    with tarfile.open(archive) as tar:
        names = _unpickle(tar, "meta")["fine_label_names"]
        for split in SPLITS:
            batch = _unpickle(tar, split)
            pixels = np.asarray(batch["data"]).reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
            for image, label, file in zip(pixels, batch["fine_labels"], batch["filenames"], strict=True):
                path = f"{split}/{names[label]}/{file}"
                yield Candidate(path, names[label], split, f"{FOLDER}/{path}", partial(_image, image))


def _unpickle(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = tar.extractfile(f"{FOLDER}/{name}")
    assert file is not None
    content: dict[str, Any] = _ArraysOnly(file, encoding="latin1").load()
    return content


class _ArraysOnly(pickle.Unpickler):
    """Reads lists, texts and arrays: whoever gives the archive may also give the `source.json` that it is held to."""

    def find_class(self, module: str, name: str) -> Any:
        """Find one of the few names that an array is pickled with."""
        if (module, name) not in ARRAY_NAMES:
            raise UserError(
                f"{FOLDER}.tar.gz: must hold lists and arrays alone, found Python's {module}.{name}: objects are not "
                "loaded, since that would run code; take the authors' archive"
            )
        return super().find_class(module, name)


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels))
