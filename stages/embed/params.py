"""The `embed` section of params.yaml, and the `taps` part of a model's entry. Imports no network library."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from ..shared.workflow.params import Params

Pooling = Literal["auto", "mean", "token0", "max", "gem", "cls+mean", "paper"]
T = TypeVar("T")


def without_repeats(values: list[T]) -> list[T]:
    """Return the values as they are, if none of them comes twice."""
    if len(set(values)) < len(values):
        raise ValueError("must not repeat an entry")
    return values


class EmbedParams(Params):
    """What is embedded, and how.

    Attributes:
        splits: the splits whose images are embedded.
        pooling: how a layer's output becomes a vector: `auto` (class token, else mean), `mean`, `max`, `token0`, `gem`
            (generalized mean), `cls+mean` (class token beside the mean), or `paper` (token 0 for the networks for which
            the authors take it). The first is the layer's main pooling, others are stored beside it as
            `<layer>@<pooling>`.
        augment: pass images through the training transform, as the paper's code does, not the evaluation transform.
        baseline_size: height and width to which images are reduced for the raw-pixel baseline; 0: no baseline.
        dtype: type of the stored embeddings; `float16` takes half the disk.
        batch_size: images per forward pass.
        train_per_class: largest number of training images per class to embed at the last checkpoint, for detection of
            unseen classes; 0: none.
    """

    splits: Annotated[list[Literal["train", "test", "unseen"]], Field(min_length=1)]
    pooling: Annotated[list[Pooling], Field(min_length=1)]
    augment: bool
    baseline_size: Annotated[int, Field(ge=0, le=64)]
    dtype: Literal["float32", "float16"]
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    train_per_class: Annotated[int, Field(ge=0, le=1_000_000)]

    _no_repeats = field_validator("splits", "pooling")(without_repeats)


class TapsParams(Params):
    """Which modules of a network are its layers.

    Attributes:
        layers: `default`, stages or blocks as the library names them (docs/models.md); `inside_blocks`, in addition
            attention and feed-forward activation of every block of a plain vision transformer; or module paths, in any
            order.
    """

    layers: Literal["default", "inside_blocks"] | Annotated[list[str], Field(min_length=1)] = "default"

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        if isinstance(self.layers, list) and len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers must not repeat a path, found {self.layers}")
        return self
