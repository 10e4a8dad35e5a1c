"""A user's own images: a folder or one archive, with one folder per class, below split folders or not."""

from pathlib import Path

from stages.prepare.candidates import Listing, list_classes
from stages.prepare.limits import Resources
from stages.prepare.params import FolderParams
from stages.prepare.raw_files import open_raw


def list_folder(raw: Path, params: FolderParams, seed: int, resources: Resources) -> Listing:
    """List the images of `<class>/*` or `{train,test,unseen}/<class>/*`.

    Raises:
        UserError: the folder or archive is missing, empty or damaged, or its folders have another layout.
    """
    return list_classes(open_raw(raw, resources))
