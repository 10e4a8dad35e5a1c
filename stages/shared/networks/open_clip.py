"""Visual towers of open_clip (CLIP and its kin), with a linear head on the image embedding."""

from contextlib import suppress
from typing import Any, cast

import open_clip
from open_clip.model import resize_pos_embed
from torch import Tensor, nn
from torch.nn.modules import module as registration

from ..runtime.errors import UserError, check_known
from .hub import REMEDY, safe_names
from .params import NetworkParams
from .timm import convert_state
from .weights import LibraryModel, read_hub_file


class VisualClassifier(nn.Module):
    """A visual tower, under the name it has in open_clip's own models (`visual`), and a linear head."""

    def __init__(self, visual: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.visual = visual
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Classify images (B, 3, H, W) by their embedding; returns (B, K)."""
        embedding = self.visual(images)
        return cast(Tensor, self.head(embedding if isinstance(embedding, Tensor) else embedding[0]))


def build(params: NetworkParams, classes: int) -> LibraryModel:
    """Build a visual tower; `config` overrides fields of the architecture's `vision_cfg`, such as layers or width.

    With weights from the hub the activation is the one they were trained with (OpenAI's: QuickGELU).
    """
    names = open_clip.list_models()  # get_model_config would fetch or open what is none of its names
    check_known(params.name, names, f"network.name: open_clip has no {params.name!r}")
    config = open_clip.get_model_config(params.name)
    tag = _tag(params)
    pretrained = open_clip.get_pretrained_cfg(params.name, tag) if tag else {}
    quick = bool(pretrained.get("quick_gelu", config.get("quick_gelu", False)))
    module = VisualClassifier(_tower(config, params, quick), config["embed_dim"], classes)
    return LibraryModel(
        module,
        ("head",),
        mean=pretrained.get("mean", open_clip.OPENAI_DATASET_MEAN),
        std=pretrained.get("std", open_clip.OPENAI_DATASET_STD),
        hub=f"open_clip's {params.name} {tag}",
        download=lambda: _downloaded(pretrained),
        convert=lambda state: _converted(state, module),
    )


def trained_size(params: NetworkParams) -> int:
    """Return the input size of the architecture's configuration, in pixels."""
    check_known(params.name, open_clip.list_models(), f"network.name: open_clip has no {params.name!r}")
    size = open_clip.get_model_config(params.name)["vision_cfg"]["image_size"]
    return int(size if isinstance(size, int) else size[0])


def _tag(params: NetworkParams) -> str | None:
    if params.weights.source != "hub":
        return None
    tags = open_clip.list_pretrained_tags_by_model(params.name)
    tag = params.weights.name or (tags[0] if len(tags) == 1 else None)
    if tag is None:
        raise UserError(f"weights.name is missing: open_clip has several weights of {params.name}: {', '.join(tags)}")
    check_known(tag, tags, f"weights.name: open_clip has no weights {tag!r} of {params.name}")
    return tag


def _downloaded(pretrained: dict[str, Any]) -> dict[str, Tensor]:
    repository, _, file = pretrained.get("hf_hub", "").rpartition("/")
    if not repository:
        raise UserError(f"weights.name: must be on the hub, found them at {pretrained.get('url')}; {REMEDY}")
    return read_hub_file(repository, safe_names(file or "open_clip_pytorch_model.bin"))


class _BuiltError(Exception):
    """Stops building a CLIP model at its visual tower."""


def _tower(config: dict[str, Any], params: NetworkParams, quick_gelu: bool) -> nn.Module:
    vision = {**config["vision_cfg"], "image_size": params.image_size, **(params.config or {})}
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    towers: list[Any] = []

    def stop(parent: nn.Module, name: str, child: nn.Module | None) -> None:
        if isinstance(parent, open_clip.CLIP) and name == "visual":
            towers.append(child)
            raise _BuiltError  # before the text tower, which takes memory, time and random numbers

    with registration.register_module_module_registration_hook(stop), suppress(_BuiltError):
        open_clip.CLIP(config["embed_dim"], vision, config["text_cfg"], quick_gelu)
    (tower,) = towers
    if "timm_model_name" in vision and hasattr(tower, "set_input_size"):
        tower.set_input_size(params.image_size)
    return cast(nn.Module, tower)


def _resized(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Resize a tower's position embeddings to this image size, as open_clip does; it cannot in half precision."""
    name = "visual.positional_embedding"
    resized = {**state, name: state[name].float()} if name in state else dict(state)
    try:
        resize_pos_embed(resized, module)
    except RuntimeError:  # not a square: `load_state` says what does not fit
        return state
    return resized


def _converted(state: dict[str, Tensor], module: Any) -> dict[str, Tensor]:
    """Take the visual half of a CLIP model's weights, or a classifier's that was saved from here.

    The weights of a tower that is timm's (its trunk) are converted by timm, as open_clip does not.
    """
    state = _resized({n: tensor for n, tensor in state.items() if n.startswith(("visual.", "head."))}, module)
    trunk, prefix = getattr(module.visual, "trunk", None), "visual.trunk."
    if trunk is None:
        return state
    trunk_state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    other_state = {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}
    return other_state | {prefix + name: tensor for name, tensor in convert_state(trunk_state, trunk, ()).items()}
