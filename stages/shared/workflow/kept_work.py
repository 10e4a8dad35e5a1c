"""The work of a run that did not end well, kept so that the next run goes on from it to the same bytes.

It lies in the folder in which the output comes to be (`StageRun.work`), which outlives the run unless it ends well.
`resume.json` in it says how far the work is, names the finished files with their hashes, and has a hash of each thing
that determines the result: of code, parameters, inputs, machine. It is replaced whole, after the files that it names:
at any moment it tells what can be relied on. An edit before all code and parameters were loaded, or a changed input,
fails the run before it records anything more. The next run of the same cell takes the folder over if all of these
things are as they were and every file has its hash; otherwise it says why not, removes it and starts anew.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..runtime.scratch import remove
from .digests import file_sha256, json_hash
from .stage_run import RECORD, StageRun

FORMAT = "whichlayer.resume/1"


@dataclass
class KeptWork:
    """A folder of finished parts of a run's output, and how far it is.

    Attributes:
        folder: where files lie.
        facts: hashes of what determines the result, by what messages call it.
        progress: how far the work is, JSON values of the stage's own, of which `done` is a phrase for people; None:
            nothing was kept.
        files: hashes of the finished files, by path below the folder.
        check: called before anything is recorded; raises a `UserError` if the work is no longer of these facts.
    """

    folder: Path
    facts: Mapping[str, str]
    progress: dict[str, Any] | None = None
    files: dict[str, str] = field(default_factory=dict)
    check: Callable[[], None] = lambda: None

    def keep(self, progress: dict[str, Any], files: Iterable[Path]) -> None:
        """Record how far the work is.

        Args:
            progress: JSON values; `done` says it in a phrase, `step 5 of 9`.
            files: all finished files that it stands on; one that was recorded before has not changed since. Files that
                were recorded and are not among them are deleted.
        """
        self.check()
        names = [str(file.relative_to(self.folder)) for file in files]
        kept = {name: self.files.get(name) or file_sha256(self.folder / name) for name in names}
        outdated = self.files.keys() - kept.keys()
        self.progress, self.files = progress, kept
        content = {"format": FORMAT, "facts": dict(self.facts), "progress": progress, "files": kept}
        written = json.loads(json.dumps(content))  # keys are texts from now on, and sorted as such
        record = self.folder / f"{RECORD}.new"
        record.write_text(json.dumps({**written, "hash": json_hash(written)}), encoding="utf-8")
        record.replace(self.folder / RECORD)
        for name in outdated:
            (self.folder / name).unlink()

    def take_over(self, left: Path) -> str:
        """Take over what another run left, if it is of the same facts and whole; the folder gets this one's name.

        Returns:
            Why it was not taken over: empty if it was, or if there is nothing in it to go on from.
        """
        content = read_record(left)
        if content is None:
            return f"{left / RECORD} is damaged" if (left / RECORD).exists() else ""
        if changed := [name for name, value in self.facts.items() if content["facts"].get(name) != value]:
            return f"it was made with other {' and '.join(changed)}"
        for name, expected in content["files"].items():
            if not (left / name).is_file() or file_sha256(left / name) != expected:
                return f"{left / name} is damaged"
        left.rename(self.folder)
        self.progress, self.files = content["progress"], content["files"]
        finished = {self.folder / name for name in (*self.files, RECORD)}
        for path in sorted(self.folder.rglob("*"), reverse=True):  # what is in a folder comes before the folder
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):  # it holds finished files
                    path.rmdir()
            elif path not in finished:
                path.unlink()
        return ""


def claim_work(run: StageRun, facts: Mapping[str, object], say: Callable[[str], None]) -> KeptWork:
    """Take over the work of an earlier run of the same cell, and remove what cannot be used.

    Args:
        run: a resumable run.
        facts: what determines the result, beside `run.facts`, by the name that messages call it: JSON values.
        say: prints one line.

    Returns:
        The work to go on with; its `progress` is None if nothing was taken over.

    Raises:
        UserError: code, parameters or inputs have changed since the start, so that `run.facts` may not be of what was
            loaded. All code and parameters are loaded before this call.
    """
    run.check_unchanged()
    hashes = {name: json_hash(value) for name, value in {**run.facts, **facts}.items()}
    work = KeptWork(run.work, hashes, check=run.check_inputs)
    for leftover in run.leftovers:
        reason = work.take_over(leftover) if work.progress is None else ""
        if reason:
            say(f"starts anew: an earlier run's work cannot be used, since {reason}; it is removed")
        if leftover.exists():
            remove(leftover)
    run.resumed = work.progress is not None
    return work


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read what a folder says of its work; None if there is no record, or it is damaged."""
    try:
        content = json.loads((folder / RECORD).read_bytes())
        claimed = content.pop("hash")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    whole = claimed == json_hash(content) and content.get("format") == FORMAT
    return content if whole else None
