"""params.yaml as one object: parsed once, and every wrong value named."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.commands.config import parse_config, read_config
from stages.shared.runtime.errors import UserError
from stages.shared.workflow import params
from tests.commands.edited import COMMITTED, ROOT, config, content
from tests.pydantic_says import a


def test_the_file_is_parsed_once(monkeypatch: pytest.MonkeyPatch):
    parsed: list[bytes] = []
    load = YAML.load

    def counted(self: YAML, stream: Any) -> Any:
        parsed.extend([stream] if isinstance(stream, bytes) else [])  # loaded again as a stream within
        return load(self, stream)

    monkeypatch.setattr(YAML, "load", counted)
    params._parsed.cache_clear()
    found = read_config(ROOT / "params.yaml")
    assert parsed == [(ROOT / "params.yaml").read_bytes()]
    assert found == parse_config(COMMITTED)


def test_every_section_and_entry_is_there_and_frozen():
    found = config({"datasets.handwriting.seed": 3, "prepare.seed": 5})
    assert found.run.datasets == ["handwriting"]
    assert (set(found.datasets), set(found.models)) == (set(COMMITTED["datasets"]), set(COMMITTED["models"]))
    assert found.models["efficientnet_lite0_scratch"].network.weights.source == "none"
    assert (found.root_seed("handwriting"), found.root_seed("cifar100")) == (3, 42)
    assert config({"prepare.seed": 5}).root_seed("handwriting") == 5
    with pytest.raises(FrozenInstanceError):
        found.run = found.run  # type: ignore[misc]


@pytest.mark.parametrize(
    ("dotted", "value", "message"),
    [
        (
            "run.datasets",
            ["hand"],
            "run.datasets names 'hand', which is not in `datasets`: did you mean 'handwriting'?",
        ),
        ("prepare.sed", 1, "prepare.sed is not a parameter: did you mean 'seed'?"),
        ("finetune.learning_rat", 1.0, "finetune.learning_rat is not a parameter: did you mean 'learning_rate'?"),
        ("finetune.learning_rate", "fast", f"learning_rate: {a('float')}; found 'fast' (str)"),
        ("embed.pooling", ["middle"], "embed.pooling.0"),
        ("measure.metrics", ["nmii"], "did you mean 'nmi' or 'ami'?"),
        ("measure.extra.metrics", ["nmi"], "extra.metrics must not repeat a name of metrics, found ['nmi']"),
        ("measure.analyses", ["odd"], "measure.analyses.0: unknown analysis 'odd': did you mean 'ood'?"),
        ("measure.kmeans.start", 3, "measure.kmeans.start is not a parameter: did you mean 'starts'?"),
        ("aggregate.main_metric", "accuracy", "must be a layer score; accuracy is the whole network's"),
        ("datasets.handwriting.source", "hand", "unknown source 'hand': did you mean 'handwriting'?"),
        ("models.resnet50.network.weights.sourc", "x", "did you mean 'source'?"),
        ("models.resnet50.taps.layers", "all", "models.resnet50.taps.layers"),
        ("models.resnet50", {"taps": {"layers": "default"}}, "models.resnet50.network is missing"),
    ],
)
def test_a_wrong_value_is_named_also_outside_the_grid(dotted: str, value: object, message: str):
    with pytest.raises(UserError) as caught:
        parse_config(content({dotted: value}))
    assert message in str(caught.value)
