"""Files of the libraries' hubs: found, compared with their hashes, loaded only as tensors, at once without a network.

Every file of a library's cache is compared with its hash before it is loaded by its path; 100 MB take 0.2 s. The
Hugging Face hub's client compares only sizes, torch's compares hashes where it is asked to, and both trust what lies in
the cache: also what a killed run left, or a disk has changed since. Every `torch.load` of a library reads only tensors:
in other pickles Python runs what the file says.
"""

import hashlib
import os
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests
from safetensors import SafetensorError

from ..runtime.errors import UserError, causes, explain_system_error, irregular
from ..workflow.digests import file_sha256

TIMEOUT_SECONDS = 3.0
YOUR_OWN = "weights: {source: file, path: ...}"
REMEDY = f"download the file yourself and use it: {YOUR_OWN}"

CONTENT_ERRORS = (RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError)
"""What libraries raise for a file of weights that is not what it should be."""

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
FORBID = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"

WEAKENS = re.compile(r"weights_only|trust_remote_code|safe_globals|allowlist|use_safetensors|trust", re.IGNORECASE)
"""What libraries advise where they refuse to run code."""


class RefusedFileError(OSError):
    """A file that is not loaded; says why, and what to do."""


@contextmanager
def hub_access(what: str) -> Iterator[None]:
    """Explain what finding and loading files of a hub raises; meanwhile torch loads nothing but tensors.

    Args:
        what: what is being loaded, for the message.

    Raises:
        UserError: what is neither in the cache nor can be downloaded, is damaged, or finds no room on the disk.
    """
    from huggingface_hub.errors import HfHubHTTPError

    errors: tuple[type[Exception], ...] = (OSError, *CONTENT_ERRORS, *HfHubHTTPError.__bases__)  # its HTTP client's own
    try:
        with weights_only():
            yield
    except errors as error:
        raise UserError(f"{what} cannot be loaded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return why something could not be loaded, and what to do.

    Libraries reword what a file holds, such as broken JSON: the first of the causes tells.
    """
    if isinstance(error, RefusedFileError):
        return str(error)
    if lack := explain_system_error(error):
        return lack
    *_, first = causes(error)
    if isinstance(first, (*CONTENT_ERRORS, ValueError)) and not isinstance(first, OSError):
        fitting = "give the image_size and config that it was made for, or " if isinstance(first, RuntimeError) else ""
        return f"{without_advice(error).rstrip('.')}; {fitting}use different weights: {YOUR_OWN}"
    return _with_advice(without_advice(error))


def _with_advice(reason: str) -> str:
    return (
        f"{reason}\n"
        "  offline: run this cell once on a machine with network and copy its cache (~/.cache/huggingface, "
        f"~/.cache/torch), or use a file you have: {YOUR_OWN}"
    )


def hub_file(repository: str, names: Sequence[str]) -> Path:
    """Find a file of a repository of the Hugging Face hub: of several names the first that it has.

    It comes from the cache alone if the hub does not answer, instead of minutes of retries.

    Raises:
        RefusedFileError: it is damaged, or neither in the cache nor can be downloaded.
        FileNotFoundError: the repository has none of these names.
    """
    from huggingface_hub import constants, hf_hub_download, is_offline_mode
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    offline = "HF_HUB_OFFLINE is set, and the cache does not hold it" if is_offline_mode() else None
    silence = offline or _silence(constants.ENDPOINT)
    for name in names:
        try:
            path = Path(hf_hub_download(repository, name, local_files_only=silence is not None))
        except EntryNotFoundError as error:
            missing = error
            continue
        check_hub_file(path)
        return path
    if silence or isinstance(missing, LocalEntryNotFoundError):
        raise RefusedFileError(_with_advice(silence or without_advice(missing))) from missing
    raise FileNotFoundError(without_advice(missing)) from missing


def safe_names(name: str) -> list[str]:
    """Return the names of a file of weights: as safetensors, if it is there, then its own."""
    safe = name.replace("pytorch_model.bin", "model.safetensors")
    return list(dict.fromkeys([re.sub(r"\.(bin|pth?)$", ".safetensors", safe), name]))


def check_torch_cache(url: str) -> None:
    """Check a file that torch's client is about to load: it compares what it downloads with the hash in the name.

    Raises:
        RefusedFileError: it is damaged, or not in the cache and its server is silent.
    """
    import torch

    cached = check_torch_file(Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name)
    if not cached and (silence := _silence(url)):
        raise RefusedFileError(_with_advice(silence))


def _silence(url: str) -> str | None:
    """Return why a server cannot be asked; None if it can."""
    server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    return None if _answers(server) else f"{server} does not answer, and the cache does not hold it"


def _answers(url: str) -> bool:
    try:
        requests.head(url, timeout=TIMEOUT_SECONDS)
    except requests.RequestException:
        return False
    return True


def check_torch_file(path: Path) -> bool:
    """Compare a file of torch's cache with the head of the SHA-256 in its name.

    Returns:
        Whether there is a file.

    Raises:
        RefusedFileError: it is damaged or no regular file, or its name has no hash.
    """
    head = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    if not head:
        raise RefusedFileError(f"{path.name} has no hash in its name to compare it with; {REMEDY}")
    if not path.exists():
        return False
    _check_regular(path)
    if not file_sha256(path).startswith(head[1]):
        raise _damaged(path)
    return True


def _check_regular(path: Path) -> None:
    if kind := irregular(path.stat().st_mode):
        raise RefusedFileError(f"{path} must be a regular file, found {kind}; delete it and retry")


def check_hub_file(path: Path) -> None:
    """Compare a file of the hub's cache with its hash: the name of the blob that it links to.

    A copy of a cache may have files in the place of links: then one of its blobs' names must be the hash.

    Raises:
        RefusedFileError: it is damaged or no regular file, or has no hash.
    """
    _check_regular(path)
    copy = not path.is_symlink()
    repository = next((folder.parent for folder in path.parents if folder.name == "snapshots"), path)
    blobs = repository.glob("blobs/*") if copy else [path.readlink()]  # which may be a link, to a name that is no hash
    hashes = [blob.name for blob in blobs if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", blob.name)]
    if any(_hash(path, digits) in hashes for digits in {len(name) for name in hashes}):
        return
    if copy or not hashes:
        raise RefusedFileError(
            f"{path.name} has no hash to compare it with: another server than the hub sent it, or its cache was copied "
            f"without links; delete {path} and retry, or {REMEDY}"
        )
    raise _damaged(path)


def _hash(path: Path, digits: int) -> str:
    """Return the hash that names a blob: SHA-256 (64 digits) of a large file, git's SHA-1 (40) of a small one."""
    if digits == 64:
        return file_sha256(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()


def _damaged(path: Path) -> RefusedFileError:
    """Return what to raise for a file that is to be downloaded again; of a link, what it leads to."""
    return RefusedFileError(f"{path.name} differs from its hash; delete {path.resolve()} and retry")


def without_advice(error: Exception) -> str:
    """Return a library's message without the sentences that advise to run what a file or repository says."""
    sentences = re.split(r"(?<=[.!?])\s+|\n+", str(error).strip())
    kept = [sentence for sentence in sentences if not WEAKENS.search(sentence)]
    return " ".join(kept) if kept else "it would run code that is neither this project's nor the library's"


@contextmanager
def weights_only() -> Iterator[None]:
    """Let torch unpickle nothing but tensors, whatever a library or the environment asks for."""
    before = {name: os.environ.pop(name) for name in (FORCE, FORBID) if name in os.environ}
    os.environ[FORCE] = "1"
    try:
        yield
    finally:
        for name in (FORCE, FORBID):
            os.environ.pop(name, None)
        os.environ.update(before)
