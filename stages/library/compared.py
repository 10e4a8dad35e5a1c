"""What competes, as users give it: layers of one network or of several, joins and recipes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.representations.candidates import JOINS, RECIPES, Join, Recipe, check_names
from ..shared.embeddings.split_names import BASELINE
from ..shared.runtime.errors import UserError, check_known
from .checks import Layers, checked_mapping

if TYPE_CHECKING:
    from ..core.representations.representation import Origin

HABIT, ANY_RECIPE, BEST_LAYER, BEST = ROWS = (
    "habit",
    "habit, any recipe",
    "best single layer",
    "best of all",
)
"""Rows of `RepresentationChoice.summary` beside those of networks."""


REPRESENTED = ("classifier", "retrieval", "discovery")
"""Uses for which representations are chosen."""


class Known(NamedTuple):
    """What is known of an array: its network (or input size), its layer, and multiply-adds per image up to there."""

    network: str
    layer: str
    operations: float


@dataclass(frozen=True)
class Compared:
    """What competes.

    Attributes:
        arrays: name -> (N, D), each network's from input to output; of several networks `<network> <layer>`. Raw
            pixels are among them if the network of the control has any.
        known: what is known of each but of raw pixels.
        origins: network -> where its layers come from; None: unknown.
        control: name of the array that gains are over; None: the last one of the only network.
        joins, recipes: those that are considered.
    """

    arrays: Mapping[str, Any]
    known: Mapping[str, Known]
    origins: "Mapping[str, Origin | None]"
    control: str | None
    joins: Collection[Join]
    recipes: Collection[Recipe]

    @property
    def has_representations(self) -> bool:
        """Whether anything but plain single layers competes."""
        return not ({*self.joins} <= {"single"} and {*self.recipes} <= {"plain"})

    @property
    def control_last(self) -> Mapping[str, Any]:
        """The arrays as `score` takes them, whose gains are over the last: the control, after its network's others."""
        if self.control is None:
            return self.arrays
        network = self.known[self.control].network
        place = {name: (each.network == network) + (name == self.control) for name, each in self.known.items()}
        names = sorted(self.arrays, key=lambda name: place.get(name, -1))
        return self.arrays if names == [*self.arrays] else {name: self.arrays[name] for name in names}


def compare(layers: Any, function: str, *, joins: Any = JOINS, recipes: Any = RECIPES, control: Any = None) -> Compared:
    """Put the layers of all networks side by side.

    Args:
        layers: name -> (N, D), or network or input size -> such a dict.
        function: that is called, for messages.
        joins, recipes: names.
        control: name of a layer, of several networks `(network, layer)`; None: the last layer of the only network.

    Raises:
        UserError: a name is unknown or stands for two arrays, or of several networks the control is not named.
    """
    for what, named in (("joins", joins), ("recipes", recipes)):
        listed = isinstance(named, Collection) and not isinstance(named, str) and len(named) > 0
        if not listed or not all(isinstance(name, str) for name in named):
            raise UserError(f"{what} must be a list of names, found {named!r}")
    check_names(joins, recipes)
    given = checked_mapping(layers, function)
    networks = _networks_of(given)
    arrays, known = dict[str, Any](), dict[str, Known]()
    for network, own in networks.items():
        if network and not {*own} - {BASELINE}:
            raise UserError(f"every network must have a layer, found none in {network!r}; leave it out")
        described = own.described if isinstance(own, Layers) else {}
        for name in (name for name in own if name != BASELINE):
            key = f"{network} {name}" if network else name
            if key in known:
                raise UserError(f"network and layer must list each array once, found {key!r} twice; rename a network")
            operations = float(described[name].operations) if name in described else float("nan")
            arrays[key], known[key] = own[name], Known(network, name, operations)
    named = _named_control(networks, known, control)
    of_pixels = networks[known[named].network if named else next(iter(networks))]
    arrays |= {BASELINE: of_pixels[BASELINE]} if BASELINE in of_pixels else {}
    origins = {network: own.origin if isinstance(own, Layers) else None for network, own in networks.items()}
    return Compared(given if "" in networks else arrays, known, origins, named, [*joins], [*recipes])


def _networks_of(given: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Name the networks, or if there are only arrays, give these to one without a name."""
    alone = [name for name, own in given.items() if not isinstance(own, Mapping)]
    if len(alone) == len(given):
        return {"": given}
    if alone:
        raise UserError(
            f"layers must be arrays, or a dict of them for each network or input size, found both: {alone[0]!r} has no "
            "network; put it into one"
        )
    networks = {str(name): own for name, own in given.items()}
    wrong = next((name for name in networks if name in ("", *ROWS)), None)
    if wrong is not None or len(networks) < len(given):
        found = "one name twice" if wrong is None else repr(wrong)
        raise UserError(f"networks must have their own names, other than {', '.join(ROWS)}, found {found}; rename it")
    return networks


def _named_control(networks: Mapping[str, Mapping[str, Any]], known: Mapping[str, Known], control: Any) -> str | None:
    """Return the array that is the control, if one is named.

    Raises:
        UserError: there is no such array, or of several networks none is named.
    """
    if control is None and len(networks) > 1:
        first, layer = next(((network, [*own][-1]) for network, own in networks.items() if own), ("224", "layer4"))
        raise UserError(
            "control must be the layer that gains are over, since there are several networks or input sizes, found "
            f"None; give for example control=({first!r}, {layer!r})"
        )
    if control is None:
        return None
    name = " ".join(map(str, control)) if isinstance(control, tuple | list) else control
    check_known(name, known, f"control must be an array's name, found {name!r}")
    return str(name)
