"""The uses of features: a use is one entry here, and every list of uses is made from it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True)
class UseDescription:
    """What features may be used for.

    Attributes:
        title: its name on the page.
        place: its place on the page, from 0 on.
        offered: whether commands and parameters take it; the others only describe embeddings.
    """

    title: str
    place: int
    offered: bool = True


USES = {
    "classifier": UseDescription("Classifiers", 1),
    "retrieval": UseDescription("Retrieval", 0),
    "discovery": UseDescription("Discovery of classes, clustering", 2),
    "detection": UseDescription("Detection of unseen classes", 3),
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
