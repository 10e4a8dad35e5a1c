"""How much raw data may ask for, so that a small file does not fill memory or disk."""

from contextlib import ExitStack
from typing import Annotated

from pydantic import Field

from stages.shared.settings.params import Params


class LimitsParams(Params):
    """What raw data may hold; what holds more is refused: an image before it is decoded, an archive as it is unpacked.

    Attributes:
        pixels: most pixels of one image, before it is resized.
        file_bytes: most bytes of one file, in a folder or unpacked from an archive.
        ratio: how many times its packed size a file of a zip archive, or a whole compressed tar archive, may take; the
            first MiB is free.
        files: most members of one archive, folders and links included.
    """

    pixels: Annotated[int, Field(ge=1, lt=2**40)] = 50_000_000
    file_bytes: Annotated[int, Field(ge=1, lt=2**40)] = 300_000_000
    ratio: Annotated[float, Field(ge=1, le=1_000_000)] = 200.0
    files: Annotated[int, Field(ge=1, lt=2**40)] = 2_000_000


DEFAULT_LIMITS = LimitsParams()


class Resources(ExitStack):
    """What was opened to read raw data, closed at the end, and the limits that its readers keep to."""

    def __init__(self, limits: LimitsParams = DEFAULT_LIMITS) -> None:
        super().__init__()
        self.limits = limits
