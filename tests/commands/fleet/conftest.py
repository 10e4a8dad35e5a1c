"""Two nodes of Ray on this machine, which ask for a token."""

import secrets
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

TOKEN = secrets.token_hex(32)
"""One for all clusters of a process: Ray keeps the first that it sees."""


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workers make their workspaces; a short path, since Ray's sockets lie there, too."""
    with tempfile.TemporaryDirectory(prefix="fleet-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture
def cluster(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head of one processor; `add_node` adds others."""
    if not find_spec("ray"):
        pytest.skip("Ray is not installed")
    settings = {"AUTH_MODE": "token", "AUTH_TOKEN": TOKEN, "USAGE_STATS_ENABLED": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(f"RAY_{name}", value)
    from ray.cluster_utils import Cluster  # which reads them

    options = {"num_cpus": 1, "include_dashboard": False, "temp_dir": str(scratch / "ray")}
    started = Cluster(initialize_head=True, head_node_args=options)
    try:
        yield started
    finally:
        started.shutdown()
