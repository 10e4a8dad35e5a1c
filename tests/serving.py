"""A server on this machine, for as long as a test takes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serve from a thread; gives the server's address, and closes it in the end."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    with server:
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving_hub(server: ThreadingHTTPServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve as the Hugging Face hub, whose files go into a cache of the test's own."""
    with serving(server) as url:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        yield
