"""The `taps` part of a model's params entry. Imports no network library."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.shared.params import Params


class TapsParams(Params):
    """Which modules of a network are its layers.

    Attributes:
        layers: `default`, the library's own notion of a layer (docs/models.md), or module paths, in any order.
    """

    layers: Literal["default"] | Annotated[list[str], Field(min_length=1)] = "default"

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        if isinstance(self.layers, list) and len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers must not repeat a path, found {self.layers}")
        return self
