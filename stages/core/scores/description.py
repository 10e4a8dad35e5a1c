"""The description of a use and of a score: all that is known of it beside its function, once.

A use is one entry of `USES`, from which every list of uses is made.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True)
class UseDescription:
    """What features may be used for.

    Attributes:
        title: its name on the page.
        words: its name in sentences and tables; empty: the one that commands take.
        place: its place on the page, from 0 on.
        offered: whether commands and parameters take it; the others only describe embeddings.
    """

    title: str
    place: int
    offered: bool = True
    words: str = ""


USES = {
    "classifier": UseDescription("Classifiers", 1),
    "retrieval": UseDescription("Retrieval", 0),
    "discovery": UseDescription("Discovery of classes, clustering", 2),
    "detection": UseDescription("OOD detection of unseen classes", 3, words="OOD detection"),
    "geometry": UseDescription("Geometry of the embeddings", 4, offered=False),
}
"""By name, in the order of recommendations."""

OFFERED = tuple(name for name, use in USES.items() if use.offered)
"""Uses for which a layer can be asked for."""

ON_PAGE = tuple(sorted(USES, key=lambda name: USES[name].place))
"""All uses in the order of the page."""

if TYPE_CHECKING:
    Use = str
    OfferedUse = str
else:
    Use, OfferedUse = Literal[*USES], Literal[*OFFERED]

Better = Literal["higher", "lower", "neither"]
"""Which values are better; `neither`: the score describes an embedding without ranking it."""

Normalize = Literal["none", "l2"]
"""How the rows of an embedding are scaled: not at all, or each to length 1."""

Neighbours = Literal["all", "other_groups"]
"""Which images can be an image's neighbours."""

Scope = Literal["classes", "images"]
"""The scope of a statement: other classes of the domain, or other images of these classes."""

BOTH: tuple[Scope, ...] = ("classes", "images")


@dataclass(frozen=True, kw_only=True)
class Score:
    """The facts of one score.

    Attributes:
        better: which values are better.
        low, high: limits of the score, at which intervals end; infinite if there is none (null in scores.json).
        use: what features may be used for, of `USES`.
        scaling: how the rows are scaled that it takes: `l2` of scores of distances, unless `measure.normalize` is
            `none`; `none` of others, which take rows as they are stored.
        per_image: it is the mean of its own column in images.parquet, so that classes have a mean of their own.
        refit: `measure.refits` may compute it again, of all classes but one and of halves of the images.
        on_halves: of halves as well; not of a score whose values without a class need no new fit.
        over_folds: if it was not computed again, its interval over classes is Student's t over folds.
        in_paper: one of the paper's scores, which have a figure of their own.
        proven: scopes in which simulation confirms the level of its intervals (docs/uncertainty.md#validation).
            docs/statistics.md#where-intervals-fail names the exceptions.
        rank: place among the scores of its use, of which the lowest leads; of equal ones the first in the catalogue.
        quick: one of the few scores that `whichlayer quick` measures.
        analyses: the analyses that score further embeddings, or further selections of images, by it.
        short: its name where there is little room; empty: its printed name.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012, no field

    better: Better
    low: float
    high: float
    use: Use
    scaling: Normalize = "none"
    per_image: bool = False
    refit: bool = False
    on_halves: bool = True
    over_folds: bool = False
    in_paper: bool = False
    proven: tuple[Scope, ...] = ()
    rank: int = 9
    quick: bool = False
    analyses: tuple[str, ...] = ()
    short: str = ""

    @property
    def sign(self) -> float:
        """What turns the score into a gain, of which higher ones are better, and back."""
        return sign_of(self.better)


def sign_of(better: Better) -> float:
    """What turns scores into gains, of which higher ones are better, and back."""
    return -1.0 if better == "lower" else 1.0


def scaled_as(declared: Normalize, normalize: Normalize) -> Normalize:
    """Return how rows are scaled for what is declared so: not at all where `measure.normalize` is `none`."""
    return declared if normalize == "l2" else "none"


def facts_of(scores: Mapping[str, Score], normalize: Normalize = "l2") -> dict[str, Score]:
    """Take the facts of scores, by name; their scaling is what `normalize` makes of it."""
    names = [field.name for field in fields(Score)]
    facts = {name: {field: getattr(score, field) for field in names} for name, score in scores.items()}
    return {name: Score(**own | {"scaling": scaled_as(own["scaling"], normalize)}) for name, own in facts.items()}


def leading_scores(measured: Collection[str], main: str, catalogue: Mapping[str, Score]) -> dict[Use, str]:
    """Return the leading score of every use that some score was measured for; the main score leads its own use.

    Args:
        measured: names of the scores by which a layer is best.
        main: the main score.
        catalogue: the facts of every score.
    """
    ranked = sorted((name for name in catalogue if name in measured), key=lambda name: catalogue[name].rank)
    leading = {use: [name for name in ranked if catalogue[name].use == use] for use in OFFERED}
    chosen = {use: names[0] for use, names in leading.items() if names}
    return chosen | ({catalogue[main].use: main} if main in measured else {})
