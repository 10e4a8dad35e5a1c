import hashlib
import re

from ruamel.yaml import YAML

from stages.aggregate.render.page.provenance import describe_run, describe_scoring
from stages.shared.workflow.params import RunParams
from tests.sealed import seal_prepared

GRID = RunParams(datasets=["left"], models=["small"], folds=[0, 1], seeds=[0])
PARAMS = """
run: {datasets: [left], models: [small], folds: [0, 1], seeds: [0]}
prepare: {seed: 0}
finetune: {steps: [0, 30]} # checkpoints
embed: {}
measure: {}
aggregate: {main_metric: nmi}
datasets: {left: {source: folder}, right: {source: folder}}
models: {small: {taps: {layers: default}}, large: {}}
"""


def described(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "left").mkdir()
    (tmp_path / "left/manifest.csv").write_text("sample_id,label\na/0,a\na/1,a\nNA/0,NA\n")
    seal_prepared(tmp_path / "left")
    return describe_run(tmp_path / "params.yaml", GRID, tmp_path)


def test_parameters_are_those_of_the_grid_and_come_back(tmp_path):
    run = described(tmp_path)
    known = YAML(typ="safe").load(PARAMS)
    known["datasets"].pop("right")
    known["models"].pop("large")
    assert YAML(typ="safe").load(run.params) == known
    assert next(iter(YAML(typ="safe").load(run.params))) == "run"


def test_the_grid_is_a_sentence_and_a_dataset_its_content(tmp_path):
    run = described(tmp_path)
    assert run.grid == "1 dataset (left), 1 network (small), 2 folds, 1 seed."
    content = hashlib.sha256((tmp_path / "left/manifest.csv").read_bytes()).hexdigest()
    assert run.datasets == [("left", f"3 images in 2 classes; manifest.csv has SHA-256 {content}")]


def test_many_networks_are_counted():
    many = RunParams(datasets=["left"], models=[f"net{i}" for i in range(7)], folds=[0], seeds=[0, 1])
    assert describe_scoring({}, many, "again").grid == "1 dataset (left), 7 networks, 1 fold, 2 seeds."


def test_versions_are_those_installed_and_nothing_names_this_machine(tmp_path):
    run = described(tmp_path)
    text = "\n".join([run.grid, run.command, run.params, *map(str, run.datasets)])
    assert str(tmp_path) not in text
    assert not re.search(r"20\d\d-\d\d-\d\d", text)
