"""The repository's address: written into the three files that have it, also over another one."""

import shutil
import tomllib

import pytest
from ruamel.yaml import YAML

from docs.tools.address import write_address
from tests.workflow import ROOT


@pytest.mark.parametrize("times", [1, 2])
def test_the_address_is_written_wherever_it_belongs(tmp_path, times):
    for name in ("README.md", "pyproject.toml", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("before", "whichlayer")[-times:]:
        write_address(tmp_path, f"https://github.com/Some-One/{name}")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    address = "https://github.com/Some-One/whichlayer"
    assert project["urls"] == {
        "Repository": address,
        "Documentation": "https://some-one.github.io/whichlayer/",
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
        "Paper": "https://arxiv.org/abs/2405.01524",
    }
    assert YAML(typ="safe").load(tmp_path / "CITATION.cff")["repository-code"] == address
    clones = [line for line in (tmp_path / "README.md").read_text().splitlines() if "git clone" in line]
    assert clones == [f"git clone {address} && cd whichlayer"]


@pytest.mark.parametrize("address", ["github.com/a/b", "https://github.com/a", "git@github.com:a/b.git"])
def test_another_text_is_no_address(tmp_path, address):
    with pytest.raises(ValueError, match=r"must be https://github\.com/OWNER/NAME, found"):
        write_address(tmp_path, address)
