"""CIFAR-100: a local folder or archive of images by class, or the authors' archive, downloaded once.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Ids are the same either way:
`train/<class>/<file>.png`.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import Field

from stages.prepare.candidates import Candidate, Listing, Split, list_classes
from stages.prepare.download import cache_folder, download, verified
from stages.prepare.limits import RawFiles, Resources
from stages.prepare.params import Cifar100Params
from stages.prepare.pickled_arrays import PickledArray, read_pickle
from stages.prepare.raw_files import (
    HttpsUrl,
    Sha256,
    SourceFile,
    has_only_source_file,
    open_archive,
    open_raw,
    read_source_file,
)
from stages.shared.runtime.errors import UserError

SIDE = 32  # pixels
FOLDER = "cifar-100-python"
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
    return Listing(list(read_batches(archive, resources)))


def read_batches(archive: Path, resources: Resources) -> Iterator[Candidate]:
    """Read the authors' archive; whoever gives it may also give the `source.json` that its checksum is held to.

    Yields:
        One candidate per image, train before test.

    Raises:
        UserError: it is damaged, exceeds a limit, or holds something else than the authors' lists and arrays.
    """
    files = open_archive(archive, resources)
    names = _texts(_member(files, "meta"), "fine_label_names", files.where)
    for split in SPLITS:
        batch = _member(files, split)
        labels, file_names = batch.get("fine_labels", []), _texts(batch, "filenames", files.where)
        pixels = batch["data"].values if isinstance(batch.get("data"), PickledArray) else None
        if pixels is None or pixels.shape != (len(file_names), 3 * SIDE * SIDE):
            raise _unlike(files.where, f"{split}: `data` must be {len(file_names)} rows of {3 * SIDE * SIDE} bytes")
        classes = range(len(names))
        known = isinstance(labels, list) and all(type(label) is int and label in classes for label in labels)
        if not known or len(labels) != len(file_names):
            raise _unlike(files.where, f"{split}: `fine_labels` must be {len(file_names)} numbers below {len(names)}")
        images = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        for image, label, file in zip(images, labels, file_names, strict=True):
            path = f"{split}/{names[label]}/{file}"
            yield Candidate(path, names[label], split, f"{FOLDER}/{path}", partial(Image.fromarray, image))


def _member(files: RawFiles, name: str) -> dict[str, Any]:
    path = f"{FOLDER}/{name}"
    if path not in files.paths:
        raise _unlike(files.where, f"must hold {path}")
    try:
        content = read_pickle(files.read(path))
    except ValueError as error:
        raise _unlike(files.where, f"{path}: must hold lists and an array of bytes alone, found {error}") from None
    if not isinstance(content, dict):
        raise _unlike(files.where, f"{path}: must hold a dict")
    return {_text(key): value for key, value in content.items()}


def _texts(content: dict[str, Any], key: str, archive: Path) -> list[str]:
    values = content.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str | bytes) for value in values):
        raise _unlike(archive, f"`{key}` must be a list of texts")
    return [_text(value) for value in values]


def _text(value: str | bytes) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _unlike(archive: Path, problem: str) -> UserError:
    return UserError(f"{archive}: {problem}; take the authors' archive")
