"""A file of the hub's cache and its hash, however the cache holds it."""

import hashlib
from contextlib import suppress
from pathlib import Path

import pytest
from huggingface_hub import __version__, hf_hub_download

from stages.shared.networks.hub import LibraryVersionError, _check_hub_file, check_torch_file, verified
from stages.shared.runtime.errors import UserError
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
    _check_hub_file(cached / name)
    (cached / name).resolve().write_bytes(b"hello, World!")
    with pytest.raises(OSError, match=f"{name} differs from its hash and was deleted; run it again"):
        _check_hub_file(cached / name)
    assert not (cached / name).is_symlink()
    assert not [blob for blob in cached.parents[1].glob("blobs/*") if blob.read_bytes() != CONTENT]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_copy_of_a_cache_may_have_files_for_links(cached: Path, name: str) -> None:
    (cached / name).unlink()
    (cached / name).write_bytes(CONTENT)
    _check_hub_file(cached / name)
    (cached / name).write_bytes(b"hello, World!")
    with pytest.raises(OSError, match=rf"{name} has no hash to compare it with: .*delete .*{name} and run it again"):
        _check_hub_file(cached / name)


def test_a_blob_that_many_repositories_share_has_another_name(cached: Path, tmp_path: Path) -> None:
    blob, shared = (cached / "model.safetensors").resolve(), tmp_path / "hub" / "blobs" / "ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    blob.replace(shared)
    blob.symlink_to(shared)
    _check_hub_file(cached / "model.safetensors")
    shared.write_bytes(b"hello, World!")
    with pytest.raises(OSError, match="differs from its hash"):
        _check_hub_file(cached / "model.safetensors")
    assert not any(path.is_symlink() or path.exists() for path in (shared, blob, cached / "model.safetensors"))


def test_a_name_that_is_no_hash_is_refused(cached: Path) -> None:
    file = cached / "model.safetensors"
    blob = file.resolve()
    file.unlink()
    file.symlink_to(blob.rename(blob.with_name("an-etag-of-another-server")))
    with pytest.raises(OSError, match=r"no hash to compare it with: another server .*weights: \{source: file, path"):
        _check_hub_file(file)
    assert file.exists()


def load_first_of_two(hub: Path) -> None:
    """As open_clip does: whatever the first file's trouble is, the second is taken."""
    for name in ("model.safetensors", "config.json"):
        with suppress(OSError):
            hf_hub_download("owner/net", name, cache_dir=hub, local_files_only=True)


def test_a_refusal_that_a_library_hides_is_said(cached: Path) -> None:
    (cached / "model.safetensors").resolve().write_bytes(b"hello, World!")
    refusal = r"^a network cannot be loaded: model\.safetensors differs"
    with pytest.raises(UserError, match=refusal), verified("a network"):
        load_first_of_two(cached.parents[2])


def load(hub: Path, *names: str) -> None:
    for name in names:
        hf_hub_download("owner/net", name, cache_dir=hub, local_files_only=True)


@pytest.mark.parametrize("called_for", [[], ["config.json"]])
def test_a_client_that_gives_weights_by_another_function_is_an_error(cached: Path, called_for: list[str]) -> None:
    remedy = rf"weights did not .*found .*huggingface_hub {__version__}.*: pip install -c constraints\.txt \.$"
    with pytest.raises(LibraryVersionError, match=remedy), verified("a network", ["weights"]):
        load(cached.parents[2], *called_for)  # and the weights, without a call
    with verified("a network", ["weights"]):
        load(cached.parents[2], *called_for, "model.safetensors")
    with pytest.raises(KeyError, match="a library's own"), verified("a network", ["weights"]):
        raise KeyError("a library's own")


def test_a_file_of_torch_s_cache_has_the_head_of_its_hash_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / f"net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
    assert not check_torch_file(path)
    path.write_bytes(CONTENT)
    assert check_torch_file(path)
    path.write_bytes(b"hello, World!")
    with pytest.raises(OSError, match="differs from its hash and was deleted"):
        check_torch_file(path)
    assert not path.exists()
    with pytest.raises(OSError, match=r"IN1K-vit\.h\.14-300e\.pth\.tar has no hash in its name"):
        check_torch_file(tmp_path / "IN1K-vit.h.14-300e.pth.tar")
