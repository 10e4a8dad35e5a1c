"""The sources of images: one file each, one line each in `SOURCES`."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from stages.prepare.candidates import Listing
from stages.prepare.sources.calligraphy import list_calligraphy
from stages.prepare.sources.cifar100 import list_cifar100
from stages.prepare.sources.folder import list_folder
from stages.prepare.sources.handwriting import list_handwriting
from stages.prepare.sources.table import list_table
from stages.prepare.sources.torchvision import list_torchvision

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
