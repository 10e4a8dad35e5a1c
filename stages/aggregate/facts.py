"""facts.json: every fact that aggregate found of a study, of which commands make words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.result_files import check_result
from stages.shared.files.digests import repair_hint
from stages.shared.runtime.errors import UserError

FILE = "facts.json"


@dataclass(frozen=True)
class Facts:
    """What a study says.

    Attributes:
        recommendations: the layer and checkpoint to take of each network, in the order of the grid.
        findings: the claims, judged on each dataset.
    """

    recommendations: Sequence[Recommendation]
    findings: Sequence[DatasetFindings]


FACTS = TypeAdapter(Facts)


def write_facts(folder: Path, facts: Facts) -> None:
    """Write facts.json: the same bytes for the same facts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(FACTS.dump_json(facts, indent=1) + b"\n")


def read_facts(folder: Path) -> Facts:
    """Read facts.json of a folder of results.

    Raises:
        UserError: there is none, it is damaged, or it is of another version.
    """
    path = folder / FILE
    what = f"{path}: must be the facts of a finished workflow"
    try:
        return FACTS.validate_json(check_result(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{what}, found no file; run the aggregate stage (`dvc repro`)") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{what}, found it damaged or written by another version ({place or 'the file'}: {first['msg']}); "
            f"{repair_hint('aggregate')}"
        ) from None
