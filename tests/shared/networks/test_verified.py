"""A file of the hub's cache and its hash, however the cache holds it."""

import hashlib
from pathlib import Path

import pytest

from stages.shared.networks.hub import check_hub_file, check_torch_file
from tests.hub_cache import downloaded

CONTENT = b"Hello, World!"


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    with downloaded(tmp_path / "hub", "owner/net") as folder:
        (folder / "model.safetensors").write_bytes(CONTENT)
        (folder / "config.json").write_bytes(CONTENT)
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_link_s_blob_is_named_by_its_hash(cached: Path, name: str) -> None:
    check_hub_file(cached / name)
    (cached / name).resolve().write_bytes(b"hello, World!")
    with pytest.raises(OSError, match=f"{name} differs from its hash; delete {(cached / name).resolve()} and retry"):
        check_hub_file(cached / name)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_copy_of_a_cache_may_have_files_for_links(cached: Path, name: str) -> None:
    (cached / name).unlink()
    (cached / name).write_bytes(CONTENT)
    check_hub_file(cached / name)
    (cached / name).write_bytes(b"hello, World!")
    with pytest.raises(OSError, match=rf"{name} has no hash to compare it with: .*delete .*{name} and retry"):
        check_hub_file(cached / name)


def test_a_blob_that_many_repositories_share_has_another_name(cached: Path, tmp_path: Path) -> None:
    blob, shared = (cached / "model.safetensors").resolve(), tmp_path / "hub" / "blobs" / "ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    blob.replace(shared)
    blob.symlink_to(shared)
    check_hub_file(cached / "model.safetensors")
    shared.write_bytes(b"hello, World!")
    with pytest.raises(OSError, match=f"differs from its hash; delete {shared}"):
        check_hub_file(cached / "model.safetensors")


def test_a_name_that_is_no_hash_is_refused(cached: Path) -> None:
    file = cached / "model.safetensors"
    blob = file.resolve()
    file.unlink()
    file.symlink_to(blob.rename(blob.with_name("an-etag-of-another-server")))
    with pytest.raises(OSError, match=r"no hash to compare it with: another server .*weights: \{source: file, path"):
        check_hub_file(file)
    assert file.exists()


def test_a_file_of_torch_s_cache_has_the_head_of_its_hash_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / f"net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
    assert not check_torch_file(path)
    path.write_bytes(CONTENT)
    assert check_torch_file(path)
    path.write_bytes(b"hello, World!")
    with pytest.raises(OSError, match=f"differs from its hash; delete {path}"):
        check_torch_file(path)
    with pytest.raises(OSError, match=r"IN1K-vit\.h\.14-300e\.pth\.tar has no hash in its name"):
        check_torch_file(tmp_path / "IN1K-vit.h.14-300e.pth.tar")
