"""A built network: the library's own module tree, and what callers need to know to feed and fine-tune it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, cast

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from stages.shared.networks.params import Deviation, Mean, NetworkParams, OfRGB
from stages.shared.networks.transforms import Transform
from stages.shared.runtime.errors import UserError

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)

NORMALIZATION = {
    "mean": (TypeAdapter(Annotated[list[Mean], OfRGB]), "three numbers within 10,000 of 0"),
    "std": (TypeAdapter(Annotated[list[Deviation], OfRGB]), "three numbers of 0.0001 to 10,000"),
}
"""What an entry may give, and so a library or a hub's repository."""


@dataclass(frozen=True)
class Network:
    """A classifier of one of the four libraries.

    Attributes:
        module: the library's own module; the paths of its taps and of its checkpoints are those of this tree.
        mean, std: normalization of RGB in [0, 1].
        convolutional: whether channels_last memory is worth having.
        head: prefixes of the names of the classification head's parameters.
        image_size: height and width of the input in pixels.
    """

    module: nn.Module
    mean: Triple
    std: Triple
    convolutional: bool
    head: tuple[str, ...]
    image_size: int

    @property
    def transform(self) -> Transform:
        """From packed images to this network's input."""
        return Transform(self.image_size, self.mean, self.std, self.convolutional)

    def move(self, device: torch.device) -> None:
        """Move the module to a device, in place, into the memory format that suits it."""
        memory_format = torch.channels_last if self.convolutional else torch.preserve_format
        convert: Callable[..., nn.Module] = self.module.to(device).to  # whose keyword torch 2.13 does not declare
        convert(memory_format=memory_format)

    def head_state(self) -> dict[str, Tensor]:
        """The classification head's tensors, by name."""
        return {name: tensor for name, tensor in self.module.state_dict().items() if in_head(name, self.head)}

    def body_state(self) -> dict[str, Tensor]:
        """All tensors but the classification head's, by name."""
        return {name: tensor for name, tensor in self.module.state_dict().items() if not in_head(name, self.head)}

    def logits(self, images: Tensor) -> Tensor:
        """Classify a batch.

        Args:
            images: (B, 3, H, W) float, normalized with `mean` and `std`.

        Returns:
            (B, K) float, one column per class.
        """
        output = self.module(images)
        return cast(Tensor, output if isinstance(output, Tensor) else output.logits)


def in_head(name: str, head: Sequence[str]) -> bool:
    """Tell whether a module or tensor belongs to a head, which is given by the prefixes of its names."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in head)


HEAD_STD = 0.02
"""Standard deviation of a fresh head's weights: what transformers draws the paper's networks' classifiers from."""


def refresh_head(module: nn.Module, head: Sequence[str]) -> None:
    """Draw a fresh classification head for a library other than transformers: weights from N(0, 0.02), biases 0.

    The libraries' own rules differ, and some of them (EfficientNet's in timm: uniform within 1 / sqrt(classes)) start
    with logits so large that a short fine-tuning does not recover from them.
    """
    for path, child in module.named_modules():
        if in_head(path, head) and isinstance(child, nn.Linear | nn.Conv2d):
            nn.init.normal_(child.weight, std=HEAD_STD)
            if child.bias is not None:
                nn.init.zeros_(child.bias)


def assemble(
    module: nn.Module,
    params: NetworkParams,
    *,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    head: Sequence[str],
) -> Network:
    """Wrap a library's module; the entry's own mean and std win over the library's.

    Raises:
        UserError: the mean or std, which may come from a hub repository, is not what an entry may give.
    """
    return Network(
        module=module,
        mean=_checked("mean", params.mean or mean, params),
        std=_checked("std", params.std or std, params),
        convolutional=_convolutional(module),
        head=tuple(head),
        image_size=params.image_size,
    )


def _checked(name: str, values: Sequence[float] | None, params: NetworkParams) -> Triple:
    kind, must = NORMALIZATION[name]
    try:
        red, green, blue = kind.validate_python(values)
    except ValidationError:
        raise UserError(
            f"network.{name}: what {params.library} gives for {params.name} must be {must}, found {str(values)[:80]}; "
            f"write {name}: [R, G, B] into the entry"
        ) from None
    return red, green, blue


def _convolutional(module: nn.Module) -> bool:
    """Tell whether a network convolves throughout: several spatial convolutions, no attention but in its pooling."""
    spatial = sum(isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1 for m in module.modules())
    names = {type(m).__name__ for m in module.modules()}
    attention = any("Attention" in name and "Pool" not in name and "Squeeze" not in name for name in names)
    return spatial >= 4 and not attention
