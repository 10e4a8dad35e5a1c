"""The files of an embedding store (`embedding_store` has its layout): its version, and its digests."""

import json
from collections.abc import Collection
from pathlib import Path

from stages.shared.files.digests import Digests, again, read_digests
from stages.shared.runtime.errors import UserError

FORMAT = "whichlayer.embeddings/4"
EARLIER_FORMATS = {
    "whichlayer.embeddings/1": "the operations up to each layer",
    "whichlayer.embeddings/2": "the operations up to each layer",
    "whichlayer.embeddings/3": "digests",
}
"""What each lacks."""

DIGESTS_GROUP = "digests"
"""The group whose attributes are the digests: zarr warns of a plain file among arrays."""

AGAIN = again("embed")


def check_finished(path: Path) -> None:
    """Check that a store is not of an earlier format or unfinished, as far as it can be read.

    Raises:
        UserError: saying which of the two does not hold.
    """
    try:
        attrs = json.loads((path / "zarr.json").read_bytes())["attributes"]
        found, complete = str(attrs.get("format")), attrs.get("complete", False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    if found in EARLIER_FORMATS:
        raise UserError(
            f"{path}: must be of format {FORMAT}, found {found}, which an earlier version of whichlayer wrote and "
            f"which lacks {EARLIER_FORMATS[found]}; {AGAIN}"
        )
    if found == FORMAT and not complete:
        raise UserError(
            f"{path}: must be a finished store of format {FORMAT}, found it unfinished, complete: "
            f"{json.dumps(complete)}; {AGAIN}"
        )


def check_described(path: Path, coordinates: Collection[str], inner: str) -> Digests:
    """Check that all files of a store are there with their sizes, and what is in those that describe the others.

    Args:
        path: the store.
        coordinates: names of its small arrays, which are read at once.
        inner: name of the store inside it, which has digests of its own.

    Raises:
        UserError: naming the first file that is not as it was written.
    """
    file = path / DIGESTS_GROUP / "zarr.json"
    digests = read_digests(file, format=FORMAT, of={}, stage="embed", folder=path, key="attributes")
    tops = {name.partition("/")[0] for name in digests.record.files} - {inner}
    digests.check_sizes(*sorted(tops))
    described = [name for name in digests.record.files if name.partition("/")[0] in coordinates or "/c/" not in name]
    return digests.check("zarr.json", f"{inner}/{DIGESTS_GROUP}", *described)
