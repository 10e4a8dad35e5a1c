from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from stages.shared.networks.params import NetworkParams
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import Params, load, load_entry, read_model_part, read_run, read_section
from tests.pydantic_says import a, at_least, at_least_items, at_most, below, one_of

TEXT = """\
run: {datasets: [handwriting], models: [lite0], folds: [0], seeds: [0, 1]}
datasets: {handwriting: {source: handwriting, size: 64}, flowers: {source: folder, size: 32}}
models:
  lite0: {network: {library: timm, name: tf_efficientnet_lite0, weights: {source: none}, image_size: 64}, taps: {}}
  partial: {taps: {}}
prepare: {}
finetune: {}
embed: {}
measure: {metrics: [nmi], probe: {folds: 5, rate: 0.1}}
aggregate: {}
"""


class ProbeParams(Params):
    folds: Annotated[int, Field(ge=2)]
    rate: float


class MeasureParams(Params):
    metrics: list[Literal["nmi", "ami"]]
    probe: ProbeParams


class DatasetParams(Params):
    source: str
    size: int


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(TEXT)
    return tmp_path / "params.yaml"


def changed(path: Path, old: str, new: str) -> Path:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return path


def message(path: Path) -> str:
    with pytest.raises(UserError) as error:
        read_section(path, "measure", MeasureParams)
    return str(error.value)


def test_a_section_becomes_a_frozen_model(path: Path):
    params = read_section(path, "measure", MeasureParams)
    assert params == MeasureParams(metrics=["nmi"], probe=ProbeParams(folds=5, rate=0.1))
    with pytest.raises(ValueError, match="frozen"):
        params.probe = ProbeParams(folds=3, rate=1)


def test_a_float_may_be_written_as_an_integer_or_with_an_exponent(path: Path):
    assert read_section(changed(path, "0.1", "1"), "measure", MeasureParams).probe.rate == 1.0
    assert read_section(changed(path, "rate: 1", "rate: 2e-4"), "measure", MeasureParams).probe.rate == 0.0002


def test_a_misspelt_parameter_is_named_with_the_nearest(path: Path):
    found = message(changed(path, "folds", "fold"))
    assert "measure.probe.fold is not a parameter: did you mean 'folds'? (known: folds, rate)" in found
    assert "measure.probe.folds is missing" in found


def test_a_misspelt_parameter_of_an_optional_part_is_named_with_the_nearest(path: Path):
    class Outer(Params):
        metrics: list[str]
        probe: ProbeParams | None = None

    with pytest.raises(UserError, match=r"measure\.probe\.fold is not a parameter: did you mean 'folds'\?"):
        read_section(changed(path, "folds", "fold"), "measure", Outer)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("folds: 5", "folds: five", f"measure.probe.folds: {a('int')}; found 'five' (str)"),
        ("folds: 5", "folds: 5.0", f"measure.probe.folds: {a('int')}; found 5.0 (float)"),
        ("folds: 5", "folds: true", f"measure.probe.folds: {a('int')}; found True (bool)"),
        ("folds: 5", "folds: 1", f"measure.probe.folds: {at_least(2)}; found 1 (int)"),
        ("[nmi]", "[nmj]", f"measure.metrics.0: {one_of('nmi', 'ami')}; found 'nmj' (str)"),
        (", rate: 0.1", "", "measure.probe.rate is missing"),
    ],
)
def test_a_wrong_value_is_named_with_what_must_hold_and_what_was_found(path: Path, old: str, new: str, expected: str):
    assert message(changed(path, old, new)) == f"params: {expected}"


def test_an_entry_and_a_part_of_one_are_read(path: Path):
    assert load_entry(path, "datasets", "flowers") == {"source": "folder", "size": 32}
    network = read_model_part(path, "lite0", "network", NetworkParams)
    assert (network.library, network.image_size, network.weights.source) == ("timm", 64, "none")
    with pytest.raises(UserError, match=r"models\.partial\.network is missing"):
        read_model_part(path, "partial", "network", NetworkParams)
    assert list(load(path)["models"]) == ["lite0", "partial"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{source: none}", "{source: package}", "network.weights: weights from a package need `name`"),
        ("{source: none}", "{source: file}", "network.weights: `path` goes with `source: file`"),
        ("image_size: 64", "image_size: 4", f"network.image_size: {at_least(8)}; found 4"),
        ("image_size", "imagesize", "network.imagesize is not a parameter: did you mean 'image_size'?"),
        (
            "image_size: 64",
            "image_size: 64, std: [0.0, 0.2, 0.2]",
            f"network.std.0: {at_least(0.0001)}; found",
        ),
        (
            "image_size: 64",
            "image_size: 64, mean: [0, .nan, 0]",
            f"network.mean.1: {at_most(10000)}; found",
        ),
        ("image_size: 64", "image_size: 64, mean: [0, 0]", f"network.mean: {at_least_items(3, 2)}"),
        ("taps: {}", "tabs: {}", "tabs is not a parameter: did you mean 'taps'?"),
    ],
)
def test_a_wrong_network_says_why(path: Path, old: str, new: str, expected: str):
    with pytest.raises(UserError) as error:
        read_model_part(changed(path, old, new), "lite0", "network", NetworkParams)
    assert f"models.lite0.{expected}" in str(error.value)


def test_a_wrong_value_is_shown_in_short(path: Path):
    for value in (f"'{'x' * 100_000}'", f"[{', '.join(['1'] * 3000)}]"):
        with pytest.raises(UserError) as error:
            read_section(changed(path, "metrics: [nmi]", f"metrics: {value}"), "measure", MeasureParams)
        assert "measure.metrics" in str(error.value)
        assert len(str(error.value)) < 1500
        changed(path, f"metrics: {value}", "metrics: [nmi]")


def test_a_key_that_is_no_name_is_quoted(path: Path):
    with pytest.raises(UserError) as error:
        read_section(
            changed(path, "metrics: [nmi]", 'metrics: [nmi], "\\e[31m\\nerror: all is well": 1'),
            "measure",
            MeasureParams,
        )
    assert r"measure.'\x1b[31m\nerror: all is well' is not a parameter" in str(error.value)


def test_the_grid_is_read(path: Path):
    run = read_run(path)
    assert (run.datasets, run.models, run.seeds) == (["handwriting"], ["lite0"], [0, 1])
    assert read_run(changed(path, "seeds: [0, 1]", f"seeds: [{2**63 - 1}]")).seeds == [2**63 - 1]


def test_folds_are_text_in_tables_and_paths(path: Path):
    run = read_run(changed(path, "folds: [0]", "folds: [1, all, 0]"))
    assert (run.folds, run.numbered) == (["1", "all", "0"], ["1", "0"])
    assert list(run.cells())[:3] == [("handwriting", "lite0", *cell) for cell in (("1", 0), ("1", 1), ("all", 0))]


def test_an_id_of_digits_is_quoted(path: Path):
    changed(path, "datasets: [handwriting]", "datasets: ['2024']")
    with pytest.raises(UserError, match=r"an id in `datasets` must be text, found 2024 \(int\); quote it"):
        read_run(changed(path, "flowers:", "2024:"))
    assert read_run(changed(path, "2024:", "'2024':")).datasets == ["2024"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "models: [lite0]",
            "models: [lite1]",
            "run.models names 'lite1', which is not in `models`: did you mean 'lite0'",
        ),
        ("seeds: [0, 1]", "seeds: [0, 0]", "seeds must not repeat an entry, found [0, 0]"),
        ("seeds: [0, 1]", "seeds: []", f"run.seeds: {at_least_items(1, 0)}"),
        ("seeds: [0, 1]", "seeds: [-1]", f"run.seeds.0: {at_least(0)}; found -1"),
        (
            "seeds: [0, 1]",
            f"seeds: [{10**20}]",
            f"run.seeds.0: {below(9223372036854775808)}; found 1000",
        ),
        ("folds: [0], ", "", "run.folds is missing"),
        ("folds: [0]", "folds: all", "run.folds: must be a list, found 'all'; write `folds: [all]`"),
        ("folds: [0]", "folds: []", f"run.folds: {at_least_items(1, 0)}"),
        ("folds: [0]", "folds: [0, -1]", "run.folds.1: a fold must be a whole number >= 0, or `all`, found -1 (int)"),
        ("folds: [0]", "folds: [true]", "run.folds.0: a fold must be a whole number >= 0, or `all`, found True (bool)"),
        ("folds: [0]", "folds: [all, 0, all]", "folds must not repeat an entry, found ['all', '0', 'all']"),
        ("folds: [0]", "folds: [all]", "folds must name a number beside `all`, which has no unseen classes"),
        ("models: [lite0]", "models: [vit.b]", "run.models.0: "),
    ],
)
def test_a_wrong_grid_says_why(path: Path, old: str, new: str, expected: str):
    with pytest.raises(UserError) as error:
        read_run(changed(path, old, new))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("measure:", "mesure:", "unknown section 'mesure': did you mean 'measure'"),
        ("embed: {}\n", "", "section `embed` is missing or not a mapping"),
        ("embed: {}\n", "embed: 3\n", "section `embed` is missing or not a mapping"),
        ("embed: {}\n", "embed: {\n", "not valid YAML"),
        ("embed: {}\n", "embed: 2020-99-99\n", "not valid YAML: month must be in 1..12"),
        ("embed: {}\n", "embed: !!bool x\n", "not valid YAML: 'x' is not of the type"),
        pytest.param("embed: {}\n", f"embed: {'9' * 6000}\n", "not valid YAML: Exceeds the limit", id="digits"),
    ],
)
def test_a_wrong_file_says_why(path: Path, old: str, new: str, expected: str):
    with pytest.raises(UserError) as error:
        read_section(changed(path, old, new), "measure", MeasureParams)
    assert expected in str(error.value)


def test_a_missing_file_and_one_without_sections_say_why(tmp_path: Path):
    with pytest.raises(UserError, match="no such file; run from the repository's root"):
        read_run(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("- run\n")
    with pytest.raises(UserError, match=r"must hold the sections run, datasets, .*, found list"):
        read_run(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("source: handwriting", "source: '${oc.env:SECRET}'", r"datasets\.handwriting\.source"),
        ("source: handwriting", r'source: "\x24{oc.env:SECRET}"', r"datasets\.handwriting\.source"),
        ("metrics: [nmi]", "metrics: [nmi, 'a${models}']", r"measure\.metrics"),
        ("prepare: {}", "prepare: {'${x}': 1}", "a key"),
    ],
)
def test_what_dvc_would_replace_is_refused(path: Path, old: str, new: str, name: str):
    """`dvc exp run -S` has OmegaConf fill in `${...}`, and writes the result into params.yaml."""
    with pytest.raises(
        UserError, match=rf"params\.yaml: {name} must not contain \$\{{, found '.*; write the value itself"
    ):
        load(changed(path, old, new))


def test_a_dollar_alone_is_text(path: Path):
    assert (
        load(changed(path, "source: handwriting", "source: 'a$ {b}'"))["datasets"]["handwriting"]["source"] == "a$ {b}"
    )
