"""The table of choices, and what is kept in the scratch folder; the stages themselves are stood in for."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.commands.study.ablate import CHOICES, METRICS, NEIGHBOURS, Bench, markdown
from stages.shared.console import UserError

PARAMS = YAML(typ="safe").load(Path(__file__).parents[3] / "params.yaml")
CELL, OTHER = ("handwriting", "efficientnet_lite0", 0), ("handwriting", "efficientnet_lite0", 1)


def rows(values, choice="default", seeds=(0,)):
    return pd.DataFrame(
        [
            {
                "choice": choice,
                "metric": metric,
                "split": split,
                "depth": depth,
                "seed": seed,
                "value": value + seed / 10,
            }
            for metric in METRICS
            for split in ("test", "unseen")
            for depth, value in enumerate(values)
            for seed in seeds
        ]
    )


def test_a_line_per_choice_with_the_best_layer():
    table = markdown(pd.concat([rows([0.1, 0.3, 0.2]), rows([0.5, 0.3, 0.2], "all")]))
    lines = table.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| whichlayer's defaults | 0.300 (1) |")
    assert lines[3] == f"| {CHOICES['all'][0]} |" + " 0.500 (0) |" * 6


def test_the_layer_is_chosen_by_the_mean_over_seeds():
    table = rows([0.1, 0.3], seeds=(0, 1))
    table.loc[(table["depth"] == 0) & (table["seed"] == 1), "value"] = 0.39  # mean 0.245, against 0.35
    assert "| 0.350 ± 0.071 (1) |" in markdown(table)


def test_a_split_that_was_not_embedded_has_no_column():
    table = rows([0.1, 0.3])
    assert "seen" not in markdown(table[table["split"] == "unseen"]).splitlines()[0].replace("unseen", "")


@pytest.mark.parametrize("choice", CHOICES)
def test_choices_change_parameters_that_exist(choice):
    from stages.embed.params import EmbedParams
    from stages.measure.params import MeasureParams

    _, embed, measure = CHOICES[choice]
    assert set(embed) <= set(EmbedParams.model_fields)
    assert set(measure) <= set(MeasureParams.model_fields)


class Stages:
    """Stands in for the stages: notes what each is given and leaves its folder.

    Attributes:
        ran: per run: stage, seed, weights (names of the checkpoints), embed, measure (the sections it read).
        interrupt: called when a stage has begun, with its name and seed; what it raises interrupts the stage.
        fails: the stage that ends with an error.
    """

    def __init__(self) -> None:
        self.ran: list[dict[str, Any]] = []
        self.interrupt: Callable[[str, str], None] = lambda stage, seed: None
        self.fails = ""

    def run(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        stage = command[2].removeprefix("stages.")
        options = dict(zip(command[3::2], command[4::2], strict=True))
        Path(options["--out"]).mkdir(parents=True)
        self.interrupt(stage, options["--seed"])
        params = YAML(typ="safe").load(Path(options["--params"]))
        weights = sorted(path.name for path in Path(options.get("--weights", "none")).glob("*"))
        row = {"stage": stage, "seed": options["--seed"], "weights": weights}
        self.ran.append(row | {name: params[name] for name in ("embed", "measure")})
        (Path(options["--out"]) / "number").write_text(str(len(self.ran)))
        return subprocess.CompletedProcess(command, 2 if stage == self.fails else 0)

    def names(self) -> list[str]:
        """Stages that ran since the last call."""
        names, self.ran = [row["stage"] for row in self.ran], []
        return names


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    stages = Stages()
    monkeypatch.setattr(subprocess, "run", stages.run)
    monkeypatch.setattr("stages.commands.study.ablate.open_embeddings", lambda store: SimpleNamespace(layers=store))
    return stages


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    for cell in (CELL, OTHER):
        save(tmp_path / "checkpoints", 0, cell)
        save(tmp_path / "checkpoints", 100, cell)
    return tmp_path / "checkpoints"


def save(checkpoints: Path, step: int, cell: tuple[str, str, int] = CELL, seconds: int = 0) -> None:
    path = checkpoints.joinpath(*map(str, cell), "weights", f"step_{step:06d}.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    os.utime(path, (seconds, seconds))


def bench(checkpoints: Path, **changed: dict[str, Any]) -> Bench:
    params = PARAMS | {section: PARAMS[section] | values for section, values in changed.items()}
    return Bench(Path("prepared"), checkpoints, checkpoints.parent / "scratch", params)


def test_every_choice_is_measured_once_and_what_they_share_embedded_once(stages: Stages, checkpoints: Path):
    found = [bench(checkpoints).measures(CELL, choice) for choice in CHOICES]
    assert len(set(found)) == len(CHOICES)
    assert stages.names().count("embed") == 4  # default, augment, token0, all
    assert [bench(checkpoints).measures(CELL, choice) for choice in CHOICES] == found
    assert stages.names() == []


def test_a_cell_embedded_beside_another_leaves_its_parameters_alone(stages: Stages, checkpoints: Path):
    def embed_another(stage: str, seed: str) -> None:
        if (stage, seed) == ("measure", "0"):
            with pytest.raises(KeyboardInterrupt):
                bench(checkpoints).measures(OTHER, "all")
        if (stage, seed) == ("embed", "1"):
            raise KeyboardInterrupt

    stages.interrupt = embed_another
    bench(checkpoints).measures(CELL, "all")
    assert stages.ran[-1]["measure"]["knn_k"] == NEIGHBOURS["knn_k"]


def test_a_stage_that_failed_is_named_and_done_again(stages: Stages, checkpoints: Path):
    stages.fails = "measure"
    with pytest.raises(UserError, match=r"measure of handwriting-efficientnet_lite0-0: ended with an error"):
        bench(checkpoints).measures(CELL, "default")
    stages.fails = ""
    stages.names()
    bench(checkpoints).measures(CELL, "default")
    assert stages.names() == ["measure"]


@pytest.mark.parametrize("killed", ["embed", "measure"])
def test_what_was_killed_is_done_again(stages: Stages, checkpoints: Path, killed: str):
    def kill(stage: str, _: str) -> None:
        if stage == killed:
            raise KeyboardInterrupt

    stages.interrupt = kill
    with pytest.raises(KeyboardInterrupt):
        bench(checkpoints).measures(CELL, "default")
    stages.names()
    stages.interrupt = lambda stage, seed: None
    bench(checkpoints).measures(CELL, "default")
    assert stages.names() == (["embed", "measure"] if killed == "embed" else ["measure"])


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ({"embed": {"dtype": "float16"}}, ["embed", "measure"]),
        ({"models": {"efficientnet_lite0": {"taps": {"layers": ["blocks.3"]}}}}, ["embed", "measure"]),
        ({"measure": {"kmeans": {"starts": 2, "seed": 0}}}, ["measure"]),
        ({"aggregate": {"resamples": 10}, "run": {"seeds": [0, 1]}}, []),
    ],
)
def test_what_other_parameters_made_is_done_again(stages: Stages, checkpoints: Path, changed, again):
    before = bench(checkpoints).measures(CELL, "default")
    stages.names()
    assert (bench(checkpoints, **changed).measures(CELL, "default") == before) == (not again)
    assert stages.names() == again


def test_another_last_checkpoint_is_embedded_alone(stages: Stages, checkpoints: Path):
    bench(checkpoints).measures(CELL, "default")
    assert stages.ran[0]["weights"] == ["step_000100.safetensors"]
    stages.names()
    save(checkpoints, 100, seconds=60)
    bench(checkpoints).measures(CELL, "default")
    assert stages.names() == ["embed", "measure"]
    save(checkpoints, 200)
    bench(checkpoints).measures(CELL, "default")
    assert stages.ran[0]["weights"] == ["step_000200.safetensors"]


def test_only_the_main_pooling_is_embedded(stages: Stages, checkpoints: Path):
    bench(checkpoints, embed={"pooling": ["max", "mean"]}).measures(CELL, "default")
    assert stages.ran[0]["embed"]["pooling"] == ["max"]
