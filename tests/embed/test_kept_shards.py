from collections.abc import Iterable
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from stages.embed import cell, embedder
from stages.embed.cell import KeptShards
from stages.embed.loading import checked_checkpoints
from stages.embed.params import EmbedParams, TapsParams
from stages.shared.core.kept_work import KeptWork
from stages.shared.embeddings import embedding_store
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.images.image_store import PackedImages
from stages.shared.networks.network import Network
from stages.shared.networks.transforms import Transform
from stages.shared.networks.weights import CheckpointInfo, finish_checkpoints, write_checkpoint
from stages.shared.runtime.console import Stopwatch
from tests.embed.test_cell import AUGMENT, LAST, MEAN, NETWORK, SEED, SIZE, STD, TAPS, VALUES, Tiny, tiny
from tests.packed import SEEN, pack

STEPS, SHARD = [5, 10], 8  # which sort otherwise as texts


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> PackedImages:
    return pack(tmp_path_factory.mktemp("packed") / "d", size=20)  # 12 test and 10 unseen images: 3 shards a step


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_store, "SAMPLES_PER_CHUNK", 4)
    monkeypatch.setattr(embedding_store, "SAMPLES_PER_SHARD", SHARD)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    for step in STEPS:
        info = CheckpointInfo(step, SEEN, NETWORK.model_dump(), AUGMENT)
        write_checkpoint(tmp_path / "weights", tiny(step).state_dict(), info)
    finish_checkpoints(tmp_path / "weights", ("trees", "tiny", "0", SEED))
    return tmp_path / "weights"


class Killed(BaseException):
    pass


class Run:
    """Embeds a cell in a folder; `at` kills it before that batch of this run."""

    def __init__(self, images: PackedImages, weights: Path, folder: Path, left: Path | None = None) -> None:
        self.images, self.weights, self.folder = images, weights, folder
        self.work, self.said = KeptWork(folder, {"cell": "a"}), list[str]()
        if left:
            assert self.work.take_over(left) == ""

    def go(self, monkeypatch: pytest.MonkeyPatch, at: int | None = None, **changes: Any) -> int:
        """Return how many images passed through the network."""
        network = Network(tiny(99).eval(), ("head",), Transform(SIZE, MEAN, STD, True))
        module = network.module
        forward, batches = Tiny.forward, iter(range(1, 1000))

        def counted(self: Tiny, x: torch.Tensor) -> torch.Tensor:
            if next(batches) == at:
                raise Killed
            return forward(self, x)

        with monkeypatch.context() as patch:
            patch.setattr(embedder, "build_network", lambda *_, **__: network)
            patch.setattr(embedder, "find_taps", lambda *_: TAPS)
            patch.setattr(Tiny, "forward", counted)
            params = EmbedParams.model_validate({**VALUES, **LAST, **changes})
            checkpoints = checked_checkpoints(self.weights, self.images)
            work = cell.open_cell(self.images, checkpoints, TapsParams(), params, seed=SEED)
            names = {"dataset": "trees", "model": "tiny", "fold": "0", "seed": SEED}
            kept = KeptShards(self.work, self.said.append)
            if at is None:
                work.write(self.folder / "out", names, kept)
            else:
                with pytest.raises(Killed):
                    work.write(self.folder / "out", names, kept)
        assert isinstance(module, Tiny)
        return module.images

    @property
    def files(self) -> dict[str, bytes]:
        found = sorted((self.folder / "out").rglob("*"))
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in found if p.is_file()}


TOTAL = 2 * 22 + 15 + 4 * 9


def passing(batch_size: int) -> int:
    """Images that pass through the network, of the sets of images batch by batch, the last of each filled up."""
    passes = [22, 22, 15, *[9] * 4]
    return sum(ceil(count / batch_size) * batch_size for count in passes)


@pytest.mark.parametrize(("batch_size", "moments"), [(3, (17, 32)), (5, range(1, 22, 2)), (8, (2, 9)), (30, (2, 3, 7))])
def test_a_run_that_was_killed_at_any_batch_gives_the_same_bytes(
    images: PackedImages,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch_size: int,
    moments: Iterable[int],
):
    undisturbed = Run(images, weights, tmp_path / "undisturbed")
    assert undisturbed.go(monkeypatch, batch_size=batch_size) == passing(batch_size)
    assert undisturbed.said == []
    for at in moments:
        killed = Run(images, weights, tmp_path / f"{at}")
        before = killed.go(monkeypatch, at, batch_size=batch_size)
        left = tmp_path / f"{at}" if killed.work.progress else None
        again = Run(images, weights, tmp_path / f"{at} again", left)
        after = again.go(monkeypatch, batch_size=batch_size)
        assert again.files == undisturbed.files, at
        assert before + after - passing(batch_size) <= SHARD - 1 + 2 * batch_size, at
        assert len(again.said) == (left is not None), at
    open_embeddings(undisturbed.folder / "out")


def test_a_run_that_is_killed_again_and_again_ends(
    images: PackedImages, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    undisturbed = Run(images, weights, tmp_path / "undisturbed")
    undisturbed.go(monkeypatch, augment=True)
    left, number, said = None, 0, []
    while True:
        number += 1
        run = Run(images, weights, tmp_path / str(number), left)
        try:
            run.go(monkeypatch, 5, augment=True)  # a blank image and three batches of 5: more than a shard
        except pytest.fail.Exception:
            break
        left = tmp_path / str(number)
        said += run.said
    assert run.files == undisturbed.files
    assert said[:3] == [
        f"goes on after {done} of {TOTAL} embeddings, where an earlier run was stopped" for done in (8, 16, 22)
    ]


def test_a_lost_shard_is_not_gone_on_from(
    images: PackedImages, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    killed = Run(images, weights, tmp_path / "killed")
    killed.go(monkeypatch, 6)
    shard = next((tmp_path / "killed").rglob("stages.0/c/0/1/0"))
    shard.unlink()
    assert KeptWork(tmp_path / "new", {"cell": "a"}).take_over(tmp_path / "killed") == f"{shard} is damaged"


def test_what_one_process_embeds_is_kept_and_what_several_do_is_not(monkeypatch: pytest.MonkeyPatch):
    work, run, watch = object(), object(), Stopwatch("embed", "a", None)
    monkeypatch.setattr(cell, "claim_work", lambda run, facts, say: work)
    assert KeptShards.claim(run, watch, Accelerator(cpu=True)).work is work  # type: ignore[arg-type]
    assert KeptShards.claim(run, watch, SimpleNamespace(num_processes=2)).work is None  # type: ignore[arg-type]


def test_a_batch_that_finishes_no_shard_keeps_nothing(tmp_path: Path):
    writer = SimpleNamespace(steps=STEPS, written=dict.fromkeys(STEPS, 0), shards=[])
    KeptShards(KeptWork(tmp_path, {})).after_batch("embed", writer)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
