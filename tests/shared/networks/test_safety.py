"""What an entry may not say: nothing that a library would load, fetch or open while a network is built."""

import inspect
import os
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torchvision
import transformers
from timm.models import build_model_with_cfg

from stages.shared.networks.network import build_skeleton
from stages.shared.networks.params import NOT_OVERRIDES, NetworkParams
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import parse

NAMES = {
    "timm": "resnet10t",
    "torchvision": "mobilenet_v3_small",
    "open_clip": "ViT-B-32",
    "transformers": "microsoft/resnet-50",
}


def params(library: str, **entry: Any) -> NetworkParams:
    values = {"library": library, "name": NAMES[library], "weights": {"source": "none"}, "image_size": 32, **entry}
    return parse(values, NetworkParams, where="models.mine.network")


@pytest.mark.parametrize("library", NAMES)
@pytest.mark.parametrize(
    "name",
    [
        "checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "scriptable",
        "auto_map", "name_or_path", "_name_or_path", "trust_remote_code", "use_auth_token", "weights",
        "weights_backbone", "timm_model_pretrained", "num_classes",
    ],
)  # fmt: skip
def test_what_a_library_would_load_is_no_override(library: str, name: str, tmp_path: Path) -> None:
    evil = tmp_path / "evil.pth"
    with pytest.raises(UserError, match=rf"{name}"):
        build_skeleton(params(library, config={name: "evil"}), 2)
    with pytest.raises(UserError, match=rf"{name}"):
        build_skeleton(params(library, config={name: True}), 2)
    assert not evil.exists()


def test_every_argument_of_the_functions_that_load_is_covered() -> None:
    loading = [timm.create_model, build_model_with_cfg, torchvision.models.resnet50]
    arguments = {name for function in loading for name in inspect.signature(function).parameters}
    assert arguments <= NOT_OVERRIDES


def test_fields_that_all_configurations_of_transformers_share_are_no_overrides() -> None:
    for name in transformers.PretrainedConfig().to_dict():
        with pytest.raises(UserError, match=name):
            build_skeleton(params("transformers", config={name: 1}), 2)


@pytest.mark.parametrize("value", ["/tmp/evil.pth", "hf-hub:evil/x", "evil/x", "local-dir:x", "..\\x"])
@pytest.mark.parametrize("library", NAMES)
def test_a_text_that_may_be_a_path_or_an_address_is_no_override(library: str, value: str) -> None:
    with pytest.raises(UserError, match=r"network\.config\.act_layer: must be a plain name"):
        params(library, config={"act_layer": value})


@pytest.mark.parametrize(
    "value", [10**9, -(10**30), 1e300, float("nan"), [1, 10**9], [1] * 1001, None, {"a": 1}, ["a"]]
)
def test_an_override_is_a_name_or_a_number_of_a_network_that_could_be(value: object) -> None:
    with pytest.raises(
        UserError,
        match=r"network\.config\.depth: must be a plain .*, a number within 1,000,000 of 0, true or false, or a list",
    ):
        params("timm", config={"depth": value})
    kept = {"depth": 1_000_000, "rate": 1e-12, "wide": True, "act": "gelu", "sizes": [1, 2.5, True]}
    assert params("timm", config=kept).config == kept


@pytest.mark.parametrize(
    "name", ["hf-hub:evil/x", "hf_hub:evil/x", "local-dir:/tmp/x", "/tmp/x", "../x", "https://x.org/y", "x" * 201]
)
@pytest.mark.parametrize("library", NAMES)
def test_a_path_or_an_address_is_no_name(library: str, name: str) -> None:
    with pytest.raises(UserError, match=r"models\.mine\.network.*(name: .*must be the library|at most 200 characters)"):
        params(library, name=name)


@pytest.mark.parametrize("name", ["nobody/../../etc", "a/b/c", "-x/y", "owner/"])
def test_a_repository_has_an_owner_and_a_name(name: str) -> None:
    with pytest.raises(UserError, match=r"name: .* a repository of the hub, `owner/name`, not a path or an address"):
        params("transformers", name=name)


@pytest.mark.parametrize("library", ["timm", "torchvision", "open_clip"])
def test_a_repository_is_not_fetched_by_a_library_of_plain_names(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked a server"))
    with pytest.raises(UserError, match=r"network\.name: \w+ has no 'microsoft/resnet-50': did you mean 'resnet50|.*"):
        build_skeleton(params(library, name="microsoft/resnet-50"), 2)


@pytest.mark.parametrize("library", NAMES)
def test_a_skeleton_opens_no_file_of_weights(library: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.pth")  # opening it would wait for ever
    weights = {"source": "file", "path": str(tmp_path / "w.pth"), "sha256": "0" * 64}
    size = 224 if library == "open_clip" else 32
    assert build_skeleton(params(library, weights=weights, image_size=size), 2).head


def test_the_libraries_own_names_are_names() -> None:
    for library, names in (("timm", timm.list_models()), ("open_clip", open_clip.list_models())):
        assert [params(library, name=name).name for name in names] == names
