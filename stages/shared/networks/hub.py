"""Downloads from the libraries' hubs: verified, and where there is no network failing at once, with what to do."""

import logging
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests
from safetensors import SafetensorError

from stages.shared.networks.params import NetworkParams
from stages.shared.networks.verified import check_torch_file, private, verified
from stages.shared.networks.weights_file import check_file
from stages.shared.networks.weights_only import weights_only, without_advice
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.resources import chain, explain

TIMEOUT_SECONDS = 3.0
YOUR_OWN = "weights: {source: file, path: ...}"

CONTENT_ERRORS = (RuntimeError, EOFError, pickle.UnpicklingError, SafetensorError)
"""What libraries raise for a file of weights that is not what it should be."""


@contextmanager
def hub_access(what: str, url: str | None = None, *, files: Iterable[str] = ("weights",)) -> Iterator[None]:
    """Run a download: from the cache alone if the hub does not answer, instead of minutes of retries.

    What is downloaded, and what is in the cache, is compared with its hash and loaded as tensors alone.

    Args:
        what: what is being downloaded, for the message.
        url: the server; by default the Hugging Face hub.
        files: keys of `verified.FILES`: what is loaded from the hub.

    Raises:
        UserError: what is neither in the cache nor can be downloaded, is damaged, or finds no room on the disk.
        LibraryVersionError: what was loaded was not compared with its hash, because of a library's version.
    """
    from huggingface_hub import constants

    before, silence = private(constants, "HF_HUB_OFFLINE"), _silence(url)
    constants.HF_HUB_OFFLINE = silence is not None  # timm and open_clip take no `local_files_only`
    logging.disable(logging.CRITICAL if silence else logging.NOTSET)  # the libraries' reports of what is said below
    try:
        with weights_only(), verified(what, () if url else files):
            yield
    except _download_errors() as error:
        raise UserError(_failure(what, error, silence)) from error
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.disable(logging.NOTSET)


def require_torch_file(what: str, url: str) -> str:
    """Fail now if a file that torch's own client is about to load is damaged, or cannot be downloaded and verified.

    The client compares what it downloads with the hash in the name, not what it has in its cache.

    Returns:
        The server, for `hub_access`.

    Raises:
        UserError: with what to do.
    """
    import torch

    server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    try:
        cached = check_torch_file(Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name)
    except OSError as error:
        raise UserError(f"{what} cannot be loaded: {explain(error) or error}") from error
    if not cached and (silence := _silence(server)):
        raise UserError(_advice(what, _absent(silence)))
    return server


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
    if not isinstance(cached, str) and (silence := _silence()):
        raise UserError(_advice(f"the hub's {network.name}", _absent(silence)))


def _download_errors() -> tuple[type[Exception], ...]:
    """What loading raises: the base of the hub's own error is that of whichever HTTP client it uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return OSError, *CONTENT_ERRORS, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))


def _failure(what: str, error: Exception, silence: str | None) -> str:
    """Return why something could not be loaded, and what to do.

    Libraries reword what a file holds, such as broken JSON, and that it is not there: the first of the causes tells.
    """
    if lack := explain(error):
        return f"{what} cannot be loaded: {lack}"
    *_, first = chain(error)
    if isinstance(first, (*CONTENT_ERRORS, ValueError)) and not isinstance(first, OSError):
        fitting = "give the image_size and config that it was made for, or " if isinstance(first, RuntimeError) else ""
        words = without_advice(error).rstrip(".")
        return f"{what} cannot be loaded: {words}; {fitting}take other weights: {YOUR_OWN}"
    return _advice(what, _absent(silence) if silence else without_advice(error))


def _silence(url: str | None = None) -> str | None:
    """Return why a server, by default the Hugging Face hub, cannot be asked; None if it can."""
    from huggingface_hub import constants

    if url is None and constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    server = url or constants.ENDPOINT
    return None if _answers(server) else f"{server} does not answer"


def _answers(url: str) -> bool:
    try:
        requests.head(url, timeout=TIMEOUT_SECONDS)
    except requests.RequestException:
        return False
    return True


def _absent(silence: str) -> str:
    return f"{silence}, and the cache does not hold it"


def _advice(what: str, reason: str) -> str:
    return (
        f"{what} cannot be loaded: {reason}\n"
        "  offline: run this cell once on a machine with network and copy its cache (~/.cache/huggingface, "
        f"~/.cache/torch), or name a file you have: {YOUR_OWN}"
    )
