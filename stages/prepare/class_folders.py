"""Images in folders that say their class, and perhaps their split: `<class>/*` or `{train,test,unseen}/<class>/*`."""

from typing import Literal, cast

from ..shared.runtime.errors import UserError
from .candidates import SPLITS, Candidate, Listing, Split
from .raw_files import RawFiles


def list_classes(files: RawFiles, *, others: Literal["error", "ignore"] = "error") -> Listing:
    """List the images of `<class>/*` or `{train,test,unseen}/<class>/*`, directly or below one folder.

    Args:
        files: the raw folder or archive.
        others: what to do with folders that stand beside the split folders.

    Raises:
        UserError: no class folder has images, or there is a folder where none may be.
    """
    entries = _unwrap({path: path.split("/") for path in files.paths})
    depth = 2
    if any(parts[0] in SPLITS and len(parts) > 2 for parts in entries.values()):
        depth = 3
        extra = sorted({parts[0] for parts in entries.values() if len(parts) > 1} - set(SPLITS))
        if extra and others == "error":
            raise UserError(
                f"{files.where}: beside train, test and unseen there must be no other folder, found "
                f"{', '.join(extra)}; move its images into train or test, or remove it"
            )
        entries = {path: parts for path, parts in entries.items() if parts[0] not in extra or len(parts) == 1}
    if nested := next((path for path, parts in entries.items() if len(parts) > depth), None):
        raise UserError(
            f"{files.where}: {nested!r} lies too deep: images must lie directly in their class's folder, "
            f"as {_LAYOUTS}; move them up, or list them in a CSV and use `source: table`"
        )
    candidates = [
        Candidate("/".join(parts), parts[-2], cast(Split, parts[0]) if depth == 3 else None, path, files.content(path))
        for path, parts in entries.items()
        if len(parts) == depth
    ]
    if not candidates:
        raise UserError(
            f"{files.where}: found no class folder with images; it must hold {_LAYOUTS}, or {TABLE_INSTEAD}"
        )
    return Listing(candidates, tuple(path for path, parts in entries.items() if len(parts) < depth), files.hidden)


_LAYOUTS = "<class>/* or {train,test}/<class>/*"
TABLE_INSTEAD = (
    "list images and classes in a CSV inside it, with the columns path and label (`whichlayer quick FOLDER --table "
    "labels.csv`, `whichlayer new FOLDER --table labels.csv`; in params.yaml `source: table`)"
)


def _unwrap(entries: dict[str, list[str]]) -> dict[str, list[str]]:
    """Leave out of files' parts the folders that hold everything else, as archives and repositories have them."""
    while True:
        tops = {parts[0] for parts in entries.values() if len(parts) > 1}
        deep = any(len(parts) > 2 for parts in entries.values())
        if len(tops) != 1 or not deep or tops <= set(SPLITS):
            return entries
        entries = {path: parts[1:] or parts for path, parts in entries.items()}
