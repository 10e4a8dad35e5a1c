"""The files of a packed dataset (`stages.shared.image_store` has their layout): their version, digests and manifest."""

from pathlib import Path

import pandas as pd

from stages.shared.digests import DIGESTS, Digests, read_digests

FORMAT, FOLD_FORMAT = "whichlayer.images/3", "whichlayer.fold/1"
STORE, MANIFEST = "images.zarr", "manifest.csv"
STAGE = "prepare"


def open_prepared(path: Path, dataset: str | None) -> Digests:
    """Read the digests of a dataset's folder, to check its files before they are read; None: of any dataset.

    Raises:
        UserError: it is unfinished, or of another version or dataset.
    """
    of = {} if dataset is None else {"dataset": dataset}
    return read_digests(path / DIGESTS, format=FORMAT, of=of, stage=STAGE)


def read_manifest(digests: Digests) -> pd.DataFrame:
    """Read the manifest of a dataset's folder, all columns as text.

    Raises:
        UserError: it is not as it was written.
    """
    digests.check(MANIFEST)
    return pd.read_csv(digests.folder / MANIFEST, dtype=str, keep_default_na=False)
