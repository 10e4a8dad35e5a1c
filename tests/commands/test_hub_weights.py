"""Where `whichlayer check` finds the hub's weights, against a hub on this machine that has no weights to download."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from stages.commands.check import check_networks
from stages.commands.hub_weights import describe_weights
from stages.shared.networks.network import build_network, build_skeleton
from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError
from tests.commands.edited import config
from tests.serving import serving_hub

COMMIT = "0" * 40
CONFIG = b'{"model_type": "resnet"}'
CONFIG_SHA1 = hashlib.sha1(b"blob %d\0%b" % (len(CONFIG), CONFIG)).hexdigest()  # of git
NETWORKS = {
    "timm": {"name": "test_resnet", "image_size": 32},
    "open_clip": {"name": "ViT-B-32", "image_size": 224},
    "transformers": {"name": "microsoft/resnet-50", "image_size": 32},
}
TAGS = {"timm": "r160_in1k", "open_clip": "laion2b_s34b_b79k", "transformers": None}


def entry(library: str, **changes: Any) -> dict[str, Any]:
    weights = {"source": "hub", "name": TAGS[library]}
    return {"library": library, "weights": weights, **NETWORKS[library], **changes}


class Handler(BaseHTTPRequestHandler):
    """Has configurations, and of weights the size only."""

    server: "Hub"

    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_GET(self) -> None:
        self.answer(CONFIG)

    def answer(self, content: bytes) -> None:
        is_config, is_file = self.path.endswith(".json"), "/resolve/" in self.path
        if is_file and not is_config:
            self.server.asked.append((self.command, self.path))
        if missing := self.path.endswith(self.server.lacks):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_response(self.server.status if is_file and not is_config else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{CONFIG_SHA1 if is_config else "a" * 64}"')
        self.send_header("X-Linked-Size", str(len(CONFIG) if is_config else 300 << 20))
        self.send_header("Content-Length", "0" if missing else str(len(CONFIG)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


class Hub(ThreadingHTTPServer):
    """The server, how it answers, and for which weights it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.lacks = 200, ("none",)
        self.asked: list[tuple[str, str]] = []


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    with serving_hub(server, tmp_path / "hub", monkeypatch):
        yield server


def described(library: str, **changes: Any) -> str:
    network = NetworkParams.model_validate(entry(library, **changes))
    return str(describe_weights(network, build_skeleton(network, 2).module))


@pytest.mark.parametrize("library", NETWORKS)
def test_the_hub_is_asked_for_the_files_that_the_stage_asks_for_and_for_no_content(hub: Hub, library: str):
    hub.lacks = (".safetensors",)
    assert "can be downloaded (300 MiB)" in described(library)
    asked = [path for _, path in hub.asked]
    assert {command for command, _ in hub.asked} == {"HEAD"}
    hub.asked.clear()
    hub.status = 403  # so that the stage stops where it would download
    with suppress(UserError), torch.device("meta"):
        build_network(NetworkParams.model_validate(entry(library)), 2, seed=0)
    assert [path for _, path in hub.asked] == asked
    assert len(asked) == 2


def test_weights_in_the_cache_are_not_asked_for(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    (folder / "snapshots" / COMMIT / "model.safetensors").touch()
    found = "model.safetensors from timm/test_resnet.r160_in1k is in the cache"
    assert described("timm") == found
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert described("timm") == found
    assert hub.asked == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_repository_that_the_hub_refuses_is_named_with_the_remedy(hub: Hub, status: int):
    hub.status = status
    with pytest.raises(
        UserError, match=rf"weights: timm/test_resnet\S+ must be .* lets you read, found {status}.*HF_TO"
    ):
        described("timm")


def test_a_repository_without_weights_is_named(hub: Hub):
    hub.lacks = (".safetensors", ".bin")
    with pytest.raises(UserError, match=r"(?s)cannot be loaded: .*timm/test_resnet.*/pytorch_model\.bin"):
        described("timm")


def test_a_hub_that_does_not_answer_or_is_out_of_order_is_no_error(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    hub.status = 503
    assert described("timm").startswith("warning: timm's test_resnet r160_in1k cannot be loaded: ")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    (note,) = check_networks(
        config({"models.mine": {"network": entry("timm"), "taps": {"layers": "default"}}, "run.models": ["mine"]})
    )
    assert note.startswith("models.mine.network: warning: timm's test_resnet r160_in1k cannot be loaded: http://127.0")
    assert "does not answer" in note
    assert note.endswith("or set HF_ENDPOINT to a hub mirror")


def test_networks_without_hub_weights_and_weights_elsewhere_are_not_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stages.commands.hub_weights.build_network", lambda *_, **__: pytest.fail("asked"))
    networks = {
        "mine": entry("timm", weights={"source": "none"}),
        "url": {"library": "timm", "name": "legacy_seresnet18", "weights": {"source": "hub"}, "image_size": 32},
        "vision": {"library": "torchvision", "name": "resnet18", "weights": {"source": "hub"}, "image_size": 32},
    }
    models = {
        f"models.{name}": {"network": network, "taps": {"layers": "default"}} for name, network in networks.items()
    }
    assert check_networks(config({**models, "run.models": [*networks]})) == []
