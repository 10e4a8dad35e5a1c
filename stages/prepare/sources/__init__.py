"""The sources of images: one file each, one line each in `SOURCES`."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..candidates import Listing, check_candidates
from ..groups import group_by_name
from ..params import DatasetParams
from .calligraphy import list_calligraphy
from .cifar100 import list_cifar100
from .folder import list_folder
from .handwriting import list_handwriting
from .table import list_table
from .torchvision import list_torchvision

Source = Callable[[Path, Any, int, ExitStack], Listing]
"""(raw folder, the entry's parameters, root seed, what is closed at the end) -> candidates."""

SOURCES: dict[str, Source] = {
    "handwriting": list_handwriting,
    "folder": list_folder,
    "table": list_table,
    "calligraphy": list_calligraphy,
    "cifar100": list_cifar100,
    "torchvision": list_torchvision,
}


def list_images(raw: Path, params: DatasetParams, seed: int, resources: ExitStack) -> Listing:
    """List what a dataset's source offers, with the groups that its entry asks for.

    Raises:
        UserError: the raw data are missing or damaged, two images have one id, a name has control characters, or an
            image has no group.
    """
    listing = SOURCES[params.source](raw, params, seed, resources)
    check_candidates(listing.candidates)
    if params.group is None or any(c.group for c in listing.candidates):
        return listing
    return replace(listing, candidates=group_by_name(listing.candidates, params.group))
