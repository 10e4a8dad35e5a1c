"""Files of the libraries' caches, each compared with its hash before a library gets it; 100 MB take 0.2 s.

The Hugging Face hub's client compares sizes alone, torch's compares hashes where it is asked to, and both trust what
lies in the cache: also what a killed run left, or a disk has changed since.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from stages.shared.runtime.errors import UserError
from stages.shared.runtime.resources import explain

REMEDY = "download the file yourself and name it: weights: {source: file, path: ...}"

FILES = {
    "config.json": r"config\.json",
    "preprocessor_config.json": r".*processor_config\.json",
    "weights": r".*(?<!\.json)",  # of what is loaded, all else is JSON
}
"""Files that are known to be loaded from a repository, and a pattern of their names."""


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
    """Within, the hub's client gives a library no file that differs from its hash; such a file is deleted.

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

    @cache
    def check(path: Path) -> None:
        try:
            _check(path)
        except OSError as error:
            refused.append(explain(error) or str(error))
            raise
        compared.add(path.name)

    def checked(find: Callable[..., Any]) -> Callable[..., Any]:
        def found(*args: Any, **options: Any) -> Any:
            path = find(*args, **options)
            if isinstance(path, str):  # what is known to be missing is another object
                check(Path(path))
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
    _require_compared(what, files, compared)


def _finders() -> list[tuple[ModuleType, str]]:
    """Return the functions, each with its module, that give a library the path of a file of the hub's cache."""
    from huggingface_hub import file_download

    finders = [(file_download, "_hf_hub_download_to_cache_dir")]  # what every download and look-up ends in,
    if "transformers.utils.hub" in sys.modules:  # but for what transformers finds in the cache by itself
        finders.append((sys.modules["transformers.utils.hub"], "try_to_load_from_cache"))
    return finders


@contextmanager
def _replaced(
    module: ModuleType, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    before = private(module, name)
    setattr(module, name, wrap(before))
    try:
        yield
    finally:
        setattr(module, name, before)


def _require_compared(what: str, files: Iterable[str], compared: Iterable[str]) -> None:
    for file in files:
        if not any(re.fullmatch(FILES[file], name) for name in compared):
            replaced = " and ".join(f"{module.__name__}.{name}" for module, name in _finders())
            raise LibraryVersionError(
                f"{what}: every file must be compared with its hash before a library loads it, which is done in "
                f"{replaced}; {file} did not come from there"
            )


def check_torch_file(path: Path) -> bool:
    """Compare a file of torch's cache with the head of the SHA-256 in its name.

    Returns:
        Whether there is a file.

    Raises:
        OSError: it is damaged, and was deleted; or its name has no hash.
    """
    head = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    if not head:
        raise OSError(f"{path.name} has no hash in its name to compare it with; {REMEDY}")
    if path.exists() and not _sha256(path).startswith(head[1]):
        raise _deleted(path)
    return path.exists()


def _check(path: Path) -> None:
    """Compare a file of the hub's cache with its hash: the name of the blob that it links to.

    A copy of a cache may have files in the place of links: then one of its blobs' names must be the hash.

    Raises:
        OSError: it is damaged, and was deleted; or it has no hash.
    """
    copy = not path.is_symlink()
    blobs = _blobs(path) if copy else [path.readlink().name]  # a blob may itself be a link, to a name that is no hash
    hashes = [name for name in blobs if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name)]
    if any(_hash(path, digits) in hashes for digits in {len(name) for name in hashes}):
        return
    if copy or not hashes:
        raise OSError(
            f"{path.name} has no hash to compare it with: another server than the hub sent it, or its cache was copied "
            f"without links; delete {path} and run it again, or {REMEDY}"
        )
    raise _deleted(path)


def _blobs(path: Path) -> list[str]:
    """Names of the blobs of the repository in whose `snapshots` a file is."""
    repository = next((folder.parent for folder in path.parents if folder.name == "snapshots"), None)
    return [blob.name for blob in repository.glob("blobs/*")] if repository else []


def _hash(path: Path, digits: int) -> str:
    """The hash that names a blob: SHA-256 (64 digits) of a large file, git's SHA-1 (40) of a small one."""
    if digits == 64:
        return _sha256(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _deleted(path: Path) -> OSError:
    """Delete a damaged file and the links that lead to it, so that it is downloaded again; gives what to raise."""
    chain = [path]
    while chain[-1].is_symlink():
        chain.append(chain[-1].parent / chain[-1].readlink())
    try:
        for link in chain:
            link.unlink(missing_ok=True)
    except OSError as error:
        return OSError(f"{path} differs from its hash and cannot be deleted ({error.strerror}); delete it")
    return OSError(f"{path.name} differs from its hash and was deleted; run it again")
