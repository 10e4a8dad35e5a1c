"""Downloads from the Hugging Face hub, over HTTP from a server on this machine: whole, cut, damaged."""

import errno
import hashlib
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save

from stages.shared.networks.hub import hub_access, hub_file
from stages.shared.networks.network import build_network
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError
from tests.serving import serving_hub

PUBLISHED = timm.create_model("resnet10t").state_dict()
WEIGHTS = save(PUBLISHED)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
CHUNK = 10 << 20  # the client writes so much at a time


class Handler(BaseHTTPRequestHandler):
    """Serves WEIGHTS, whatever file is asked for, as the hub does: damaged, or cut the first `cuts` times."""

    server: "Hub"

    def do_HEAD(self) -> None:
        self._head(0)

    def do_GET(self) -> None:
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        if not self._head(start):
            return
        self.server.starts.append(start)
        cut = len(self.server.starts) <= self.server.cuts
        self.wfile.write(self.server.content[start : start + self.server.cut_after if cut else None])

    def _head(self, start: int) -> bool:
        if "/resolve/" not in self.path or (self.server.lacks and self.path.endswith(self.server.lacks)):
            self.send_response(404)  # to other questions too, whose answers the hub's client can do without
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            return False
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("X-Linked-Etag", f'"{SHA256}"')
        self.send_header("X-Linked-Size", str(len(WEIGHTS)))
        self.send_header("Content-Length", str(len(WEIGHTS) - start))
        self.end_headers()
        return True

    def log_message(self, *args: Any) -> None:
        pass


class Hub(ThreadingHTTPServer):
    """The server, what it serves, and from which byte on it was asked for it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cuts, self.cut_after, self.lacks = WEIGHTS, 0, 0, ""
        self.starts: list[int] = []


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine, an empty cache, and no pauses between tries."""
    server = Hub()
    with serving_hub(server, tmp_path / "hub", monkeypatch):
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        yield server


@pytest.fixture
def cached(tmp_path: Path) -> Any:
    """What the cache holds: the content of every file, half-written ones among them."""
    return lambda: [path.read_bytes() for path in (tmp_path / "hub").glob("*/blobs/*")]


def load() -> torch.Tensor:
    entry = {"library": "timm", "name": "resnet10t", "image_size": 32, "weights": {"source": "hub"}}
    network = build_network(NetworkParams.model_validate(entry), 3, seed=0)
    return network.module.state_dict()["layer4.0.conv1.weight"]


def test_a_whole_file_is_downloaded_once(hub: Hub, cached: Any) -> None:
    for _ in range(2):
        assert torch.equal(load(), PUBLISHED["layer4.0.conv1.weight"])
    assert hub.starts == [0]
    assert cached() == [WEIGHTS]


def test_a_download_cut_in_the_middle_is_resumed(hub: Hub, cached: Any) -> None:
    hub.cuts, hub.cut_after = 1, CHUNK + 1000
    assert torch.equal(load(), PUBLISHED["layer4.0.conv1.weight"])
    assert hub.starts == [0, CHUNK]
    assert cached() == [WEIGHTS]


def test_a_download_that_is_cut_again_and_again_leaves_nothing(hub: Hub, cached: Any) -> None:
    hub.cuts, hub.cut_after = 1000, 1000
    with pytest.raises(UserError, match=r"(?s)timm's resnet10t cannot be loaded: .*offline: run this cell once"):
        load()
    assert cached() == []
    hub.cuts = 0
    assert torch.equal(load(), PUBLISHED["layer4.0.conv1.weight"])


@pytest.mark.parametrize("content", [WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]), bytes(len(WEIGHTS))])
def test_a_damaged_file_of_the_right_size_is_refused_and_its_blob_named(
    hub: Hub, tmp_path: Path, content: bytes
) -> None:
    hub.content = content
    with pytest.raises(
        UserError, match=r"resnet10t cannot be loaded: model\.safetensors differs from its hash"
    ) as error:
        load()
    [blob] = (tmp_path / "hub").glob("*/blobs/*")
    assert f"delete {blob} and retry" in str(error.value)
    blob.unlink()
    hub.content = WEIGHTS
    assert torch.equal(load(), PUBLISHED["layer4.0.conv1.weight"])


def test_what_a_killed_run_left_unverified_is_refused_before_it_is_loaded(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between a download's end and its verification leaves a blob that is in no snapshot."""
    blobs = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / SHA256).write_bytes(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]))
    monkeypatch.setattr("safetensors.torch.load_file", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(UserError, match=r"model\.safetensors differs from its hash; delete .* and retry"):
        load()


def test_of_several_names_the_first_that_a_repository_has_is_taken(hub: Hub) -> None:
    hub.lacks = "model.safetensors"
    assert hub_file("somebody/net", ["model.safetensors", "pytorch_model.bin"]).name == "pytorch_model.bin"
    with (
        pytest.raises(UserError, match=r"(?s)a network cannot be loaded: .*404.*model.safetensors"),
        hub_access("a network"),
    ):
        hub_file("somebody/net", ["model.safetensors"])


def test_a_cached_file_needs_no_server(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert torch.equal(load(), PUBLISHED["layer4.0.conv1.weight"])
    assert hub.starts == [0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "", "/x"), "/x: there is no room left to write"),
        (OSError(errno.EDQUOT, ""), "there is no room left to write"),
        (PermissionError(errno.EACCES, "", "/x"), "/x: must be a place that you may read and write"),
    ],
)
def test_a_disk_without_room_is_not_a_missing_network(error: OSError, said: str) -> None:
    for raised in (error, FileNotFoundError(f"Failed to download: {error}")):  # as open_clip hides it
        with pytest.raises(UserError, match=f"a network cannot be loaded: {said}") as found, hub_access("a network"):
            raise raised from error
        assert "offline" not in str(found.value)
