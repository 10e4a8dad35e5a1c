"""An object that runs code where it is unpickled, and Zarr metadata by which zarr unpickles it."""

import json
from pathlib import Path
from typing import Any


class Evil:
    """Makes an empty file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


PICKLES: dict[str, dict[str, Any]] = {
    "filter": {"filters": [{"id": "vlen-utf8"}, {"id": "pickle"}], "compressor": None},
    "compressor": {"filters": [{"id": "vlen-utf8"}], "compressor": {"id": "pickle"}},
}
"""The codecs of a Zarr array of texts whose chunks are pickles, as zarr takes them."""


def pickled_array(codecs: dict[str, Any], length: int = 28) -> dict[str, Any]:
    """Metadata of an array of Zarr format 2 that is one chunk."""
    described = {"zarr_format": 2, "shape": [length], "chunks": [length], "dtype": "|O", "fill_value": "", "order": "C"}
    return described | codecs


def list_in_group(group: Path, **arrays: dict[str, Any]) -> None:
    """Have a Zarr group of format 3 list its arrays in its own metadata, these with other metadata than their own."""
    own = {file.parent.name: json.loads(file.read_bytes()) for file in group.glob("*/zarr.json")}
    metadata = json.loads((group / "zarr.json").read_bytes())
    metadata["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": own | arrays}
    (group / "zarr.json").write_text(json.dumps(metadata))
