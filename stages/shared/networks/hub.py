"""Downloads from the libraries' hubs: verified, loaded only as tensors, and failing at once without a network.

Every file of a library's cache is compared with its hash before a library gets it; 100 MB take 0.2 s. The Hugging Face
hub's client compares only sizes, torch's compares hashes where it is asked to, and both trust what lies in the cache:
also what a killed run left, or a disk has changed since. Every `torch.load` of a library reads only tensors: in other
pickles Python runs what the file says.
"""

import hashlib
import logging
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import requests
from safetensors import SafetensorError

from stages.shared.core.digests import file_sha256
from stages.shared.runtime.errors import UserError, causes, explain_system_error, irregular

TIMEOUT_SECONDS = 3.0
YOUR_OWN = "weights: {source: file, path: ...}"
REMEDY = f"download the file yourself and name it: {YOUR_OWN}"

CONTENT_ERRORS = (RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError)
"""What libraries raise for a file of weights that is not what it should be."""

FILES = {
    "config.json": r"config\.json",
    "preprocessor_config.json": r".*processor_config\.json",
    "weights": r".*(?<!\.json)",  # of what is loaded, all else is JSON
}
"""Files that are known to be loaded from a repository, and a pattern of their names."""

FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
FORBID = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"

WEAKENS = re.compile(r"weights_only|trust_remote_code|safe_globals|allowlist|use_safetensors|trust", re.IGNORECASE)
"""What libraries advise where they refuse to run code."""


@contextmanager
def hub_access(what: str, torch_url: str | None = None, *, files: Iterable[str] = ("weights",)) -> Iterator[None]:
    """Run a download: only from the cache if the hub does not answer, instead of minutes of retries.

    What is downloaded, and what is in the cache, is compared with its hash and loaded only as tensors.

    Args:
        what: what is being downloaded, for the message.
        torch_url: of the file that torch's own client loads; None: the Hugging Face hub's client loads some.
        files: keys of `FILES`: what is loaded from the hub.

    Raises:
        UserError: what is neither in the cache nor can be downloaded, is damaged, or finds no room on the disk.
        LibraryVersionError: what was loaded was not compared with its hash, because of a library's version.
    """
    from huggingface_hub import constants

    silence = _silence(torch_url)
    if torch_url:
        _check_cached(what, torch_url, silence)
    # for timm and open_clip, which take no `local_files_only`
    offline = _replaced(constants, "HF_HUB_OFFLINE", lambda _: silence is not None)
    logging.disable(logging.CRITICAL if silence else logging.NOTSET)  # the libraries' own reports of the errors below
    try:
        with offline, weights_only(), verified(what, () if torch_url else files):
            yield
    except _download_errors() as error:
        raise UserError(_failure(what, error, silence)) from error
    finally:
        logging.disable(logging.NOTSET)


def _check_cached(what: str, url: str, silence: str | None) -> None:
    """Fail now if a file that torch's client is about to load is damaged, or is not there and its server is silent.

    The client compares what it downloads with the hash in the name, not what it has in its cache.
    """
    import torch

    try:
        cached = check_torch_file(Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name)
    except OSError as error:
        raise UserError(f"{what} cannot be loaded: {explain_system_error(error) or error}") from error
    if not cached and silence:
        raise UserError(_advice(what, silence))


def _download_errors() -> tuple[type[Exception], ...]:
    """Return what loading raises; the base of the hub's own error is that of its HTTP client."""
    from huggingface_hub.errors import HfHubHTTPError

    return OSError, *CONTENT_ERRORS, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))


def _failure(what: str, error: Exception, silence: str | None) -> str:
    """Return why something could not be loaded, and what to do.

    Libraries reword what a file holds, such as broken JSON, and that it is not there: the first of the causes tells.
    """
    if lack := explain_system_error(error):
        return f"{what} cannot be loaded: {lack}"
    *_, first = causes(error)
    if isinstance(first, (*CONTENT_ERRORS, ValueError)) and not isinstance(first, OSError):
        fitting = "give the image_size and config that it was made for, or " if isinstance(first, RuntimeError) else ""
        words = without_advice(error).rstrip(".")
        return f"{what} cannot be loaded: {words}; {fitting}take other weights: {YOUR_OWN}"
    return _advice(what, silence or without_advice(error))


def _silence(url: str | None = None) -> str | None:
    """Return why the server of a file, by default the Hugging Face hub, cannot be asked; None if it can."""
    from huggingface_hub import constants

    if url is None and private(constants, "HF_HUB_OFFLINE"):
        return "HF_HUB_OFFLINE is set, and the cache does not hold it"
    server = "{0.scheme}://{0.netloc}".format(urlsplit(url)) if url else constants.ENDPOINT
    return None if _answers(server) else f"{server} does not answer, and the cache does not hold it"


def _answers(url: str) -> bool:
    try:
        requests.head(url, timeout=TIMEOUT_SECONDS)
    except requests.RequestException:
        return False
    return True


def _advice(what: str, reason: str) -> str:
    return (
        f"{what} cannot be loaded: {reason}\n"
        "  offline: run this cell once on a machine with network and copy its cache (~/.cache/huggingface, "
        f"~/.cache/torch), or name a file you have: {YOUR_OWN}"
    )


class LibraryVersionError(Exception):
    """A library has another version than loading weights is written for. Not a `UserError`: its traceback is needed."""

    def __init__(self, problem: str) -> None:
        libraries = ("huggingface_hub", "open_clip", "timm", "transformers")
        found = ", ".join(f"{name} {sys.modules[name].__version__}" for name in libraries if name in sys.modules)
        super().__init__(
            f"{problem}; found {found}; install the versions that were tried: pip install -c constraints.txt ."
        )


def private(module: ModuleType, name: str) -> Any:
    """Look up what a library does not promise to keep.

    Raises:
        LibraryVersionError: this version does not have it.
    """
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise LibraryVersionError(f"{module.__name__} must have {name}, on which loading weights relies") from error


@contextmanager
def verified(what: str, files: Iterable[str] = ()) -> Iterator[None]:
    """Let the hub's client give a library no file that differs from its hash; such a file is deleted.

    Args:
        what: what is being loaded, for the message.
        files: keys of `FILES`: what must have been compared in the end.

    Raises:
        UserError: a file is damaged, or has no hash. Libraries may hide or reword it where it happens, so that it is
            raised here.
        LibraryVersionError: a function to be replaced is gone, or was not called: one of `files` was not compared.
    """
    refused: list[str] = []
    compared: set[str] = set()

    def checked(find: Callable[..., Any]) -> Callable[..., Any]:
        def found(*args: Any, **options: Any) -> Any:
            path = find(*args, **options)
            if isinstance(path, str) and path not in compared:  # what is known to be missing is another object
                try:
                    _check_hub_file(Path(path))
                except OSError as error:
                    refused.append(explain_system_error(error) or str(error))
                    raise
                compared.add(path)
            return path

        return found

    try:
        with ExitStack() as stack:
            for module, name in _finders():
                stack.enter_context(_replaced(module, name, checked))
            yield
    finally:
        if refused:
            raise UserError(f"{what} cannot be loaded: {refused[0]}") from None
    for file in files:
        if not any(re.fullmatch(FILES[file], Path(path).name) for path in compared):
            replaced = " and ".join(f"{module.__name__}.{name}" for module, name in _finders())
            raise LibraryVersionError(
                f"{what}: every file must be compared with its hash before a library loads it, which is done in "
                f"{replaced}; {file} did not come from there"
            )


def _finders() -> list[tuple[ModuleType, str]]:
    """Return the functions, each with its module, that give a library the path of a file of the hub's cache."""
    from huggingface_hub import file_download

    finders = [(file_download, "_hf_hub_download_to_cache_dir")]  # what every download and look-up ends in,
    if "transformers.utils.hub" in sys.modules:  # but for what transformers finds in the cache by itself
        finders.append((sys.modules["transformers.utils.hub"], "try_to_load_from_cache"))
    return finders


@contextmanager
def _replaced(module: ModuleType, name: str, replace: Callable[[Any], Any]) -> Iterator[None]:
    before = private(module, name)
    setattr(module, name, replace(before))
    try:
        yield
    finally:
        setattr(module, name, before)


def check_torch_file(path: Path) -> bool:
    """Compare a file of torch's cache with the head of the SHA-256 in its name.

    Returns:
        Whether there is a file.

    Raises:
        OSError: it is damaged, and was deleted (of a link, the link alone); or it is no regular file, or its name has
            no hash.
    """
    head = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    if not head:
        raise OSError(f"{path.name} has no hash in its name to compare it with; {REMEDY}")
    if not path.exists():
        return False
    _check_regular(path)
    if not file_sha256(path).startswith(head[1]):
        raise _deleted(path, [path])
    return True


def _check_regular(path: Path) -> None:
    if kind := irregular(path.stat().st_mode):
        raise OSError(f"{path} must be a regular file, found {kind}; delete it and run it again")


def _check_hub_file(path: Path) -> None:
    """Compare a file of the hub's cache with its hash: the name of the blob that it links to.

    A copy of a cache may have files in the place of links: then one of its blobs' names must be the hash.

    Raises:
        OSError: it is damaged, and was deleted; or it is no regular file, or has no hash.
    """
    _check_regular(path)
    copy = not path.is_symlink()
    repository = next((folder.parent for folder in path.parents if folder.name == "snapshots"), path)
    blobs = repository.glob("blobs/*") if copy else [path.readlink()]  # which may be a link, to a name that is no hash
    hashes = [blob.name for blob in blobs if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", blob.name)]
    if any(_hash(path, digits) in hashes for digits in {len(name) for name in hashes}):
        return
    if copy or not hashes:
        raise OSError(
            f"{path.name} has no hash to compare it with: another server than the hub sent it, or its cache was copied "
            f"without links; delete {path} and run it again, or {REMEDY}"
        )
    raise _deleted(path, _inside_cache(path, repository))


def _inside_cache(path: Path, repository: Path) -> list[Path]:
    """Return the link in `snapshots` and its blob, as far as they lie in their repository's folder of the cache.

    A blob that several repositories share lies in the cache's own folder `blobs`, and is returned, too. Whoever made
    the cache may have made links that lead anywhere: what they lead to is another's file.
    """
    root = repository.parent.resolve() / repository.name
    blob, content = path.parent / path.readlink(), path.resolve()
    inside = [path] if path.parent.resolve().is_relative_to(root / "snapshots") else []
    inside += [blob] if blob.parent.resolve() == root / "blobs" else []
    return inside + ([content] if content.is_relative_to(root.parent / "blobs") else [])


def _hash(path: Path, digits: int) -> str:
    """Return the hash that names a blob: SHA-256 (64 digits) of a large file, git's SHA-1 (40) of a small one."""
    if digits == 64:
        return file_sha256(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()


def _deleted(path: Path, deletable: Sequence[Path]) -> OSError:
    """Delete a damaged file, so that it is downloaded again; gives what to raise.

    Args:
        path: the file that a library would read.
        deletable: what of it may be deleted: the link itself, and not what it leads to, which may be anywhere.
    """
    if path not in deletable:
        return OSError(f"{path} differs from its hash and leads out of its cache; delete it and run it again")
    try:
        for link in deletable:
            link.unlink(missing_ok=True)
    except OSError as error:
        return OSError(f"{path} differs from its hash and cannot be deleted ({error.strerror}); delete it")
    return OSError(f"{path.name} differs from its hash and was deleted; run it again")


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
