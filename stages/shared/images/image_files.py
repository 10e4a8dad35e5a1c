"""The files of a packed dataset (`image_store` has their layout): their version, digests and manifest."""

import json
from pathlib import Path

import pandas as pd

from stages.shared.files.digests import DIGESTS, Digests, again, read_digests
from stages.shared.runtime.errors import UserError

FORMAT, FOLD_FORMAT = "whichlayer.images/3", "whichlayer.fold/1"
STORE, MANIFEST = "images.zarr", "manifest.csv"
STAGE = "prepare"
EARLIER_FORMATS = ("whichlayer.images/1", "whichlayer.images/2")


def open_prepared(path: Path, dataset: str | None) -> Digests:
    """Read the digests of a dataset's folder, to check its files before they are read; None: of any dataset.

    Raises:
        UserError: it is unfinished, or of another version or dataset.
    """
    if not (path / DIGESTS).is_file():
        _check_version(path / STORE)
    of = {} if dataset is None else {"dataset": dataset}
    return read_digests(path / DIGESTS, format=FORMAT, of=of, stage=STAGE)


def read_manifest(digests: Digests) -> pd.DataFrame:
    """Read the manifest of a dataset's folder, all columns as text.

    Raises:
        UserError: it is not as it was written.
    """
    digests.check(MANIFEST)
    return pd.read_csv(digests.folder / MANIFEST, dtype=str, keep_default_na=False)


def _check_version(store: Path) -> None:
    """Check that images without digests are not of an earlier version.

    Raises:
        UserError: they are.
    """
    try:
        found = str(json.loads((store / "zarr.json").read_bytes())["attributes"]["format"])
    except (OSError, ValueError, TypeError, KeyError):
        return
    if found in EARLIER_FORMATS:
        raise UserError(
            f"{store}: must be of format {FORMAT}, found {found}, which an earlier version of whichlayer wrote and "
            f"which lacks digests; {again(STAGE)}"
        )
