"""What a hub repository's config.json may not say: nothing that transformers would run, load or fetch."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import torch
import transformers
from huggingface_hub import constants, file_download
from transformers.models.auto import modeling_auto

from stages.shared.networks import transformers as transformers_networks
from stages.shared.networks.network import Network, build_network, build_skeleton
from stages.shared.networks.params import NetworkParams
from stages.shared.networks.transformers import _fields, config_class, read_config
from stages.shared.runtime.errors import UserError
from tests.hub_cache import blob_name, downloaded, link_to_blob

VIT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "patch_size": 8}
ENTRY = {"library": "transformers", "name": "evil/net", "weights": {"source": "hub"}, "image_size": 32}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the hub, and no server."""

    def refuse(*_: Any, **__: Any) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "head", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def publish(hub: Path, **config: Any) -> None:
    with downloaded(hub, "evil/net") as folder:
        transformers.ViTForImageClassification(transformers.ViTConfig(**VIT, image_size=32)).save_pretrained(folder)
        transformers.ViTImageProcessor().save_pretrained(folder)
        (folder / "config.json").write_text(json.dumps({"model_type": "vit", **VIT, "image_size": 32, **config}))


def publish_normalization(hub: Path, **fields: Any) -> None:
    publish(hub)
    [file] = hub.glob("*/snapshots/*/preprocessor_config.json")
    content = json.dumps({**json.loads(file.read_text()), **fields}).encode()
    file.unlink()
    file.write_bytes(content)
    link_to_blob(file, blob_name(content, large=False))


def skeleton() -> Network:
    return build_skeleton(NetworkParams.model_validate(ENTRY), 3)


def network() -> Network:
    return build_network(NetworkParams.model_validate(ENTRY), 3, seed=0)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "timm_wrapper", "model_args": {"checkpoint_path": "/tmp/evil.pth"}},
        {"model_type": "timm_wrapper", "architecture": "hf-hub:evil/other"},
    ],
)
def test_a_network_of_another_library_is_not_built(
    hub: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, **config)
    monkeypatch.setattr("timm.create_model", lambda *_, **__: pytest.fail("built"))
    message = r"the config\.json of evil/net must be of a network of transformers' own, .*'timm_wrapper'.*library: timm"
    with pytest.raises(UserError, match=message):
        skeleton()
    monkeypatch.setitem(
        transformers_networks.ARCHITECTURES, "evil/net", transformers_networks.Architecture("ViTConfig", VIT)
    )
    with pytest.raises(UserError, match=message):  # the shipped configuration is built, the hub's would be loaded
        network()


def test_a_model_type_of_another_library_is_no_name() -> None:
    entry = {**ENTRY, "name": "timm_wrapper", "weights": {"source": "none"}}
    with pytest.raises(UserError, match=r"^network\.name must be of a network of transformers' own.*library: timm"):
        build_skeleton(NetworkParams.model_validate(entry), 3)


@pytest.mark.parametrize("type_", ["timm_backbone", "detr", "upernet", "shieldgemma2", "evil_net", None])
def test_a_type_that_wraps_another_s_network_or_classifies_nothing_is_refused(hub: Path, type_: str | None) -> None:
    fields = {"backbone": "evil/x", "use_timm_backbone": True, "use_pretrained_backbone": True}
    publish(hub, model_type=type_, auto_map={"AutoConfig": "evil.EvilConfig"}, **fields)
    with pytest.raises(UserError, match=f"the config.json of evil/net must be of .*found model type '{type_}'"):
        skeleton()


def test_a_repository_s_own_code_is_not_run_and_no_message_advises_it(hub: Path) -> None:
    code = {"AutoConfig": "evil.EvilConfig", "AutoModelForImageClassification": "evil.EvilModel"}
    publish(hub, auto_map=code, model_type="evil_net")
    with pytest.raises(UserError, match="whose code is not transformers' own") as error:
        skeleton()
    assert "trust_remote_code" not in str(error.value)
    publish(hub, auto_map=code)
    assert type(network().module) is transformers.ViTForImageClassification


def test_fields_that_are_not_the_architecture_s_are_left_out(hub: Path) -> None:
    evil = {
        "attn_implementation": "evil/kernel",
        "experts_implementation": "evil/kernel",
        "quantization_config": {"quant_method": "evil"},
        "transformers_weights": "other.safetensors",
        "auto_map": {"AutoModelForImageClassification": "evil/x--evil.EvilModel"},
        "name_or_path": "/tmp/evil",
        "_name_or_path": "/tmp/evil",
        "backbone": "evil/x",
        "dtype": "float16",
    }
    publish(hub, **evil)
    said = json.dumps(network().module.config.to_dict()) + repr(vars(read_config("evil/net")[0]))
    assert "evil" not in said.replace("evil/net", "")
    assert "other" not in said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_act", "/tmp/evil.pth"),
        ("hidden_act", "hf-hub:evil/x"),
        ("num_hidden_layers", 10**9),
        ("patch_size", [8] * 2000),
        ("hidden_size", {"evil": 1}),
    ],
)
def test_a_value_that_describes_no_architecture_is_refused(hub: Path, field: str, value: Any) -> None:
    publish(hub, **{field: value})
    with pytest.raises(UserError, match=rf"the config\.json of evil/net must hold names, .*found {field} = "):
        skeleton()


@pytest.mark.parametrize("classes", [-1, 10**12, "2", [2], None])
def test_what_a_repository_says_of_its_own_classes_decides_nothing(hub: Path, classes: Any) -> None:
    publish(hub, num_labels=classes, architectures=classes, id2label={"0": "one of them"})
    assert network().logits(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize("content", ["", "[]", "{no", "\x00", "[" * 100_000, '{"num_labels": ' + "9" * 5000 + "}"])
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_of_a_file_that_the_cache_holds_no_message_says_that_it_lacks_it(hub: Path, name: str, content: str) -> None:
    with downloaded(hub, "evil/net") as folder:
        (folder / "config.json").write_text(json.dumps({"model_type": "vit", **VIT, "image_size": 32}))
        (folder / name).write_text(content)
    message = rf"^network\.name: the {name} of evil/net must be a mapping in JSON, found something else in .*{name};"
    with pytest.raises(UserError, match=message):
        skeleton()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("std", [0, 0, 0]), ("std", [math.nan] * 3), ("std", [0.5]), ("mean", [math.inf] * 3), ("mean", "abc"),
    ],
)  # fmt: skip
def test_a_normalization_that_an_entry_may_not_have_is_refused(hub: Path, name: str, values: Any) -> None:
    publish_normalization(hub, **{f"image_{name}": values})
    own = {name: [0.1, 0.2, 0.3]}
    message = rf"network\.{name}: what transformers gives for evil/net must be three numbers .*; write {name}: \[R"
    with pytest.raises(UserError, match=message):
        skeleton()
    built = build_skeleton(NetworkParams.model_validate({**ENTRY, **own}), 3)
    assert getattr(built.transform, name) == (0.1, 0.2, 0.3)


@pytest.mark.parametrize("class_", ["OneFormerImageProcessor", "OneFormerImageProcessorFast", "evil", ["evil"]])
@pytest.mark.parametrize("repository", [None, "other/repository"])
def test_of_an_image_processor_its_numbers_are_read_and_its_class_is_not_made(
    hub: Path, tmp_path: Path, class_: Any, repository: str | None
) -> None:
    """A class of transformers' own reads the file, or fetches the repository, that its fields name."""
    (tmp_path / "evil.json").write_text("[]")
    theirs = {"repo_path": repository or str(tmp_path), "class_info_file": "evil.json", "num_text": 1}
    publish_normalization(hub, image_mean=[0.1, 0.2, 0.3], image_processor_type=class_, **theirs)
    asked: list[Any] = []
    sys.addaudithook(lambda event, args: asked.append(args) if event == "open" and "evil.json" in str(args) else None)
    find, repositories = file_download.hf_hub_download, set()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(file_download, "hf_hub_download", lambda r, *a, **o: repositories.add(r) or find(r, *a, **o))
        assert skeleton().transform.mean == (0.1, 0.2, 0.3)
    assert (asked, repositories) == ([], {"evil/net"})


def test_a_normalization_in_the_configuration_of_a_processor_goes_first(hub: Path) -> None:
    publish(hub)
    said = {"image_processor": {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}}
    [folder] = hub.glob("*/snapshots/*")
    for content, mean in ((said, (0.1, 0.2, 0.3)), ({"image_processor": None}, (0.5, 0.5, 0.5))):
        file = folder / "processor_config.json"
        file.unlink(missing_ok=True)
        file.write_text(json.dumps(content))
        link_to_blob(file, blob_name(file.read_bytes(), large=False))
        assert skeleton().transform.mean == mean


def test_a_configuration_within_another_is_read_in_the_same_way() -> None:
    part = {"hidden_size": 16, "attn_implementation": "evil/kernel", "_name_or_path": "/tmp/evil"}
    said = {"vision_config": part, "text_config_dict": None, "projection_dim": 8}
    fields = _fields(transformers.CLIPConfig, said, "here")
    assert fields == {"vision_config": {"hidden_size": 16}, "text_config_dict": None, "projection_dim": 8}
    with pytest.raises(UserError, match=r"here: vision_config must hold .* hidden_act = '/tmp/evil'"):
        _fields(transformers.CLIPConfig, {"vision_config": {"hidden_act": "/tmp/evil"}}, "here")


def test_every_image_classifier_of_transformers_but_the_wrappers_keeps_its_fields() -> None:
    refused = set()
    for type_ in modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        try:
            class_ = config_class(type_, "here")
        except UserError:
            refused.add(type_)
            continue
        said = json.loads(class_().to_json_string(use_diff=False))
        assert class_(**_fields(class_, said, "here")).to_dict() == class_(**said).to_dict()
    assert refused == {"timm_wrapper", "shieldgemma2"}
