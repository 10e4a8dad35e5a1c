import hashlib
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stages.prepare.download import cache_folder, download
from stages.shared.runtime.errors import UserError
from tests.serving import serving

CONTENT = os.urandom(3_000_000)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT as the server's `behaviour` says, and notes the ranges that were asked for."""

    def do_GET(self):
        self.server.ranges.append(self.headers.get("Range"))
        behaviour = self.server.behaviour
        if behaviour.get("status"):
            self.send_error(behaviour["status"])
            return
        start = self._start() if behaviour.get("resume", True) else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = start + behaviour["cut_after"] if len(self.server.ranges) <= behaviour.get("cuts", 0) else None
        self.wfile.write(CONTENT[start:end])

    def _start(self):
        asked = self.headers.get("Range")
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.behaviour, server.ranges = {}, []
    with serving(server) as url:
        server.url = f"{url}/file.bin"
        yield server


@pytest.fixture
def fetch(server, tmp_path):
    def run(sha256=SHA256, size=SIZE):
        path = tmp_path / "cache" / "file.bin"
        return download(server.url, path, sha256=sha256, size=size, advice=f"put it at {path}", pause=0.001)

    return run


def test_a_whole_file_is_fetched_once(server, fetch, tmp_path):
    assert fetch().read_bytes() == CONTENT
    assert fetch() == tmp_path / "cache" / "file.bin"
    assert server.ranges == [None]
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["file.bin"]


def test_a_cut_connection_is_continued(server, fetch):
    server.behaviour = {"cuts": 1, "cut_after": 1_500_000}
    assert fetch().read_bytes() == CONTENT
    assert server.ranges[0] is None
    begun = int(server.ranges[1].removeprefix("bytes=").removesuffix("-"))
    assert 0 < begun <= 1_500_000
    assert len(server.ranges) == 2


def test_a_later_run_continues_what_an_earlier_one_left(server, fetch, tmp_path):
    server.behaviour = {"cuts": 4, "cut_after": 300_000}
    with pytest.raises(UserError, match=r"of 3000000 bytes arrived after 4 attempts.*Retry to continue"):
        fetch()
    part = tmp_path / "cache" / "file.bin.part"
    left = part.stat().st_size
    assert 0 < left < len(CONTENT)
    assert not (tmp_path / "cache" / "file.bin").exists()
    assert fetch().read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={left}-"
    assert not part.exists()


def test_a_server_that_ignores_ranges_starts_over(server, fetch):
    server.behaviour = {"cuts": 1, "cut_after": 1_500_000, "resume": False}
    assert fetch().read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_leaves_nothing(fetch, tmp_path):
    with pytest.raises(UserError, match=rf"must have the SHA-256 {'0' * 64}, found {SHA256}.*put it at"):
        fetch(sha256="0" * 64)
    assert [*(tmp_path / "cache").iterdir()] == []


def test_a_foreign_part_is_refused_then_replaced(fetch, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "file.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(UserError, match="SHA-256"):
        fetch()
    assert fetch().read_bytes() == CONTENT


def test_a_damaged_file_in_the_cache_is_named(fetch, tmp_path):
    fetch()
    (tmp_path / "cache" / "file.bin").write_bytes(b"x")
    with pytest.raises(UserError, match=r"file.bin: must have the SHA-256.*remove it"):
        fetch()


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (503, 4)])
def test_errors_of_the_server(server, fetch, status, asked):
    server.behaviour = {"status": status}
    with pytest.raises(UserError, match=rf"{status}.*put it at"):
        fetch()
    assert len(server.ranges) == asked


def test_without_a_network_it_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"cannot be downloaded: 0 of 5 bytes.*without a network: put it there"):
        download(
            "http://127.0.0.1:9/x", tmp_path / "x", sha256="", size=5, advice="put it there", pause=0.001
        )  # nothing listens on the discard port
    assert [*tmp_path.iterdir()] == []


def test_the_cache_can_be_moved(tmp_path, monkeypatch):
    monkeypatch.setenv("WHICHLAYER_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("WHICHLAYER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "whichlayer"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "whichlayer"
