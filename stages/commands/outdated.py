"""Whether results, embeddings and networks are of each other, and of params.yaml, as dvc.lock says."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from stages.aggregate.result_files import artifact_hash, read_result_digests
from stages.commands.dvc_project.workspace import records_folder, stage_path
from stages.commands.grid import all_stages, cell_name, stage_names
from stages.commands.project import PARAMS, ROOT, listed
from stages.shared.core import made_of
from stages.shared.core.digests import DIGESTS, differences, flat, value_at
from stages.shared.core.made_of import Entry, check_records, dvc_hash
from stages.shared.core.params import Cell, RunParams, load
from stages.shared.runtime.errors import UserError, printable, short_repr


def note_outdated(results: Path) -> None:
    """Say on stderr what the results of this project are not made of any more, if there is something.

    Args:
        results: a folder of results; of one that lies elsewhere nothing is known.
    """
    if results.absolute() == stage_path("aggregate", "--out") and (found := list(_outdated_results(results))):
        text = f"note: {results} is not of what is there now: {listed(found, '; ')}; `dvc repro` brings it up to date"
        print(printable(text), file=sys.stderr)


def read_entries(stages: Iterable[str]) -> dict[str, Entry]:
    """Read what dvc.lock says of stages, as `stages.shared.core.made_of` does.

    Raises:
        UserError: the file is damaged, so that it is not even text.
    """
    try:
        return made_of.read_entries(stages)
    except UnicodeDecodeError as error:
        found = f"found it damaged ({error})"
        raise UserError(
            f"{made_of.LOCK}: must be as DVC wrote it, {found}; `git checkout HEAD {made_of.LOCK}`"
        ) from None


def _outdated_results(results: Path) -> Iterator[str]:
    aggregate = read_entries(["aggregate"]).get("aggregate")
    if aggregate is None:
        return
    stages = sorted(all_stages(RunParams.model_validate(aggregate.parameters["run"])))
    try:
        check_records(records_folder(), stages)
        yield from _edited(aggregate, load(PARAMS), aggregate.parameters)
    except UserError as error:
        yield f"{error}; put that right first"
    entries = read_entries(stages)
    yield from _of_other_artifacts(entries)
    yield from _made_again(results)
    read = {each for entry in (aggregate, *entries.values()) for each in entry.deps.items()}
    code = {path for path, _ in read if path.startswith("stages/")}
    now = {path: dvc_hash(Path(path)) if Path(path).exists() else "" for path in code}
    if changed := sorted({path for path, md5 in read if md5 != now.get(path, md5)}):
        yield f"the code in {listed(changed)} is another"


def _made_again(results: Path, cell: str = "") -> Iterator[str]:
    """Yield the artifacts that results were made of and that are others now, of all cells or of one."""
    digests = read_result_digests(results)
    for name, expected in (digests.record.of if digests else {}).items():
        kind, _, key = name.partition("/")
        file = stage_path("aggregate", f"--{kind}") / key / DIGESTS
        if cell in ("", key) and file.is_file() and artifact_hash(file) != expected:
            yield f"{file.parent.relative_to(ROOT)} was made again since {results.name}"


def check_made_of(params: Path, cell: Cell, results: Path) -> None:
    """Check that a cell's network and embeddings, and results of it, are of each other, and of the parameters.

    Args:
        params: the params file; of what is in it, what decides how new images are embedded.
        cell: which.
        results: the folder that the aggregate stage wrote, or would.

    Raises:
        UserError: one is of another, or of other parameters.
    """
    dataset, model, _, _ = cell
    stages = [f"prepare@{dataset}", *stage_names(cell)]
    entries, tree = read_entries(stages), load(params)
    check_records(records_folder(), stages)
    keys = [
        *(f"datasets.{dataset}.{name}" for name in ("image_size", "fit", "fill", "bits")),
        f"models.{model}.network",
    ]
    edited = chain.from_iterable(_edited(entry, tree, keys) for entry in entries.values())
    again = _made_again(results, "/".join(map(str, cell)))
    found = list(dict.fromkeys([*edited, *_of_other_artifacts(entries), *again]))
    if found:
        raise UserError(
            f"{cell_name(cell)}: network, embeddings, results and {params} must be of each other, found otherwise: "
            f"{listed(found, '; ')}; run `dvc repro`, or undo the edit"
        )


def _edited(entry: Entry, params: Mapping[str, Any], keys: Iterable[str]) -> Iterator[str]:
    """Yield the parameters, of those that a stage read, that have other values now."""
    for name, recorded in entry.parameters.items():
        before, after = flat(recorded, name), flat(value_at(params, name), name)
        for leaf in differences(before, after):
            if any(f"{leaf}.".startswith(f"{key}.") for key in keys):
                yield f"{leaf} was {short_repr(before.get(leaf))}, is {short_repr(after.get(leaf))}"


def _of_other_artifacts(entries: Mapping[str, Entry]) -> Iterator[str]:
    """Yield the stages that read another artifact than the one that there is now."""
    made = {path: (stage, md5) for stage, entry in entries.items() for path, md5 in entry.outs.items()}
    for stage, entry in entries.items():
        for path, md5 in entry.deps.items():
            maker, now = made.get(path, ("", md5))
            if path.endswith(DIGESTS) and Path(path).is_file():  # prepare's output is the folder that has it
                now = dvc_hash(Path(path))
            if now != md5:
                yield f"{stage} read another {path}{f' than {maker} has made since' if maker else ''}"
