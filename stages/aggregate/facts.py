"""facts.json: every fact that aggregate found of a study, of which commands make words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from stages.aggregate.curves import Parts
from stages.aggregate.findings.outcomes import DatasetFindings
from stages.aggregate.findings.power import Power
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.result_files import check_result
from stages.shared.runtime.errors import UserError
from stages.shared.tables.scores import Use

FILE = "facts.json"


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
        format: of the file; another number wherever a field, or what it may hold, changes.
    """

    recommendations: Sequence[Recommendation]
    findings: Sequence[DatasetFindings]
    use: Use | None = None
    cell: str = "0/0"
    power: list[Power] = field(default_factory=list)
    unit_rows: list[str] = field(default_factory=list)
    notice: str = ""
    format: Literal["whichlayer.facts/5"] = "whichlayer.facts/5"

    @property
    def parts(self) -> Parts:
        """What its folds are."""
        return self.recommendations[0].parts if self.recommendations else "folds"

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


def write_facts(folder: Path, facts: Facts) -> None:
    """Write facts.json: the same bytes for the same facts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(FACTS.dump_json(facts, indent=1, exclude=None if facts.notice else {"notice"}) + b"\n")


def read_facts(folder: Path) -> Facts:
    """Read facts.json of a folder of results.

    Raises:
        UserError: there is none, it is of another version, or it is damaged.
    """
    path = folder / FILE
    what = f"{path}: must be the facts of a finished workflow"
    try:
        return FACTS.validate_json(check_result(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{what}, found no file; run the aggregate stage (`dvc repro`)") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{what}, found what another version of whichlayer wrote, or damage ({place or 'the file'}: "
            f"{first['msg']}); write it anew (`dvc repro`), or read it with that version"
        ) from None
