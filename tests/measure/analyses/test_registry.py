import inspect
from pathlib import Path

import pytest

import stages.measure.analyses
from stages.measure.analyses.registry import ANALYSES, Analysis, check_embedded, load
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import ANALYSIS_TABLES

FOLDER = Path(stages.measure.analyses.__file__).parent


def test_every_file_is_an_analysis_and_every_analysis_has_its_file():
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "registry", "result"} == set(ANALYSES)


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_is_the_function_of_its_name(name: str):
    of_network = ["cells"] if ANALYSES[name].all_sets else ["cell"]
    arguments = of_network if ANALYSES[name].whole_network else ["cell", "layer", "split"]
    arguments += ["step"] if ANALYSES[name].ends else []
    assert list(inspect.signature(load(name)).parameters) == arguments


def test_tables_have_the_names_of_analyses():
    assert set(ANALYSIS_TABLES) <= set(ANALYSES)


@pytest.mark.parametrize(
    ("analysis", "splits"),
    [
        (Analysis(), {"test", "unseen"}),
        (Analysis(("unseen", "test")), {"unseen"}),
        (Analysis(whole_network=True), set()),
    ],
)
def test_an_analysis_of_one_layer_belongs_to_the_job_of_its_first_split(analysis: Analysis, splits: set[str]):
    assert {split for split in ("test", "unseen") if analysis.belongs_to(split)} == splits


def test_what_analyses_read_must_be_embedded():
    check_embedded(ANALYSES, ["test", "unseen"], training=True, frozen=False)
    check_embedded(["k_sensitivity", "layer_pairs"], ["unseen"], training=False, frozen=False)
    with pytest.raises(UserError) as error:
        check_embedded(["k_sensitivity", "ood"], ["unseen"], training=True, frozen=False)
    assert str(error.value) == (
        "measure.analyses: 'ood' needs embed.splits to list 'test', but embedded are the images unseen, train; "
        "change that, or remove ood from measure.analyses"
    )
