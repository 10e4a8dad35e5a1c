"""Which class and split a file belongs to, from the folders it lies in."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from stages.prepare.candidates import Candidate, Listing, Split
from stages.prepare.limits import RawFiles
from stages.shared.images.image_store import SPLITS
from stages.shared.runtime.errors import UserError


class _File(NamedTuple):
    path: str
    parts: tuple[str, ...]


def list_classes(files: RawFiles, *, others: Literal["error", "ignore"] = "error") -> Listing:
    """List the images of `<class>/*` or `{train,test,unseen}/<class>/*`, directly or below one folder.

    Args:
        files: the raw folder or archive.
        others: what to do with folders that stand beside the split folders.

    Raises:
        UserError: no class folder has images, or there is a folder where none may be.
    """
    entries = _unwrap([_File(path, tuple(path.split("/"))) for path in files.paths])
    depth = 2
    if any(e.parts[0] in SPLITS and len(e.parts) > 2 for e in entries):
        depth = 3
        extra = sorted({e.parts[0] for e in entries if len(e.parts) > 1} - set(SPLITS))
        if extra and others == "error":
            raise UserError(
                f"{files.where}: beside train, test and unseen there must be no other folder, found "
                f"{', '.join(extra)}; move its images into train or test, or remove it"
            )
        entries = [e for e in entries if e.parts[0] not in extra or len(e.parts) == 1]
    nested = next((e for e in entries if len(e.parts) > depth), None)
    if nested:
        raise UserError(
            f"{files.where}: {nested.path!r} lies too deep: images must lie directly in their class's folder, "
            f"as {_LAYOUTS}; move them up, or list them in a CSV and use `source: table`"
        )
    candidates = [
        Candidate("/".join(parts), parts[-2], cast(Split, parts[0]) if depth == 3 else None, path, files.content(path))
        for path, parts in entries
        if len(parts) == depth
    ]
    if not candidates:
        raise UserError(f"{files.where}: found no class folder with images; it must hold {_LAYOUTS}")
    return Listing(candidates, tuple(e.path for e in entries if len(e.parts) < depth), files.hidden)


_LAYOUTS = "<class>/* or {train,test}/<class>/*"


def _unwrap(entries: Sequence[_File]) -> list[_File]:
    """Leave out folders that hold everything else, as archives and repositories have them."""
    while True:
        tops = {e.parts[0] for e in entries if len(e.parts) > 1}
        deep = any(len(e.parts) > 2 for e in entries)
        if len(tops) != 1 or not deep or tops <= set(SPLITS):
            return list(entries)
        entries = [_File(e.path, e.parts[1:] if len(e.parts) > 1 else e.parts) for e in entries]
