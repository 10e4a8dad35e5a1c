import os
from pathlib import Path

import pytest
import torch
from torch import nn

from stages.commands.cut.export import load_program
from stages.shared.networks.hub import FORBID, FORCE, hub_access, weights_only, without_advice
from tests.faults.pickles import Evil


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    torch.save({"weight": Evil(tmp_path / "executed")}, tmp_path / "evil.pth")
    return tmp_path / "evil.pth"


def test_the_file_would_run_code(evil: Path):
    torch.load(evil, weights_only=False)
    assert evil.with_name("executed").exists()


@pytest.mark.parametrize("environment", [{}, {FORBID: "1"}, {FORCE: "0", FORBID: "1"}])
def test_a_library_that_asks_for_objects_gets_none(
    evil: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with weights_only(), pytest.raises(Exception, match="Weights only load failed"):
        torch.load(evil, weights_only=False)
    assert not evil.with_name("executed").exists()
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "The repository evil/x contains custom code. Please pass the argument `trust_remote_code=True` to run it.",
            "The repository evil/x contains custom code.",
        ),
        ("weights_only=True blocked loading.\nIf this checkpoint is trusted, retry with weights_only=False.", ""),
        ("Input height (30) doesn't match model (224).", "Input height (30) doesn't match model (224)."),
        (
            "404 Client Error.\n\nEntry Not Found for url: https://x/y.",
            "404 Client Error. Entry Not Found for url: https://x/y.",
        ),
    ],
)
def test_no_advice_to_run_code_is_passed_on(said: str, kept: str):
    assert without_advice(ValueError(said)) == (
        kept or "it would run code that is neither this project's nor the library's"
    )


def test_an_error_without_words_says_nothing_of_code():
    assert without_advice(EOFError()) == ""


def test_what_is_downloaded_is_loaded_so(evil: Path):
    with hub_access("a network"), pytest.raises(Exception, match="Weights only load failed"):
        torch.load(evil, weights_only=False)
    assert not evil.with_name("executed").exists()


def test_a_program_with_objects_is_not_loaded(evil: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """torch loads the parts of a program that are pickled without asking for tensors alone."""
    program = torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "model.pt2")
    assert isinstance(load_program(tmp_path / "model.pt2"), nn.Module)
    monkeypatch.setattr("torch.export.load", lambda path: torch.load(evil, weights_only=False))
    with pytest.raises(Exception, match="Weights only load failed"):
        load_program(tmp_path / "model.pt2")
    assert not evil.with_name("executed").exists()
