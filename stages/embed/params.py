"""The `embed` section of params.yaml."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, field_validator

from stages.shared.params import Params

Pooling = Literal["auto", "mean", "token0", "max", "paper"]
T = TypeVar("T")


class EmbedParams(Params):
    """What is embedded, and how.

    Attributes:
        splits: which splits' images.
        pooling: how a layer's output becomes a vector (`pooling.py` defines each); the first is the layer's main one.
        augment: pass images through the training transform, as the paper's code does, not the evaluation transform.
        baseline_size: height and width to which images are reduced for the raw-pixel baseline; 0: no baseline.
        dtype: of the stored embeddings.
        batch_size: images per forward pass.
    """

    splits: Annotated[list[Literal["train", "test", "unseen"]], Field(min_length=1)]
    pooling: Annotated[list[Pooling], Field(min_length=1)]
    augment: bool
    baseline_size: Annotated[int, Field(ge=0, le=64)]
    dtype: Literal["float32", "float16"]
    batch_size: Annotated[int, Field(ge=1)]

    @field_validator("splits", "pooling")
    @classmethod
    def _no_repeats(cls, values: list[T]) -> list[T]:
        if len(set(values)) < len(values):
            raise ValueError("must not repeat an entry")
        return values
