"""DVC's run cache: which outputs a command once made of which inputs. DVC takes the newest entry that it can read.

An entry is a YAML file, named by the hash of its content, in a folder that is named by the hash of the same without the
hashes of the outputs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils import dict_sha256
from dvc.utils.serialize import load_yaml

NOT_HASHED = ("size", "nfiles")
"""Parts of an entry that DVC leaves out of its hash."""


def entry_is_whole(path: Path) -> bool:
    """Tell whether an entry's content has the hashes that are its name and its folder's."""
    try:
        entry = load_yaml(str(path))
        without_hashes = {**entry, "outs": [out["path"] for out in entry["outs"]]}
        return (_hash(without_hashes), _hash(entry)) == (path.parent.name, path.name)
    except (DvcException, OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def _hash(entry: Mapping[str, Any]) -> str:
    return str(dict_sha256(entry, exclude=NOT_HASHED))
