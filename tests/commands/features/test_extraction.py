"""Where a network comes from, and runs that are cut short: what is done is kept, and the result is the same."""

import os
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from stages.commands.cli import whichlayer
from stages.commands.features import extraction
from stages.commands.features.writers import write_npz
from stages.shared.runtime.scratch import PARTIAL
from stages.shared.workflow.kept_work import KeptWork
from tests.commands.edited import file as params_file
from tests.commands.features.made import Tiny, write_cut, write_images
from tests.prepare.deep_images import encode, ramp


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut")
    write_images(folder / "images", per_class=12)
    params_file(folder, {"embed.batch_size": 4})
    return write_cut(folder / "cut").parent


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(extraction, "IMAGES_PER_SHARD", 10)


def arguments(cut: Path, out: Path, *options: str) -> list[str]:
    paths = {"--from": cut / "cut", "--out": out, "--params": cut / "params.yaml"}
    return [str(cut / "images"), *(str(each) for pair in paths.items() for each in pair), *options]


def features(cut: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(whichlayer, ["features", *arguments(cut, out, *options)])


@pytest.fixture
def whole(cut: Path, tmp_path: Path) -> bytes:
    assert features(cut, tmp_path / "whole.parquet").exit_code == 0
    return (tmp_path / "whole.parquet").read_bytes()


def test_a_cut_gives_what_its_network_gives(cut: Path, tmp_path: Path, whole: bytes):
    table = pd.read_parquet(tmp_path / "whole.parquet").set_index("path")
    assert len(table) == 60
    path = "cedar/04.jpg"
    image = Image.open(cut / "images" / path)
    image.draft(None, (32, 32))
    pixels = np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.BILINEAR))
    with torch.inference_mode():
        expected = Tiny()(torch.tensor(pixels).permute(2, 0, 1)[None])[0].numpy()
    np.testing.assert_allclose(table.loc[path, "features"], expected, rtol=0, atol=1e-6)
    for option, value in (("--layer", "blocks.1"), ("--step", "0")):
        done = features(cut, tmp_path / "b.parquet", option, value)
        assert f"is cut at {'stem' if option == '--layer' else 50}, not at {value}" in str(done.exception)


def test_16_bits_are_scaled_as_in_the_study_and_larger_values_are_refused(cut: Path, tmp_path: Path):
    raw, out = tmp_path / "raw", tmp_path / "a.parquet"
    raw.mkdir()
    (raw / "a.png").write_bytes(encode(ramp(12), "PNG"))
    words = [str(raw), "--out", str(out), "--params", str(cut / "params.yaml"), "--from"]
    deep = write_cut(tmp_path / "deep", bits=12)
    CliRunner().invoke(whichlayer, ["features", *words, str(deep)])
    pixels = np.stack([np.round(ramp(12) * 255 / 4095)] * 3).astype(np.uint8)
    with torch.inference_mode():
        expected = Tiny()(torch.from_numpy(pixels)[None])[0].numpy()
    np.testing.assert_allclose(pd.read_parquet(out)["features"][0], expected, rtol=0, atol=1e-6)
    out.unlink()
    done = CliRunner().invoke(whichlayer, ["features", *words, str(write_cut(tmp_path / "full", bits=16))])
    assert "use 12 and come out dark, since 65535 is white" in done.stderr
    assert "save them with 8 bits if theirs is 4095" in done.stderr
    (raw / "b.png").write_bytes(encode(ramp(14), "PNG"))
    out.unlink()
    refused = CliRunner().invoke(whichlayer, ["features", *words, str(deep)])
    assert "b.png (its values must be 0 to 4095 (`bits: 12` of the dataset), found 16383)" in str(refused.exception)


def counted(monkeypatch: pytest.MonkeyPatch, *, fail_at: int | None = None) -> list[int]:
    """Count decoded images; fail before one, as a machine may."""
    decode, seen = extraction.decode_many, list[int]()

    def counting(*args, **options) -> Iterator[object]:
        for found in decode(*args, **options):
            if len(seen) == fail_at:
                raise KeyboardInterrupt
            seen.append(len(seen))
            yield found

    monkeypatch.setattr(extraction, "decode_many", counting)
    return seen


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(cut: Path, tmp_path: Path, whole: bytes):
    out = tmp_path / "a.parquet"
    folder = cut_short(cut, out)
    assert not out.exists()
    assert len(list(folder.glob("*.npz"))) == 3  # of 8 images each
    with pytest.MonkeyPatch.context() as patch:
        seen = counted(patch)
        assert features(cut, out, "--workers", "3").exit_code == 0
    assert len(seen) == 60 - 24
    assert out.read_bytes() == whole
    assert not list(tmp_path.glob(".*"))


class Name(str):
    """A path that is counted while it is alive."""

    __hash__ = object.__hash__


class ManyShards:
    """Shards that are read anew in each pass, of 5 images each."""

    def __init__(self) -> None:
        self.held, self.most = weakref.WeakSet[Name](), 0

    def __iter__(self) -> Iterator[Any]:
        for number in range(20):
            paths = [Name(f"{number}/{'x' * number}/{image}.png") for image in range(5)]
            self.held.update(paths)
            self.most = max(self.most, len(self.held))
            values = np.full((5, 3), number, np.float32)
            yield SimpleNamespace(paths=paths, sha256=[f"{number:064}"] * 5, features=values)


def test_an_npz_is_written_a_shard_at_a_time(tmp_path: Path):
    write_npz(tmp_path / "a.npz", shards := ManyShards(), 3, {})
    assert shards.most <= 2 * 5
    with np.load(tmp_path / "a.npz", allow_pickle=False) as saved:
        assert saved["path"].tolist() == [path for shard in shards for path in shard.paths]
        assert saved["sha256"].tolist() == [sha256 for shard in shards for sha256 in shard.sha256]
        np.testing.assert_array_equal(saved["features"], np.repeat(np.arange(20), 5)[:, None].repeat(3, axis=1))


def test_shards_of_many_images_are_larger_as_each_is_recorded_with_all_before(cut: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(extraction, "MAX_SHARDS", 3)
    counts, keep = list[int](), KeptWork.keep
    monkeypatch.setattr(KeptWork, "keep", lambda *args: counts.append(len([*args[2]])) or keep(*args))
    assert features(cut, tmp_path / "a.parquet").exit_code == 0
    assert counts == [1, 2, 3]  # of 60 images in batches of 4


def cut_short(cut: Path, out: Path, *options: str) -> Path:
    """Run until three shards of 8 images are done, in a process that has ended; return the folder that it left."""
    with pytest.MonkeyPatch.context() as patch:
        counted(patch, fail_at=25)
        assert features(cut, out, *options).exit_code == 1
    (folder,) = out.parent.glob(f".{out.name}*")
    return folder.rename(out.with_name(f".{out.name}{PARTIAL}999999999-0"))


def test_an_image_that_has_changed_is_embedded_again_with_its_shard(cut: Path, tmp_path: Path):
    out, changed = tmp_path / "a.parquet", cut / "images" / "ash" / "00.png"
    cut_short(cut, out)
    kept, before = changed.read_bytes(), changed.stat()
    Image.new("RGB", (20, 20), (1, 2, 3)).save(changed)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy that keeps times leaves it
    try:
        with pytest.MonkeyPatch.context() as patch:
            seen = counted(patch)
            assert features(cut, out).exit_code == 0
    finally:
        changed.write_bytes(kept)
    assert len(seen) == 8 + 36
    first = pd.read_parquet(out).set_index("path").loc["ash/00.png", "features"]
    with torch.inference_mode():
        colour = torch.tensor([1, 2, 3], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 16, 16)
        np.testing.assert_allclose(first, Tiny()(colour)[0].numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("what", ["batches", "weights", "decoding"])
def test_shards_of_another_network_or_decoding_are_not_used(cut: Path, tmp_path: Path, what: str):
    copy, out = tmp_path / "copy", tmp_path / "a.parquet"
    shutil.copytree(cut, copy)
    cut_short(copy, out)
    if what == "batches":
        params_file(copy, {"embed.batch_size": 2})
    elif what == "weights":
        shutil.rmtree(copy / "cut")
        write_cut(copy / "cut", seed=1)
    else:
        text = (copy / "cut" / "preprocess.json").read_text()
        (copy / "cut" / "preprocess.json").write_text(text.replace("squash", "crop"))
    with pytest.MonkeyPatch.context() as patch:
        seen = counted(patch)
        done = features(copy, out, "--workers", "3")
    assert done.exit_code == 0
    assert len(seen) == 60
    anew = "3 of 3 parts from an earlier run are made anew, since their images, the network or an option changed"
    assert {"weights": "starts anew: an earlier run's work cannot be used"}.get(what, anew) in done.output


def test_shards_that_lack_an_image_are_not_taken_without_being_asked(cut: Path, tmp_path: Path):
    broken = cut / "images" / "ash" / "bad.png"
    broken.write_bytes(b"\x89PNG")
    try:
        cut_short(cut, tmp_path / "a.parquet", "--skip-unreadable")
        done = features(cut, tmp_path / "a.parquet")
        assert "every file must be an image, found 1 that cannot be read: ash/bad.png" in str(done.exception)
        assert features(cut, tmp_path / "a.parquet", "--skip-unreadable").exit_code == 0
    finally:
        broken.unlink()
    assert len(pd.read_parquet(tmp_path / "a.parquet")) == 60
