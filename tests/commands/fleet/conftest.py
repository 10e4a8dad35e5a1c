"""A cluster of Ray's own commands on this machine, which asks for a token."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from stages.commands.fleet.engine import LOOPBACK_ALONE
from tests.faults.kills import kill_group, wait_for


class Cluster:
    """Machines of one processor each, as Ray sees them: its folder and port are its own, so it meets no other cluster.

    Args:
        folder: of Ray's sockets and logs, which it makes; a short path.
        **settings: environment variables of its processes, beside those by which it asks for a token.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.token = folder, secrets.token_hex(32)
        self.settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0"}
        self.settings |= dict.fromkeys(LOOPBACK_ALONE, "1") | settings  # a fleet on this machine may have set it
        self.machines: list[subprocess.Popen[str]] = []
        folder.mkdir()
        self.add("--head", "--port=0")
        told = folder / "ray_current_cluster"
        wait_for(lambda: told.is_file() or self.machines[0].poll() is not None, seconds=60)
        self.address = told.read_text()

    def add(self, *options: str) -> "subprocess.Popen[str]":
        """Start Ray for one more machine."""
        ray = Path(sys.executable).with_name("ray")
        words = [str(ray), "start", "--block", "--num-cpus=1", f"--temp-dir={self.folder}", *options]
        with (self.folder / f"machine-{len(self.machines)}.log").open("w") as log:
            environment = os.environ | self.settings
            machine = subprocess.Popen(words, env=environment, stdout=log, stderr=log, text=True)
        self.machines.append(machine)
        return machine

    def stop(self) -> None:
        """End every process that this started, and no other, as `ray stop` would."""
        for machine in self.machines:
            if machine.poll() is None:
                kill_group(machine)
            machine.wait(timeout=60)


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workers make their workspaces; a short path, since Ray's sockets lie there, too."""
    with tempfile.TemporaryDirectory(prefix="fleet-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture
def cluster(scratch: Path) -> Iterator[Cluster]:
    """One machine, with a token that the fleet is not told."""
    if not find_spec("ray"):  # importing it here would fix its settings
        pytest.skip("Ray is not installed")
    started = Cluster(scratch / "ray")
    try:
        yield started
    finally:
        started.stop()
