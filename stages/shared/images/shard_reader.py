"""Read single chunks of a packed image store: Zarr takes longer to prepare a read than the read takes.

The layout is that of Zarr's format 3: a shard is its chunks, then an index of offset and length of each, then the
index's CRC32C; a chunk is its bytes, compressed by Zstandard, then their CRC32C. `image_store` writes it.
"""

from typing import TYPE_CHECKING

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from stages.shared.files.digests import Digests

if TYPE_CHECKING:
    import zarr

CHECKSUM_BYTES = 4
MISSING = 2**64 - 1
"""Offset of a chunk that holds the fill value alone, 0, and is not stored."""


class ShardReader:
    """The chunks of one array, of which each spans all axes but the first."""

    def __init__(self, digests: Digests, name: str, array: "zarr.Array") -> None:
        """Take the array and its name below the folder of the digests."""
        self.digests, self.name, self.shape = digests, name, array.chunks
        self.chunks_per_shard = array.shards[0] // array.chunks[0]
        self._indices: dict[int, NDArray[np.uint64]] = {}

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read rows in the order given, (B, ...).

        Raises:
            UserError: a file that holds some of them is not as it was written.
            ValueError: a checksum does not match: it has changed since.
        """
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        chunks, places = np.divmod(rows, self.shape[0])
        for chunk in np.unique(chunks):
            wanted = np.flatnonzero(chunks == chunk)
            found[wanted] = self._chunk(int(chunk))[places[wanted]]
        return found

    def _chunk(self, number: int) -> NDArray[np.uint8]:
        shard, place = divmod(number, self.chunks_per_shard)
        name = "/".join([self.name, "c", str(shard), *["0"] * (len(self.shape) - 1)])
        self.digests.check(name)
        with (self.digests.folder / name).open("rb") as file:
            if shard not in self._indices:
                file.seek(-(16 * self.chunks_per_shard + CHECKSUM_BYTES), 2)
                self._indices[shard] = np.frombuffer(_checked(file.read(), name), "<u8").reshape(-1, 2)
            offset, length = (int(value) for value in self._indices[shard][place])
            if offset == MISSING:
                return np.zeros(self.shape, np.uint8)
            file.seek(offset)
            compressed = _checked(file.read(length), name)
        return np.frombuffer(Zstd().decode(compressed), np.uint8).reshape(self.shape)


def _checked(data: bytes, name: str) -> bytes:
    content, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if google_crc32c.value(content) != int.from_bytes(checksum, "little"):
        raise ValueError(f"{name}: a checksum does not match")
    return content
