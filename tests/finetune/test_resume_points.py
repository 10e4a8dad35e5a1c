import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from stages.finetune import loop
from stages.finetune.history import History
from stages.finetune.loop import FineTuning, ResumePoints, global_generators, set_global_generators, weights_hash
from stages.shared.images.image_store import PackedImages
from stages.shared.workflow.kept_work import KeptWork
from tests.finetune.test_loop import network, training
from tests.packed import pack

LAST = {"steps": [0, 4, 13], "weight_decay": 0.1}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> PackedImages:
    return pack(tmp_path_factory.mktemp("packed") / "d", size=16).in_memory()


class Killed(BaseException):
    pass


class Run:
    """A training run in a folder; `at` kills it before that step."""

    def __init__(self, images: PackedImages, folder: Path, left: Path | None = None, **changes: Any) -> None:
        self.training: FineTuning = training(images, network(), **{**LAST, **changes})
        self.weights, self.said = folder / "weights", list[str]()
        work = KeptWork(folder, {"cell": "a"})
        if left:
            assert work.take_over(left) == ""
        self.points = ResumePoints(work, self.weights, self.said.append)

    def save(self, step: int) -> None:
        self.weights.mkdir(parents=True, exist_ok=True)
        state = {name: t.contiguous() for name, t in self.training.network.module.state_dict().items()}
        save_file(state, self.weights / f"step_{step:06}.safetensors")

    def go(self, monkeypatch: pytest.MonkeyPatch, at: int | None = None) -> History | None:
        loss, steps = FineTuning._loss, self.points.work.progress or {"step": 0}
        number = steps["step"]

        def counted(training: FineTuning, *args: Any) -> torch.Tensor:
            nonlocal number
            number += 1
            if number == at:
                raise Killed
            return loss(training, *args)

        with monkeypatch.context() as patch:
            patch.setattr(FineTuning, "_loss", counted)
            if at is None:
                return self.training.run(self.save, self.points)
            with pytest.raises(Killed):
                self.training.run(self.save, self.points)
        return None

    @property
    def checkpoints(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.weights.iterdir())}


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the run after every step."""
    monkeypatch.setattr(loop, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SHARE_OF_TIME", 1e9)
    return


def same_rows(a: History, b: History) -> None:
    assert repr(a.rows) == repr(b.rows)  # NaN too
    assert a.skipped == b.skipped


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("kills", [(2,), (5,), (6,), (13,), (3, 6, 11), (4, 5, 6, 7)])
def test_a_run_that_was_killed_gives_the_same_bytes(
    images: PackedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: tuple[int, ...]
):
    undisturbed = Run(images, tmp_path / "undisturbed")
    rows = undisturbed.go(monkeypatch)
    left = None
    for number, at in enumerate(kills):
        run = Run(images, tmp_path / str(number), left)
        run.go(monkeypatch, at)
        left = tmp_path / str(number)
    run = Run(images, tmp_path / "last", left)
    history = run.go(monkeypatch)
    assert run.said == [f"goes on after optimizer step {kills[-1] - 1} of 13, where an earlier run was stopped"]
    assert run.checkpoints == undisturbed.checkpoints
    assert weights_hash(run.training.network.module) == weights_hash(undisturbed.training.network.module)
    assert rows is not None
    assert history is not None
    same_rows(history, rows)


def test_the_generator_of_a_cuda_device_is_kept_and_brought_back(monkeypatch: pytest.MonkeyPatch):
    device, states = torch.device("cuda", 1), {torch.device("cuda", 1): torch.arange(16, dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[device])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.update({device: state}))
    kept, drawn = global_generators(device), torch.rand(3)
    states[device] = torch.zeros(16, dtype=torch.uint8)
    set_global_generators(kept, device)
    assert states[device].tolist() == list(range(16))
    assert torch.equal(torch.rand(3), drawn)


def test_at_most_the_steps_since_the_last_checkpoint_are_taken_again(
    images: PackedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    undisturbed = Run(images, tmp_path / "undisturbed", steps=[2, 5, 8])
    undisturbed.go(monkeypatch)
    Run(images, tmp_path / "killed", steps=[2, 5, 8]).go(monkeypatch, at=7)
    run = Run(images, tmp_path / "again", tmp_path / "killed", steps=[2, 5, 8])
    run.go(monkeypatch)
    assert run.said == ["goes on after optimizer step 5 of 8, where an earlier run was stopped"]
    assert run.checkpoints == undisturbed.checkpoints


def test_keeping_a_run_leaves_it_as_it_is(
    images: PackedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_step: None
):
    run = Run(images, tmp_path / "kept")
    rows = run.go(monkeypatch)
    plain = training(images, network(), **LAST)
    history = plain.run(lambda step: None)
    assert weights_hash(run.training.network.module) == weights_hash(plain.network.module)
    assert rows is not None
    same_rows(history, rows)


def test_dear_points_come_rarely(images: PackedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With steps of 1 s and points of 3 s: none before 30 s, then one in 150 s."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    kept: list[float] = []
    points = Run(images, tmp_path).points
    points._last = 0.0

    def keep(*_: Any) -> None:
        kept.append(now[0])
        now[0] += 3

    monkeypatch.setattr(points.work, "keep", keep)
    state = type("State", (), {"write": lambda *_: None})()
    for step in range(1, 520):
        now[0] += 1
        points.after_step(step, state, last=520, checkpoint=step == 200)
    assert [round(b - a) for a, b in zip([0.0, *kept], kept, strict=False)] == [30, 153, 23, 153, 153]


def test_a_network_that_adds_tensors_in_training_starts_anew(
    images: PackedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = Run(images, tmp_path / "killed")
    run.training.network.module.register_buffer("late", torch.zeros(2))
    run.go(monkeypatch, at=6)
    again = Run(images, tmp_path / "again", tmp_path / "killed")
    again.go(monkeypatch)
    assert "adds tensors to itself in training" in again.said[0]
    assert sorted(again.checkpoints) == [f"step_{step:06}.safetensors" for step in (0, 4, 13)]
