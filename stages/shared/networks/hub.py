"""Downloads from the libraries' hubs: verified, and where there is no network failing at once, with what to do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

from stages.shared.console import UserError
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.verified import check_torch_file, verified
from stages.shared.networks.weights_file import check_file
from stages.shared.networks.weights_only import weights_only, without_advice
from stages.shared.resources import explain

TIMEOUT_SECONDS = 3.0


@contextmanager
def hub_access(what: str, url: str | None = None) -> Iterator[None]:
    """Run a download: from the cache alone if the hub does not answer, instead of minutes of retries.

    What is downloaded, and what is in the cache, is compared with its hash and loaded as tensors alone.

    Args:
        what: what is being downloaded, for the message.
        url: the server; by default the Hugging Face hub.

    Raises:
        UserError: what is neither in the cache nor can be downloaded, is damaged, or finds no room on the disk.
    """
    from huggingface_hub import constants

    before, server = constants.HF_HUB_OFFLINE, url or constants.ENDPOINT
    reachable = not before and _answers(server)
    constants.HF_HUB_OFFLINE = not reachable  # timm and open_clip take no `local_files_only`
    logging.disable(logging.NOTSET if reachable else logging.CRITICAL)  # the libraries' reports of what is said below
    try:
        with weights_only(), verified(what):
            yield
    except _download_errors() as error:
        if lack := explain(error):
            raise UserError(f"{what} cannot be loaded: {lack}") from error
        raise UserError(_advice(what, without_advice(error) if reachable else _silent(server))) from error
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
    if not cached and not _answers(server):
        raise UserError(_advice(what, _silent(server)))
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
    if not isinstance(cached, str) and (constants.HF_HUB_OFFLINE or not _answers(constants.ENDPOINT)):
        raise UserError(_advice(f"the hub's {network.name}", _silent(constants.ENDPOINT)))


def _download_errors() -> tuple[type[Exception], ...]:
    """What downloads raise: the base of the hub's own error is that of whichever HTTP client it uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return OSError, RuntimeError, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))


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
