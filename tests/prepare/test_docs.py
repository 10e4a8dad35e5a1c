import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.prepare.params import DATASET_PARAMS

TEXT = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)


def entries():
    for block in BLOCKS:
        content = YAML(typ="safe", pure=True).load(block)
        yield from content.get("datasets", content).values()


@pytest.mark.parametrize("entry", list(entries()), ids=lambda entry: entry["source"])
def test_each_example_is_valid(entry):
    assert DATASET_PARAMS[entry["source"]].model_validate(entry).source == entry["source"]


def test_each_source_has_an_example():
    assert {entry["source"] for entry in entries()} == set(DATASET_PARAMS)


def test_each_parameter_is_explained():
    fields = {name for model in DATASET_PARAMS.values() for name in model.model_fields}
    assert {name for name in fields if f"`{name}`" not in TEXT and f"{name}:" not in TEXT} == set()
