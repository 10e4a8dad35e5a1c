"""Downloads from the libraries' hubs: verified, and where there is no network failing at once, with what to do."""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from stages.shared.console import UserError
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.weights_file import check_file
from stages.shared.networks.weights_only import weights_only, without_advice

TIMEOUT_SECONDS = 3.0
TORCH_HUB = "https://download.pytorch.org"


@contextmanager
def hub_access(what: str, url: str | None = None) -> Iterator[None]:
    """Run a download: from the cache alone if the hub does not answer, instead of minutes of retries.

    What is downloaded is loaded as tensors alone.

    Args:
        what: what is being downloaded, for the message.
        url: the server; by default the Hugging Face hub.

    Raises:
        UserError: what is neither in the cache nor can be downloaded, or arrived damaged.
    """
    from huggingface_hub import constants

    before, server = constants.HF_HUB_OFFLINE, url or constants.ENDPOINT
    reachable = not before and _answers(server)
    constants.HF_HUB_OFFLINE = not reachable  # timm and open_clip take no `local_files_only`
    logging.disable(logging.NOTSET if reachable else logging.CRITICAL)  # the libraries' reports of what is said below
    try:
        with weights_only(), _verified():
            yield
    except _download_errors() as error:
        raise UserError(_advice(what, without_advice(error) if reachable else _silent(server))) from error
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.disable(logging.NOTSET)


def require_answer(what: str, url: str) -> None:
    """Fail now if a server that is about to be asked does not answer.

    Raises:
        UserError: with what to do.
    """
    if not _answers(url):
        raise UserError(_advice(what, _silent(url)))


def require_weights(network: NetworkParams) -> None:
    """Fail now, before libraries are imported, if a network's weights are not available.

    Of hubs, only transformers' names say in which repository they are; the others' are found out when they are loaded.

    Raises:
        UserError: a file is missing or another than the entry says; or nothing of the repository is in the cache, and
            the hub does not answer.
    """
    if network.weights.source == "file":
        check_file(network.weights)
    if network.library != "transformers" or network.weights.source != "hub":
        return
    from huggingface_hub import constants, try_to_load_from_cache

    cached = try_to_load_from_cache(network.name, "config.json", cache_dir=constants.HF_HUB_CACHE)
    if not isinstance(cached, str) and (constants.HF_HUB_OFFLINE or not _answers(constants.ENDPOINT)):
        raise UserError(_advice(f"the hub's {network.name}", _silent(constants.ENDPOINT)))


def _download_errors() -> tuple[type[Exception], ...]:
    """What downloads raise: the base of the hub's own error is that of whichever HTTP client it uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return OSError, RuntimeError, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))


@contextmanager
def _verified() -> Iterator[None]:
    """Compare what meanwhile comes into the Hugging Face hub's cache with its hash: the hub's client compares sizes.

    torchvision's client compares hashes itself.

    Raises:
        OSError: a file is damaged; it is deleted, and asking again downloads it again.
    """
    before = set(_cached_files())
    try:
        yield
    finally:
        damaged = [path for path in set(_cached_files()) - before if not _has_hash(path)]
        for path in damaged:
            path.unlink(missing_ok=True)
        if damaged:
            raise OSError(f"{len(damaged)} downloaded file(s) differ from their hash and were deleted; run it again")


def _cached_files() -> Iterator[Path]:
    from huggingface_hub import constants

    return (path for path in Path(constants.HF_HUB_CACHE).glob("*/blobs/*") if path.suffix != ".incomplete")


def _has_hash(path: Path) -> bool:
    """Whether a file of the cache has the hash that is its name: SHA-256 of large files, git's SHA-1 of small ones.

    A name that is neither, as other servers than the hub may give, says nothing.
    """
    if re.fullmatch("[0-9a-f]{64}", path.name):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == path.name
    if not re.fullmatch("[0-9a-f]{40}", path.name):
        return True
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest() == path.name


def _answers(url: str) -> bool:
    try:
        requests.head(url, timeout=TIMEOUT_SECONDS)
    except requests.RequestException:
        return False
    return True


def _silent(url: str) -> str:
    return f"{url} does not answer, and the cache does not hold it"


def _advice(what: str, reason: str) -> str:
    return (
        f"{what} cannot be loaded: {reason}\n"
        "  offline: run this cell once on a machine with network and copy its cache (~/.cache/huggingface, "
        "~/.cache/torch), or name a file you have: weights: {source: file, path: ...}"
    )
