"""A damaged artifact is one sentence that names the file and what to run; nothing is read wrong."""

import re
import shutil
from pathlib import Path

import pytest

from stages.shared.runtime.errors import UserError
from tests.faults.damage import ARTIFACTS, DAMAGES, Artifact, blamed
from tests.faults.handed_over import NAMES, READERS, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("study") / "data"
    write_study(data)
    return data


def test_whole_artifacts_are_read(study: Path):
    for reader in READERS.values():
        assert reader(study)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("artifact", ARTIFACTS, ids=lambda artifact: f"{artifact.stage} {artifact.file}")
def test_damage_is_one_sentence_that_names_the_file(study: Path, artifact: Artifact, damage: str):
    path, sibling = artifact.paths(study, NAMES)
    whole = {file: file.read_bytes() for file in (path, sibling)}
    if damage == "swap" and whole[path] == whole[sibling]:
        return
    DAMAGES[damage](path, sibling)
    try:
        with pytest.raises(UserError) as error:
            READERS[artifact.stage](study)
    finally:
        for file, content in whole.items():
            file.write_bytes(content)
    message = str(error.value)
    assert message.startswith(tuple(f"{each}{end}" for each in blamed(path, sibling, damage) for end in (": ", "/")))
    assert re.search(r"[;,] (or )?rerun the \w+ stage \(`dvc repro --single-item --force [\w@-]+`\)$", message)
    assert "\n" not in message


def test_another_folds_table_concerns_no_cell_of_this_fold(study: Path, tmp_path: Path):
    shutil.copytree(study, tmp_path / "data")
    for file in (tmp_path / "data" / "prepared" / "trees" / "folds").glob("all.*"):
        file.write_bytes(b"damaged")
    assert READERS["finetune"](tmp_path / "data") == READERS["finetune"](study)
