"""What every stage does around its work, so that DVC records a result with exactly what it was made from.

DVC hashes code, parameters and inputs when a stage has ended: what was edited meanwhile would be recorded as what the
result was made from. And DVC takes every file in an output's folder for the stage's own. So a stage

- compares, at its end, its code, parameters and inputs with what they were at its start, and fails if they differ (an
  edit between that look and DVC's stays unseen);
- writes into scratch folders beside its outputs, which become the outputs only after that;
- ends when the DVC that started it has ended, and on Ctrl-C.

A run that is resumable leaves its scratch folder when it does not end well, for `stages.shared.workflow.kept_work`.
What it has kept outlives a good end, too, in DVC's folder for temporary files and by hard links: DVC may be killed, or
find no room, before it has recorded the result, and removes the outputs before it reruns the stage. The next stage
that DVC starts removes it, since by then the result is stored.

Entry points import this module before the others: from its import on, code may not change and DVC is watched.
"""

import argparse
import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from ..runtime.errors import UserError, with_command
from ..runtime.processes import STARTED_BY_DVC
from ..runtime.scratch import is_empty_folder, leftovers, partial_path, remove, remove_leftovers
from ..runtime.startup import DVC
from . import snapshot
from .params import UNREADABLE

FINISHED = Path(".dvc") / "tmp" / "whichlayer-finished"
"""Holds a folder for each stage, by DVC's name of it; below the folder of dvc.yaml, in which DVC runs commands."""


def own_folder() -> Path | None:
    """Return where this process's stage keeps its work; None: DVC did not start it, so that nothing is stored."""
    stage = os.environ.get(STARTED_BY_DVC, "")
    return FINISHED / stage if stage and "/" not in stage and FINISHED.parents[1].is_dir() else None


def keep_finished(work: Path) -> None:
    """Keep a folder of finished work; where the file system has no hard links, it is not kept."""
    if (folder := own_folder()) is None:
        return
    shutil.rmtree(folder, ignore_errors=True)
    try:
        shutil.copytree(work, folder, copy_function=os.link)
    except OSError:  # shutil.Error is one
        shutil.rmtree(folder, ignore_errors=True)


def find_finished() -> list[Path]:
    """Find what a run of this stage kept whose result DVC has not stored: at most one folder."""
    folder = own_folder()
    return [folder] if folder and folder.is_dir() else []


def remove_stored() -> None:
    """Remove what other stages kept: DVC has stored their results, else it would not have started this one."""
    folder = own_folder()
    with contextlib.suppress(OSError):  # there is nothing, or this stage's own is left
        for other in FINISHED.iterdir() if folder else ():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        FINISHED.rmdir()


ITEM = {
    "dataset": "entry of `datasets`",
    "model": "entry of `models`",
    "fold": "which classes are unseen: a number, or `all`",
    "seed": "a whole number",
}
"""What DVC passes to a stage of a matrix; it quotes these, so that no name reaches the shell as a command."""


class StageParser(argparse.ArgumentParser):
    """The command line of a stage.

    Args:
        description: the stage's docstring.
        *item: the flags that say which cell of the matrix this is, of `ITEM`.
    """

    def __init__(self, description: str | None, *item: str) -> None:
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.item = item
        for name in item:
            self.add_argument(f"--{name}", required=True, help=ITEM[name])
        self.add_argument("--params", type=Path, default=Path("params.yaml"), help="the params file")
        self.add_argument("--log", type=Path, help="append this run's duration to this JSON-lines file")

    def add_artifact(self, flag: str, text: str) -> None:
        """Add a required path, in which `{dataset}` and the like stand for this cell's."""
        self.add_argument(flag, required=True, type=Path, help=text)

    def parse_cell(self) -> argparse.Namespace:
        """Read the command line, with the cell's own paths; `cell` is its name, `of` a tuple, `seed` a number.

        Raises:
            UserError: a name that is no id.
        """
        args = self.parse_args()
        names = {f"{{{name}}}": _item_name(getattr(args, name)) for name in self.item}
        for key, value in vars(args).items():
            if isinstance(value, Path):
                setattr(args, key, Path(re.sub(r"{\w+}", lambda found: names.get(found[0], found[0]), str(value))))
        args.cell = "-".join(names.values())
        if "seed" in self.item:
            args.seed = int(args.seed)
        args.of = tuple(getattr(args, name) for name in self.item)
        return args


def _item_name(text: str) -> str:
    if not re.fullmatch("[A-Za-z0-9_]+", text):
        raise UserError(f"run: names are made of letters, digits and _, found {text!r}; run `whichlayer check`")
    return text


RECORD = "resume.json"
"""Says in a folder of kept work how far it is (`stages.shared.workflow.kept_work`)."""


def check_inside(path: Path) -> None:
    """Check that an output of the project in the working directory does not lie elsewhere, behind a link.

    DVC refuses that, but only when the stage has ended, so that its work is lost.

    Raises:
        UserError: it does; names the link.
    """
    project, path = Path.cwd(), path.absolute()
    folder = path if path.is_dir() else path.parent  # a file may be a link into DVC's cache (`cache.type`)
    chain = [folder, *folder.parents]
    if project in chain and not folder.resolve().is_relative_to(project):
        link = next(each for each in chain if each.is_symlink())
        raise UserError(
            f"{link.relative_to(project)}: must be a folder in the project, found a link to {link.readlink()}: DVC "
            "refuses results behind it, after they were computed. Remove the link; for results on another disk "
            "`dvc config --local cache.dir /path/on/that/disk` and `dvc config --local cache.type symlink` "
            "(docs/scale.md#disk)"
        )


def check_cache(folder: Path) -> None:
    """Check that a folder, of DVC's cache, does not lie behind a link to nothing: DVC fails when a stage has ended.

    Raises:
        UserError: it does; names the link.
    """
    for link in (folder, *folder.parents):
        if link.is_symlink() and not link.exists():
            raise UserError(
                f"{link}: must be a folder for DVC's cache, found a link to {link.readlink()}, which does not exist; "
                "make that folder, or attach its disk"
            )


@dataclass(eq=False)
class StageRun(AbstractContextManager["StageRun"]):
    """Runs the work of a stage, as a context manager: `with StageRun("embed", ...) as run: ...`.

    Attributes:
        stage: the name of its folder.
        params: the params file.
        keys: dotted names of the parameters that it reads, as dvc.yaml lists them.
        reads: the files and folders that it reads.
        writes: the files and folders that it makes.
        replace: whether `writes` is a folder that may hold other files: those of equal names are replaced.
        resumable: whether what a run has written of the first of `writes` is kept in the folder `work`, if it does not
            end well.
        resumed: whether it goes on from the work of an earlier run.
    """

    stage: str
    params: Path
    _: KW_ONLY
    keys: Sequence[str]
    reads: Sequence[Path]
    writes: Sequence[Path]
    replace: bool = False
    resumable: bool = False
    resumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Record the state of what the stage reads.

        Raises:
            UserError: an output exists already or lies in another one, or DVC could not store it: it lies outside the
                project, or the cache is a link to nothing.
        """
        if own_folder():
            check_cache(Path.cwd() / ".dvc" / "cache")
            for path in self.writes:
                check_inside(path)
        for path in self.writes:
            if outer := next((each for each in self.writes if each.absolute() in path.absolute().parents), None):
                raise UserError(f"{path}: must lie outside of {outer}, another output of this stage; change the path")
        self._text, self._mixed = self._params_text(), False
        self._inputs: dict[Path, snapshot.State] = {path: snapshot.file_states(path) for path in self.reads}
        self._folders = {path: partial_path(path) for path in self.writes}
        self.work = self._folders[self.writes[0]]
        remove_stored()
        for path in self.writes:
            if not (self.resumable and path == self.writes[0]):
                remove_leftovers(path)
            if not self.replace and path.exists() and not is_empty_folder(path):
                advice = with_command("remove it", "rm -r --", path)
                raise UserError(f"{path}: must not exist before the stage has run; {advice}, and retry")

    def _params_text(self) -> bytes:
        return self.params.read_bytes() if self.params.is_file() else b""

    def scratch(self, output: Path) -> Path:
        """Return where to write one of `writes`; it becomes the output when the stage has ended well."""
        return self.work / output.name if self.resumable and output == self.writes[0] else self._folders[output]

    @property
    def leftovers(self) -> list[Path]:
        """Folders `work` of runs of this cell that were stopped or killed, or whose result DVC has not stored."""
        return [*leftovers(self.writes[0]), *find_finished()]

    @cached_property
    def parameters(self) -> dict[str, object]:
        """The parameters that the stage reads, as they were at the start, in plain values by dotted name."""
        tree = YAML(typ="safe", pure=True).load(self._text)
        return {key: snapshot.value_at(tree, key) for key in self.keys}

    @property
    def logged(self) -> dict[str, object]:
        """What the log of durations has of a run, so that another can be compared with it."""
        return {"parameters": self.parameters, **({"resumed": True} if self.resumed else {})}

    @property
    def facts(self) -> dict[str, object]:
        """What determines the result, as it was at the start, in plain values: code, parameters, inputs."""
        code = {name: sha for name, sha in snapshot.CODE_AT_START.items() if snapshot.decides(name, self.stage)}
        inputs = {name: str(state) for found in self._inputs.values() for name, state in found.items()}
        return {"code": code, "parameters": self.parameters, "inputs": inputs}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        """Check that nothing has changed and publish the outputs; after an error, remove what was written.

        A resumable run leaves the work that it has kept, whatever the error: it was made from what is in its record.
        It is removed if an input has changed, since then it may be made from the old one and the new.

        Raises:
            UserError: code, parameters or inputs have changed, or an output has appeared meanwhile.
        """
        if error is not None:
            error.add_note(str(self.writes[0]))  # for `explain_system_error`, if the error names nothing
        published = False
        try:
            if kind is None:
                self.check_unchanged()
                DVC.check()
                if self.resumable and (self.work / RECORD).is_file():
                    keep_finished(self.work)
                for output in reversed(self._folders):  # what can be gone on from stays until the last
                    publish(self.scratch(output), output, replace=self.replace)
                published = True
                for output in self._folders:
                    remove_leftovers(output)
        finally:
            kept = self.resumable and not published and not self._mixed and (self.work / RECORD).is_file()
            for folder in self._folders.values():
                if not (kept and folder == self.work):
                    remove(folder)

    def check_unchanged(self) -> None:
        """Raise a `UserError` if code, parameters or inputs are others than at the start."""
        self._refuse([*snapshot.code_changes(self.stage), *self._params_changes(), *self._input_changes()])

    def check_inputs(self) -> None:
        """Raise a `UserError` if inputs are others than at the start."""
        self._refuse(self._input_changes())

    def _input_changes(self) -> list[str]:
        changed = []
        for path, before in self._inputs.items():
            changed += snapshot.differences(before, snapshot.file_states(path))
        self._mixed |= bool(changed)
        return changed

    def _refuse(self, changed: Sequence[str]) -> None:
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise UserError(
                f"{changed[0]}{more} changed while {self.stage} ran, so its result is not kept: it would be recorded "
                "as made from what is there now; retry"
            )

    def _params_changes(self) -> Iterator[str]:
        text = self._params_text()
        if text == self._text:
            return
        try:
            before, after = (YAML(typ="safe", pure=True).load(version) for version in (self._text, text))
        except (YAMLError, *UNREADABLE):
            yield str(self.params)
            return
        for key in self.keys:
            values = (snapshot.flat(snapshot.value_at(tree, key), key) for tree in (before, after))
            for name in snapshot.differences(*values):
                yield f"{self.params}: {name}"


def publish(scratch: Path, output: Path, *, replace: bool) -> None:
    """Make a scratch file or folder the output.

    Args:
        scratch: what the stage wrote.
        output: its path from then on.
        replace: move the entries of the folder `scratch` into the folder `output`, in place of those of equal names; a
            file in the place of the one that is there.

    Raises:
        UserError: without `replace`, the output is there already.
    """
    if replace and scratch.is_dir():
        output.mkdir(parents=True, exist_ok=True)
        for entry in sorted(scratch.iterdir()):
            remove(output / entry.name)
            entry.rename(output / entry.name)
    elif not replace and output.exists() and not is_empty_folder(output):
        raise UserError(f"{output}: appeared while the stage ran, so its result is not kept; remove it and retry")
    else:
        scratch.rename(output)
