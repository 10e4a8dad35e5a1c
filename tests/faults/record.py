"""Outcomes on disk, a line of JSON for each trial, so that a campaign goes on where it was cut."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.faults.outcomes import Outcome, shortened
from tests.faults.workers import Done
from tests.workflow import ROOT


def code_hash() -> str:
    """Hash what the outcomes are about: the code of the stages and commands, dvc.yaml, params.yaml."""
    hasher = hashlib.sha256()
    for path in [*sorted((ROOT / "stages").rglob("*.py")), ROOT / "dvc.yaml", ROOT / "params.yaml"]:
        hasher.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return hasher.hexdigest()


class Record:
    """A file of outcomes of one version of the code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[tuple[str, str], Done]:
        """The last outcome of every trial."""
        return {(done.campaign, done.trial): done for done in self._lines()}

    def append(self, done: Done) -> None:
        """Add an outcome."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = asdict(done)
        content["outcome"]["said"] = shortened(done.outcome.said)
        content["seconds"] = round(done.seconds, 2)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")

    def _lines(self) -> Iterator[Done]:
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        for line in text.splitlines():
            try:
                content = json.loads(line)
            except ValueError:  # a line that was cut
                continue
            yield Done(**{**content, "outcome": Outcome(**content["outcome"])})
