"""A user's own images: a folder or one archive, with one folder per class, below split folders or not."""

from contextlib import ExitStack
from pathlib import Path

from ..candidates import Listing
from ..class_folders import list_classes
from ..params import FolderParams
from ..raw_data import open_raw


def list_folder(raw: Path, params: FolderParams, seed: int, resources: ExitStack) -> Listing:
    """List the images of `<class>/*` or `{train,test,unseen}/<class>/*`.

    Raises:
        UserError: the folder or archive is missing, empty or damaged, or its folders have another layout.
    """
    return list_classes(open_raw(raw, resources))
