"""Image classifiers of Hugging Face transformers.

Of a hub repository's config.json, what it says of an architecture counts, and nothing that transformers would load or
fetch: it passes on whatever a config.json says, to timm, to kernels of other repositories, to other files of weights.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import transformers
from huggingface_hub.errors import StrictDataclassError
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from transformers.models.auto import modeling_auto

from ..runtime.errors import UserError, did_you_mean
from .hub import hub_access, hub_file, safe_names
from .params import IMAGENET_MEAN, IMAGENET_STD, NetworkParams, check_overrides, is_plain
from .weights import LibraryModel, read_hub_file

HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Architecture:
    """What a hub repository's config.json and preprocessor_config.json say, so that it builds offline.

    Attributes:
        config: name of the configuration class.
        overrides: fields in which the repository differs from the class's defaults.
        mean, std: normalization of RGB in [0, 1], as the repository gives it; `assemble` checks it.
    """

    config: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    mean: Sequence[float] | None = IMAGENET_MEAN
    std: Sequence[float] | None = IMAGENET_STD


ARCHITECTURES = {
    "microsoft/resnet-50": Architecture("ResNetConfig"),
    "google/vit-base-patch16-224-in21k": Architecture("ViTConfig", mean=HALF, std=HALF),
    "microsoft/swin-tiny-patch4-window7-224": Architecture("SwinConfig"),
    "Zetatech/pvt-tiny-224": Architecture("PvtConfig"),
    "microsoft/cvt-21": Architecture("CvtConfig", {"depth": [1, 4, 16]}),
    "sail/poolformer_s12": Architecture("PoolFormerConfig"),
    "facebook/convnextv2-tiny-1k-224": Architecture("ConvNextV2Config"),
}
"""The paper's seven networks. Other repositories need the hub, or its cache, for their configuration."""

NOT_COMPUTED = {
    *transformers.PretrainedConfig().to_dict(),
    *("encoder_stride", "image_size", "num_labels", "out_features", "out_indices", "stage_names"),
    "_attn_implementation",
}
"""Fields of a configuration that do not change what the network computes, or are set or derived here: those of all
configurations among them."""

WRAPPING = {
    "model_args", "backbone", "backbone_config", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone",
}  # fmt: skip
"""Fields of the configurations of types that build another library's network, or fetch another repository's."""


def build(params: NetworkParams, classes: int) -> LibraryModel:
    """Build an image classifier; `config` overrides fields of its configuration.

    `name` is a hub repository or, with weights from a file or none, a model type (`swin`) with its default fields.
    """
    described = _describe(params)
    config = _configured(described, params, classes)
    module = transformers.AutoModelForImageClassification.from_config(config)
    return LibraryModel(
        module,
        tuple(name for name, _ in module.named_children() if "classifier" in name),
        mean=described.mean,
        std=described.std,
        hub=f"the hub's {params.name}",
        download=lambda: _downloaded(params, config),
        convert=lambda state: _converted(state, module, params),
    )


def _describe(params: NetworkParams) -> Architecture:
    """Find the configuration's class and fields, and the normalization."""
    if params.name in ARCHITECTURES:
        return ARCHITECTURES[params.name]
    types = modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    if params.name in types and params.weights.source != "hub":
        return Architecture(config_class(params.name, "network.name").__name__)
    if "/" not in params.name:
        raise UserError(
            "network.name: transformers needs a hub repository (owner/name) or, with weights from a file or none, "
            f"a model type, found {params.name!r}: {did_you_mean(params.name, [*ARCHITECTURES, *types])}"
        )
    with hub_access(f"the configuration of {params.name}"):
        config, fields = read_config(params.name)
        normalization = _read_normalization(params.name)
    kept = {name: value for name, value in fields.items() if name not in NOT_COMPUTED}
    return Architecture(type(config).__name__, kept, *normalization)


def _read_normalization(name: str) -> tuple[Any, Any]:
    """Read a repository's mean and deviation, as it gives them, where transformers looks for them.

    Its processor classes are not used: the fields of some name files and other repositories, which they would read.

    Raises:
        UserError: it is no mapping in JSON.
        OSError: there is no such file.
    """
    processor = _read_json(name, "processor_config.json", "preprocessor_config.json").get("image_processor")
    if not isinstance(processor, Mapping):
        processor = _read_json(name, "preprocessor_config.json")
    return processor.get("image_mean"), processor.get("image_std")


def _read_json(name: str, *files: str) -> Mapping[str, Any]:
    """Read a mapping from the first of several files that a repository has."""
    path = hub_file(name, files)
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, Mapping):
        raise UserError(
            f"network.name: the {path.name} of {name} must be a mapping in JSON, found something else in {path}; "
            "choose another repository"
        )
    return content


def _configured(described: Architecture, params: NetworkParams, classes: int) -> Any:
    """Make the configuration, with the entry's overrides, the number of classes, and the image size if it has one."""
    class_ = getattr(transformers, described.config)
    defaults = class_().to_dict()
    check_overrides(params, known_fields(class_), described.config)
    fields = {**described.overrides, **(params.config or {}), "num_labels": classes}
    if "image_size" in defaults:
        pair = isinstance(defaults["image_size"], (list, tuple))
        fields["image_size"] = [params.image_size] * 2 if pair else params.image_size
    try:
        config = class_(**fields)
    except StrictDataclassError as error:
        raise UserError(f"network.config: {described.config}: {error}") from None
    config.architectures = []  # from_config reads them where a model type has several classifiers, and trips over None
    return config


def _downloaded(params: NetworkParams, config: Any) -> dict[str, Tensor]:
    """Read a repository's weights.

    Raises:
        UserError: the network built here is not the one that the weights were made for.
    """
    ours, hub = config.to_dict(), read_config(params.name)[0].to_dict()
    for name in sorted(ours.keys() & hub.keys() - NOT_COMPUTED - set(params.config or {})):
        if ours[name] != hub[name]:
            raise UserError(
                f"{params.name}: the hub's configuration has {name} = {hub[name]!r}, the one built here "
                f"{ours[name]!r}; set it in the entry: config: {{{name}: {hub[name]!r}}}"
            )
    return read_hub_file(params.name, safe_names("pytorch_model.bin"))


def _converted(state: dict[str, Tensor], module: Any, params: NetworkParams) -> dict[str, Tensor]:
    """Give weights the module's names and sizes; of a repository, leave out those that are no classifier's."""
    found, own = _renamed(_resized(state, module), module), module.state_dict()
    return {name: tensor for name, tensor in found.items() if name in own or params.weights.source != "hub"}


def _resized(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Resize position embeddings (1, tokens, width) to the number of tokens of this image size.

    A file's names may lack the module's first part (`vit.`), or have one more.
    """
    resized = dict(state)
    for own, target in module.state_dict().items():
        for name, tensor in state.items() if "position_embeddings" in own else ():
            if (own.endswith(name) or name.endswith(own)) and tensor.ndim == 3 and tensor.shape != target.shape:
                resized[name] = _interpolated(tensor, target.shape[1])
    return resized


def _interpolated(embeddings: Tensor, tokens: int) -> Tensor:
    """Resample a square grid of position embeddings; the class and register tokens before it stay as they are."""
    for prefix in (0, 1, 2, 5):
        old, new = math.isqrt(max(embeddings.shape[1] - prefix, 0)), math.isqrt(max(tokens - prefix, 0))
        if old * old + prefix == embeddings.shape[1] and new * new + prefix == tokens:
            fitted = resample_abs_pos_embed(embeddings, [new, new], [old, old], num_prefix_tokens=prefix)
            return cast(Tensor, fitted)
    return embeddings


def _renamed(state: dict[str, Tensor], module: Any) -> dict[str, Tensor]:
    """Translate the names of files that `save_pretrained` wrote, which differ from the module's in some versions."""
    module_state = module.state_dict()
    if set(module_state) <= set(state):
        return state
    transformers.utils.logging.set_verbosity_error()  # what does not fit is reported by load_state
    transformers.utils.logging.disable_progress_bar()
    model, report = type(module).from_pretrained(
        None, config=module.config, state_dict=dict(state), ignore_mismatched_sizes=True, output_loading_info=True
    )
    absent = set(report["missing_keys"])
    shapes = {name: module_state[name].new_empty(theirs) for name, theirs, _ in report["mismatched_keys"]}
    unexpected = {name: state[name] for name in report["unexpected_keys"] if name in state}
    loaded_state = {name: tensor for name, tensor in model.state_dict().items() if name not in absent}
    return {**loaded_state, **unexpected, **shapes}


def read_config(name: str) -> tuple[Any, dict[str, Any]]:
    """Read a repository's configuration.

    Returns:
        The configuration, and the fields of the architecture.

    Raises:
        UserError: it is not of an image classifier of transformers' own, or has a field that may be a path.
        OSError: there is none.
    """
    where = f"network.name: the config.json of {name}"
    content = _read_json(name, "config.json")
    class_ = config_class(str(content.get("model_type")), where)
    fields = _fields(class_, content, where)
    try:
        return class_(**fields), fields
    except StrictDataclassError as error:
        raise UserError(f"{where}: {error}") from None


def config_class(type_: str, where: str) -> Any:
    """Find a model type's configuration.

    Raises:
        UserError: transformers has no image classifier of that type of its own.
    """
    if type_ not in modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        raise UserError(
            f"{where} must be of an image classifier of transformers, found model type {type_!r}, whose code is not "
            "transformers' own or classifies no images; choose another network"
        )
    class_ = type(transformers.AutoConfig.for_model(type_))
    of_any_type = [part for part in class_.sub_configs.values() if not hasattr(part, "model_type")]  # AutoConfig
    if of_any_type or known_fields(class_) & WRAPPING:
        raise UserError(
            f"{where} must be of a network of transformers' own, found model type {type_!r}, which builds another "
            "network within; use that one itself" + (", with library: timm" if "timm" in type_ else "")
        )
    return class_


def known_fields(class_: Any) -> set[str]:
    """Return a configuration's fields without those of all configurations, which say nothing of the architecture."""
    return set(class_().to_dict()) - set(transformers.PretrainedConfig().to_dict())


def _fields(class_: Any, said: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the fields that the class has, under its own or older names."""
    parts = {end: part for name, part in class_.sub_configs.items() for end in (name, f"{name}_dict")}  # CLIP's towers
    field_names = {*known_fields(class_), *class_.attribute_map, *parts}
    fields = {name: value for name, value in said.items() if name in field_names}
    for name, value in fields.items():
        if name in parts and isinstance(value, Mapping):
            fields[name] = _fields(parts[name], value, f"{where}: {name}")
        elif not is_plain(value):
            raise UserError(
                f"{where} must hold names, numbers of at most 1,000,000 and lists of them, found {name} = "
                f"{str(value)[:80]!r}; choose another repository"
            )
    return fields
