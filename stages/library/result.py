"""What `score` returns: the table of scores, the choice for every use, and a figure."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ..core.scores.description import OfferedUse as Use
from ..shared.runtime.errors import UserError, check_known
from .checks import Arrays
from .compared import REPRESENTED, Compared
from .recommendation import Recommendation as Recommendation
from .scored import Scored

if TYPE_CHECKING:
    from .representing import Representation, RepresentationChoice

JOINED = "`result.recommend(use)` compares joins of layers, too."

Over = Literal["last", "before"]


class Result:
    """The scores of every layer, and the choice. Prints as the verdict.

    In a notebook it shows as the verdict, the table and a figure.
    """

    def __init__(self, scored: Scored, compared: Compared, samples: pd.DataFrame) -> None:
        self._scored, self._control = scored, compared.control
        self._inputs: tuple[Compared, pd.DataFrame] | None = compared, samples

    def __getstate__(self) -> dict[str, Any]:
        return {"_scored": self._scored, "_control": self._control, "_inputs": None}

    @property
    def uses(self) -> tuple[str, ...]:
        """Uses for which a score was measured."""
        return tuple(self._scored.decisions)

    @property
    def notes(self) -> list[str]:
        """Notes on the scoring, such as images that were left out, one sentence each."""
        return self._scored.notes

    def recommend(self, use: Use) -> Recommendation:
        """Return the layer to take for one use, and the representation, if it is better than any layer.

        Representations are chosen when first asked for, unless the result was pickled or only single layers compete;
        if a class has images of one group only, there is none, of which a warning tells.

        Raises:
            UserError: no score was measured for this use.
        """
        found = self._recommend(use)
        if use not in REPRESENTED or self._inputs is None or not self._inputs[0].has_representations:
            return found
        try:
            better = self.representation.better(use)
        except UserError as error:
            warnings.warn(f"no joins of layers: {error}", stacklevel=2)
            return found
        return replace(found, representation=better)

    def _recommend(self, use: Use) -> Recommendation:
        [record] = self._scored.facts.of_use(use)
        return Recommendation.of(record)

    @property
    def inputs(self) -> tuple[Arrays, pd.DataFrame]:
        """The embeddings that were scored, and a row for each image: `label`, `group`, `fold`, `split`, `sample_id`.

        Raises:
            UserError: the result was pickled.
        """
        compared, samples = self._given
        return compared.arrays, samples

    @property
    def _given(self) -> tuple[Compared, pd.DataFrame]:
        if self._inputs is None:
            raise UserError("a result that was pickled lacks the embeddings: rescore them")
        return self._inputs

    @cached_property
    def representation(self) -> "RepresentationChoice":
        """What to store for each use among joins of layers and recipes, too, as `choose_representation` chooses it.

        It is computed when first asked for, on the images of unseen classes that were scored.

        Raises:
            UserError: a class has images of one group only, or the result was pickled.
        """
        from .representing import choose

        choice = choose(*self._given)
        return replace(choice, notes=[*self._scored.drawn, *choice.notes], asked=self.uses)

    def fit(self, dimensions: int | None = None, use: Use | None = None) -> "Representation":
        """Fit the `representation` of a use to the images that were scored: what turns layers into vectors.

        Args:
            dimensions: number of features that are left; None: all.
            use: `classifier`, `retrieval` or `discovery`; None: retrieval, or the first that was measured.

        Raises:
            UserError: as `representation`, or there are more dimensions than features or images.
        """
        return self.representation.fit(dimensions, use)

    @property
    def table(self) -> pd.DataFrame:
        """Scores of unseen classes: a row per layer, from input to output, a column per score, mean over folds.

        Higher is better, but for `collapse`. `rankme`, `alpha_req`, `participation_ratio` and `intrinsic_dimension`
        describe a layer, and neither end is better.
        """
        return self._scored.table

    def gain(self, over: Over = "last") -> pd.DataFrame:
        """Return the gain of choosing, by use, over the last layer or over the layer just before it.

        Args:
            over: `last` or `before`.

        Returns:
            One row per use: the chosen layer, `gain` (above 0: choosing is better; NaN if there is no estimate, or if
            the layer compared with is chosen itself), `low` and `high` (95% interval), `at_most` (upper bound on the
            gain of any layer; below 0: none is better) and `status` of this comparison.
        """
        check_known(over, ("last", "before"), f"over must be `last` or `before`, found {over!r}")
        rows = {}
        for record in self._scored.facts.recommendations:
            gain = record.gain_over_last if over == "last" else record.gain_over_before
            numbers = {"gain": gain.estimate, "low": gain.low, "high": gain.high, "at_most": gain.at_most}
            numbers = {name: np.nan if value is None else value for name, value in numbers.items()}
            rows[record.use] = {"layer": record.best.layer, **numbers, "status": str(gain.status)}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("use")

    def plot(self, use: Use | None = None) -> "Chart":
        """Draw a use's score against the layers, with the intervals that there are.

        Args:
            use: by default the first one that was measured.

        Returns:
            A Vega-Lite chart, which notebooks draw. `json.dump(chart.spec, file)` keeps it, and
            `vl_convert.vegalite_to_png(chart.spec)` makes a picture.
        """
        from .chart import layers_chart

        named = self._recommend(use or self.uses[0])
        title = f"{named.use}: layer {named.layer}"
        return Chart(layers_chart(self._scored.curve(named.use), named.metric, title, named.scope))

    def verdict(self, use: Use | None = None) -> str:
        """Return the verdict, by default for all uses.

        Raises:
            UserError: no score was measured for this use.
        """
        from ..aggregate.words.verdict import verdict

        told = [f"The {each}." for each in self._scored.drawn]
        told += [f"Gains are over {self._control}, which counts as the last layer."] if self._control else []
        return "\n".join([verdict(self._scored.facts, use=use, embeds=False), *told])

    def __str__(self) -> str:
        return "\n".join([self.verdict(), *([JOINED] if {*self.uses} & {*REPRESENTED} else [])])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>{self.table.to_html(float_format='{:.3f}'.format)}"


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite chart.

    Attributes:
        spec: its specification, data included.
    """

    spec: dict[str, Any]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"application/vnd.vegalite.v5+json": self.spec, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"Chart({self.spec['title']!r})"
