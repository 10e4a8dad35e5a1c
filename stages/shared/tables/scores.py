"""scores.json: the facts of every score, as the measure stage knows them, beside the values in a cell's folder."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from ..runtime.errors import UserError
from ..workflow.digests import cell_id, rerun_hint
from ..workflow.params import Cell

Better = Literal["higher", "lower", "neither"]
"""Which values are better; `neither`: the score describes an embedding without ranking it."""

Use = Literal["classifier", "retrieval", "discovery", "detection", "geometry"]
"""What features may be used for, of which a score tells; `geometry` describes them."""

Normalize = Literal["none", "l2"]
"""How the rows of an embedding are scaled: not at all, or each to length 1."""

Neighbours = Literal["all", "other_groups"]
"""Which images can be an image's neighbours."""

FILE = "scores.json"


@dataclass(frozen=True, kw_only=True)
class Score:
    """The facts of one score.

    Attributes:
        better: which values are better.
        low, high: limits of the score, at which intervals end; infinite where there is none (null in the file).
        use: what features may be used for that this score tells of.
        scaling: how the rows are scaled that it takes: `l2` of scores of distances, unless `measure.normalize` is
            `none`; `none` of others, which take rows as they are stored.
        per_image: it is the mean of its own column in images.parquet, so that classes have a mean of their own.
        refit: `measure.refits` may compute it again, of all classes but one and of halves of the images.
        on_halves: of halves as well; not of a score whose values without a class need no new fit.
        over_folds: where it was not computed again, its interval over classes is Student's t over folds.
        in_paper: one of the paper's scores, which have a figure of their own.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    better: Better
    low: Annotated[float, BeforeValidator(lambda limit: -inf if limit is None else limit)]
    high: Annotated[float, BeforeValidator(lambda limit: inf if limit is None else limit)]
    use: Use
    scaling: Normalize = "none"
    per_image: bool = False
    refit: bool = False
    on_halves: bool = True
    over_folds: bool = False
    in_paper: bool = False


def scaled_as(declared: Normalize, normalize: Normalize) -> Normalize:
    """Return how rows are scaled for what is declared so: not at all where `measure.normalize` is `none`."""
    return declared if normalize == "l2" else "none"


def facts_of(scores: Mapping[str, Score], normalize: Normalize = "l2") -> dict[str, Score]:
    """Take the facts of scores, by name; their scaling is what `normalize` makes of it."""
    names = [field.name for field in fields(Score)]
    facts = {name: {field: getattr(score, field) for field in names} for name, score in scores.items()}
    return {name: Score(**own | {"scaling": scaled_as(own["scaling"], normalize)}) for name, own in facts.items()}


def write_scores(folder: Path, scores: Mapping[str, Score], normalize: Normalize = "l2") -> None:
    """Write the facts of scores, by name, into a cell's folder."""
    facts = {name: vars(score) for name, score in facts_of(scores, normalize).items()}
    (folder / FILE).write_bytes(TypeAdapter(dict[str, Any]).dump_json(facts, indent=1) + b"\n")


def read_scores(folder: Path, cell: Cell) -> dict[str, Score]:
    """Read the facts of scores, by name, from a cell's folder, whose digests were checked.

    Raises:
        UserError: they are of another version.
    """
    path = folder / FILE
    try:
        return TypeAdapter(dict[str, Score]).validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UserError(
            f"{path}: must hold the facts of the scores, found {where}: {problem['msg']}: the cell was measured by "
            f"another version; {rerun_hint('measure', cell_id(cell))}"
        ) from None
