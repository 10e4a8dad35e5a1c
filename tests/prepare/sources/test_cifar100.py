import hashlib
import io
import json
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from stages.prepare.params import Cifar100Params
from stages.prepare.sources.cifar100 import list_cifar100
from stages.shared.runtime.errors import UserError
from tests.faults.pickles import Evil

PARAMS = Cifar100Params(source="cifar100", image_size=32)
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


def batch(rows, labels):
    """As the authors store it: rows of 1024 red, 1024 green, 1024 blue values."""
    data = PIXELS[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)
    return {"data": data, "fine_labels": labels, "filenames": [f"x_s_{r:06d}.png" for r in rows]}


@pytest.fixture
def archive(tmp_path):
    files = {
        "meta": {"fine_label_names": ["apple", "bed"]},
        "train": batch([0, 1, 2], [0, 1, 0]),
        "test": batch([3], [1]),
    }
    with tarfile.open(tmp_path / "authors.tar.gz", "w:gz") as tar:
        for name, content in files.items():
            data = pickle.dumps(content)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return tmp_path / "authors.tar.gz"


@pytest.fixture
def raw(tmp_path, archive, monkeypatch):
    monkeypatch.setenv("WHICHLAYER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cifar100"
    folder.mkdir()
    content = archive.read_bytes()
    source = {"about": "", "license": "", "url": "https://127.0.0.1:9/x", "size": len(content)}
    source["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "source.json").write_text(json.dumps(source))
    return folder


EXPECTED = {
    "train/apple/x_s_000000.png": 0,
    "train/bed/x_s_000001.png": 1,
    "train/apple/x_s_000002.png": 2,
    "test/bed/x_s_000003.png": 3,
}


@pytest.mark.parametrize("place", ["cache/cifar-100-python.tar.gz", "cifar100/cifar-100-python.tar.gz"])
def test_reads_the_authors_archive_from_the_cache_or_the_raw_folder(raw, archive, tmp_path, resources, place):
    (tmp_path / "cache").mkdir()
    archive.rename(tmp_path / place)
    candidates = list_cifar100(raw, PARAMS, 0, resources).candidates
    assert [c.sample_id for c in candidates] == list(EXPECTED)
    for candidate, row in zip(candidates, EXPECTED.values(), strict=True):
        assert np.array_equal(np.asarray(candidate.content()), PIXELS[row])
        assert f"{candidate.split}/{candidate.label}/" in candidate.sample_id


def test_a_folder_of_images_gives_the_same_ids(raw, resources):
    for path, row in EXPECTED.items():
        (raw / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[row]).save(raw / path)
    candidates = list_cifar100(raw, PARAMS, 0, resources).candidates
    assert [c.sample_id for c in candidates] == sorted(EXPECTED)


def test_another_archive_is_never_unpickled(raw, archive, resources):
    (raw / "cifar-100-python.tar.gz").write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"cifar-100-python.tar.gz: must have the SHA-256"):
        list_cifar100(raw, PARAMS, 0, resources)


def test_without_a_network_it_says_where_to_put_the_file(raw, resources, monkeypatch):
    monkeypatch.setattr("stages.prepare.download.time.sleep", lambda seconds: None)
    with pytest.raises(UserError, match=r"without a network: download .* put it at .*cifar100/cifar-100-python.tar.gz"):
        list_cifar100(raw, PARAMS, 0, resources)


@pytest.mark.parametrize(
    "changes", [{"url": "file:///etc/passwd"}, {"sha256": "A" * 64}, {"size": 0}, {"size": 2_000_000_000}]
)
def test_a_source_file_from_someone_else_is_checked_before_a_download(raw, resources, tmp_path, changes):
    content = json.loads((raw / "source.json").read_text())
    (raw / "source.json").write_text(json.dumps(content | changes))
    with pytest.raises(UserError, match=rf"source\.json: {next(iter(changes))}: "):
        list_cifar100(raw, PARAMS, 0, resources)
    assert not (tmp_path / "cache").exists()


def test_an_object_in_the_archive_is_not_loaded_though_its_checksum_is_right(raw, tmp_path, resources):
    data = pickle.dumps({"fine_label_names": Evil(tmp_path / "executed")})
    with tarfile.open(raw / "cifar-100-python.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("cifar-100-python/meta")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    source = json.loads((raw / "source.json").read_text())
    source["sha256"] = hashlib.sha256((raw / "cifar-100-python.tar.gz").read_bytes()).hexdigest()
    (raw / "source.json").write_text(json.dumps(source))
    with pytest.raises(UserError, match=r"found Python's \S+: objects are not loaded"):
        list_cifar100(raw, PARAMS, 0, resources)
    assert not (tmp_path / "executed").exists()
    pickle.loads(data)
    assert (tmp_path / "executed").exists()
