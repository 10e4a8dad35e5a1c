"""facts.json: every fact that aggregate found of a study, of which commands make words.

And data/results as a whole: the digests of its files, which commands check before they read one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.inference.intervals import Power
from stages.aggregate.recommend.schema import GainRecord, Recommendation
from stages.shared.core.digests import DIGESTS, Digests, read_digests, repair_hint, write_digests
from stages.shared.core.params import RunParams
from stages.shared.runtime.errors import UserError, irregular
from stages.shared.tables.scores import Use

FILE = "facts.json"
FACTS_FORMAT = "whichlayer.facts/3"
"""Another number wherever a field, or what it may hold, changes."""


@dataclass(frozen=True)
class Facts:
    """What a study says.

    Attributes:
        recommendations: the layer and checkpoint to take of each network for each use, in the order of the grid.
        findings: the claims, judged on each dataset.
        use: the one that is asked about (`aggregate.use`); None: all.
        cell: fold and seed of the networks to take features from: fold `all` where it is in the grid.
        power: what a study of this design shows by the main score, of every network of which it is known.
        unit_rows: the scores that are of rows of length 1; others are of rows as they are stored.
        notice: a sentence that every output has, such as what of the grid is missing; empty: none.
        format: of the file.
    """

    recommendations: Sequence[Recommendation]
    findings: Sequence[DatasetFindings]
    use: Use | None = None
    cell: str = "0/0"
    power: list[Power] = field(default_factory=list)
    unit_rows: list[str] = field(default_factory=list)
    notice: str = ""
    format: str = FACTS_FORMAT

    def gain_over_last(self, dataset: str, model: str, metric: str) -> GainRecord:
        """Return what choosing by a score gains over the last layer; all of it unknown of one that leads no use."""
        found = {(each.dataset, each.model, each.metric): each.gain_over_last for each in self.recommendations}
        return found.get((dataset, model, metric), GainRecord())

    def of_use(self, use: str | None = None) -> list[Recommendation]:
        """Return the recommendations for one use, by default that of the study, else for all.

        Raises:
            UserError: no score tells of this use.
        """
        wanted = use or self.use
        kept = [each for each in self.recommendations if wanted in (None, each.use)]
        if not kept:
            known = ", ".join(sorted({each.use for each in self.recommendations}))
            raise UserError(
                f"a use must be one that a score was measured for, here {known}, found {wanted!r}; "
                "docs/scores.md#uses names the scores of each (measure.metrics, measure.analyses)"
            )
        return kept


FACTS = TypeAdapter(Facts)


class Written(BaseModel):
    """The format of a file; the first one did not name it."""

    format: str = "whichlayer.facts/1"


def write_facts(folder: Path, facts: Facts) -> None:
    """Write facts.json: the same bytes for the same facts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(FACTS.dump_json(facts, indent=1, exclude=None if facts.notice else {"notice"}) + b"\n")


def read_facts(folder: Path) -> Facts:
    """Read facts.json of a folder of results.

    Raises:
        UserError: there is none, it is damaged, or it is of another format.
    """
    path = folder / FILE
    what = f"{path}: must be the facts of a finished workflow"
    try:
        content = check_result(path).read_bytes()
        written = Written.model_validate_json(content).format
        if written != FACTS_FORMAT:
            raise UserError(
                f"{path}: must be of the format {FACTS_FORMAT}, found {written}, which another version of whichlayer "
                "wrote; read it with that version, or write it anew by this one (`dvc repro`)"
            )
        return FACTS.validate_json(content)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{what}, found no file; run the aggregate stage (`dvc repro`)") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{what}, found it damaged ({place or 'the file'}: {first['msg']}); {repair_hint('aggregate')}"
        ) from None


FORMAT = "whichlayer.results/1"
MAX_BYTES = 2**28
PAGE = "report.html"
"""Written last: a folder that has it had digests, too. A study that is kept for its tables may have neither."""


def input_hashes(run: RunParams, **folders: Path) -> dict[str, str]:
    """Return which artifacts results are made of: {"measures/mine/net/0/0": hash of its digests, ...}.

    Args:
        run: the grid.
        **folders: hold an artifact with digests for each cell, or for each dataset.
    """
    of = [(dataset,) for dataset in run.datasets] + [tuple(map(str, cell)) for cell in run.cells()]
    files = {"/".join((name, *key)): folder.joinpath(*key, DIGESTS) for name, folder in folders.items() for key in of}
    return {name: artifact_hash(file) for name, file in files.items() if file.is_file()}


def artifact_hash(digests: Path) -> str:
    """Return the hash of all that an artifact's digests say; empty if they are damaged, as their readers find."""
    try:
        return str(json.loads(digests.read_bytes())["hash"])
    except (ValueError, KeyError, TypeError):
        return ""


def finish_results(out: Path, inputs: Mapping[str, str] | None = None) -> None:
    """Write the digests of all files of a results folder, after the last of them.

    Args:
        out: the folder.
        inputs: the artifacts that they were made of, as `input_hashes` gives them.
    """
    files = (path for path in out.iterdir() if path.name != DIGESTS)
    write_digests(out / DIGESTS, files, format=FORMAT, of=inputs or {})


def read_result_digests(results: Path) -> Digests | None:
    """Read the digests of a results folder; None for a study that was kept without them.

    Raises:
        UserError: they are damaged, or were lost.
    """
    if not (results / DIGESTS).exists() and not (results / PAGE).exists():
        return None
    return read_digests(results / DIGESTS, format=FORMAT, of={}, stage="aggregate")


def check_result(path: Path) -> Path:
    """Check one file of a results folder.

    Returns:
        The path.

    Raises:
        UserError: it is not as the aggregate stage wrote it, the digests were lost, or it is no file or too large.
    """
    digests = read_result_digests(path.parent)
    if digests:
        digests.check(path.name)
    kind, size = irregular(path.stat().st_mode), path.stat().st_size
    if kind or size > MAX_BYTES:  # a pipe would be waited for, and a device has no end
        found = kind or f"{size:,} bytes"
        raise UserError(f"{path}: must be a file of at most {MAX_BYTES:,} bytes, found {found}; put the file back")
    return path
