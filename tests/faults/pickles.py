"""An object that runs code where it is unpickled."""

from pathlib import Path


class Evil:
    """Makes an empty file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()
