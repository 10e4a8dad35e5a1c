"""CIFAR-100: a local folder or archive of images by class, or the authors' archive, downloaded once.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Ids are the same either way:
`train/<class>/<file>.png`. The authors' archive holds pickles, which may run code: the hash of the one archive that is
read stands here.
"""

import pickle
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from PIL import Image

from ..candidates import Candidate, Listing, Split
from ..class_folders import list_classes
from ..download import cache_folder, download, verified
from ..params import Cifar100Params
from ..raw_data import has_only_source_file, open_raw

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
SIZE = 169_001_437  # bytes

SIDE = 32  # pixels
FOLDER = "cifar-100-python"
SPLITS: tuple[Split, ...] = ("train", "test")


def list_cifar100(raw: Path, params: Cifar100Params, seed: int, resources: ExitStack) -> Listing:
    """List CIFAR-100's images from the raw folder if they are there, else from the download.

    Raises:
        UserError: the download fails or is not what it should be, or the local folder has another layout.
    """
    own = raw / f"{FOLDER}.tar.gz"
    if own.exists():
        return Listing(list(read_batches(verified(own, SHA256))))
    if not has_only_source_file(raw):
        return list_classes(open_raw(raw, resources))
    archive, advice = cache_folder() / own.name, f"download {URL} elsewhere and put it at {own}"
    return Listing(list(read_batches(download(URL, archive, sha256=SHA256, size=SIZE, advice=advice))))


def read_batches(archive: Path) -> Iterator[Candidate]:
    """Yield one candidate per image of the authors' archive, whose hash has been checked; train before test."""
    with tarfile.open(archive) as files:
        names = _unpickle(files, "meta")["fine_label_names"]
        for split in SPLITS:
            batch = _unpickle(files, split)
            images = batch["data"].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
            for image, label, file in zip(images, batch["fine_labels"], batch["filenames"], strict=True):
                path = f"{split}/{names[label]}/{file}"
                yield Candidate(path, names[label], split, f"{FOLDER}/{path}", partial(Image.fromarray, image))


def _unpickle(files: tarfile.TarFile, name: str) -> dict[str, Any]:
    content = cast(IO[bytes], files.extractfile(f"{FOLDER}/{name}"))
    return cast(dict[str, Any], pickle.load(content, encoding="latin1"))  # of Python 2
