"""Downloads from the libraries' hubs: fail within seconds, with what to do, where there is no network."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from stages.shared.console import UserError

TIMEOUT_SECONDS = 3.0
TORCH_HUB = "https://download.pytorch.org"


@contextmanager
def hub_access(what: str, url: str | None = None) -> Iterator[None]:
    """Run a download: from the cache alone if the hub does not answer, instead of minutes of retries.

    Args:
        what: what is being downloaded, for the message.
        url: the server; by default the Hugging Face hub.

    Raises:
        UserError: what is neither in the cache nor can be downloaded.
    """
    from huggingface_hub import constants

    before, server = constants.HF_HUB_OFFLINE, url or constants.ENDPOINT
    reachable = not before and _answers(server)
    constants.HF_HUB_OFFLINE = not reachable
    logging.disable(logging.NOTSET if reachable else logging.CRITICAL)  # the libraries' reports of what is said below
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise UserError(_advice(what, str(error) if reachable else _silent(server))) from error
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
