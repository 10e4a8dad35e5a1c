"""A hub repository's config.json: what it says of an architecture, and nothing that a library would load or fetch.

transformers hands on whatever a config.json says: to timm, to kernels of other repositories, to other files of weights.
"""

from collections.abc import Mapping
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers.models.auto import modeling_auto

from stages.shared.networks.params import is_plain
from stages.shared.runtime.errors import UserError

WRAPPING = {
    "model_args", "backbone", "backbone_config", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone",
}  # fmt: skip
"""Fields of the configurations of types that build another library's network, or fetch another repository's."""

MOST_CLASSES = 100_000
"""ImageNet-22k has 21,843."""


def read_config(name: str) -> tuple[Any, dict[str, Any]]:
    """Read a repository's configuration.

    Returns:
        The configuration with the repository's own number of classes, and the fields of the architecture.

    Raises:
        UserError: it is not of an image classifier of transformers' own, or has a field that may be a path.
        OSError: there is none.
    """
    where = f"network.name: the config.json of {name}"
    said, _ = transformers.PretrainedConfig.get_config_dict(name)
    if not isinstance(said, Mapping):
        raise UserError(f"{where} must be a mapping, found {type(said).__name__}; name another repository")
    class_ = config_class(str(said.get("model_type")), where)
    fields = _fields(class_, said, where)
    labels, names = said.get("id2label"), said.get("architectures")
    classes = len(labels) if isinstance(labels, Mapping) else said.get("num_labels", 2)
    if not isinstance(classes, int) or not 0 <= classes <= MOST_CLASSES:  # transformers makes a table of their names
        raise UserError(
            f"{where} must have 0 to {MOST_CLASSES:,} classes, found num_labels = {str(classes)[:80]}; name another "
            "repository"
        )
    try:
        config = class_(**{**fields, "num_labels": classes})
    except StrictDataclassError as error:
        raise UserError(f"{where}: {error}") from None
    config.architectures = [one for one in names if isinstance(one, str)] if isinstance(names, list) else []
    return config, fields


def config_class(type_: str, where: str) -> Any:
    """Find a model type's configuration.

    Raises:
        UserError: transformers has no image classifier of that type of its own.
    """
    if type_ not in modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        raise UserError(
            f"{where} must be of an image classifier of transformers, found model type {type_!r}, whose code is not "
            "transformers' own or classifies no images; name another network"
        )
    class_ = type(transformers.AutoConfig.for_model(type_))
    of_any_type = [name for name, part in _parts(class_).items() if not hasattr(part, "model_type")]  # AutoConfig
    if of_any_type or known_fields(class_) & WRAPPING:
        raise UserError(
            f"{where} must be of a network of transformers' own, found model type {type_!r}, which builds another "
            "network within; name that one itself" + (", with library: timm" if "timm" in type_ else "")
        )
    return class_


def known_fields(class_: Any) -> set[str]:
    """Fields of a configuration beyond those of all configurations, which say nothing of the architecture."""
    return set(class_().to_dict()) - set(transformers.PretrainedConfig().to_dict())


def _parts(class_: Any) -> dict[str, Any]:
    """Classes of the configurations within a configuration, as CLIP's of its towers."""
    return dict(getattr(class_, "sub_configs", {}))


def _fields(class_: Any, said: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Take the fields that the class has, under its own or older names."""
    parts = _parts(class_)
    parts |= {f"{name}_dict": part for name, part in parts.items()}
    known = {*known_fields(class_), *class_.attribute_map, *parts}
    fields = {name: value for name, value in said.items() if name in known}
    for name, value in fields.items():
        if name in parts and isinstance(value, Mapping):
            fields[name] = _fields(parts[name], value, f"{where}: {name}")
        elif not is_plain(value):
            raise UserError(
                f"{where} must hold names, numbers of at most 1,000,000 and lists of them, found {name} = "
                f"{str(value)[:80]!r}; name another repository"
            )
    return fields
