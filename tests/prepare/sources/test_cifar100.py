import hashlib
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from stages.prepare.params import Cifar100Params
from stages.prepare.sources import cifar100
from stages.prepare.sources.cifar100 import list_cifar100
from stages.shared.runtime.errors import UserError
from tests.faults.archives import write_tar
from tests.faults.pickles import Evil

PARAMS = Cifar100Params(source="cifar100", image_size=32)
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
EXPECTED = {
    "train/apple/x_s_000000.png": 0,
    "train/bed/x_s_000001.png": 1,
    "train/apple/x_s_000002.png": 2,
    "test/bed/x_s_000003.png": 3,
}


def batch(rows, labels):
    """As the authors store it: rows of 1024 red, 1024 green, 1024 blue values."""
    data = PIXELS[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)
    return {"data": data, "fine_labels": labels, "filenames": [f"x_s_{r:06d}.png" for r in rows]}


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive in the place of the authors', whose hash stands in the code."""
    files = {
        "meta": {"fine_label_names": ["apple", "bed"]},
        "train": batch([0, 1, 2], [0, 1, 0]),
        "test": batch([3], [1]),
    }
    pickles = {f"cifar-100-python/{name}": pickle.dumps(content, protocol=2) for name, content in files.items()}
    path = write_tar(tmp_path / "authors.tar.gz", pickles)
    monkeypatch.setattr(cifar100, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.setenv("WHICHLAYER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cifar100, "URL", "https://127.0.0.1:9/x")
    (tmp_path / "cifar100").mkdir()
    (tmp_path / "cifar100" / "source.json").write_text("{}")
    return tmp_path / "cifar100"


@pytest.mark.parametrize("place", ["cache/cifar-100-python.tar.gz", "cifar100/cifar-100-python.tar.gz"])
def test_reads_the_authors_archive_from_the_cache_or_the_raw_folder(raw, archive, tmp_path, resources, place):
    (tmp_path / "cache").mkdir()
    archive.rename(tmp_path / place)
    candidates = list_cifar100(raw, PARAMS, 0, resources).candidates
    assert [c.sample_id for c in candidates] == list(EXPECTED)
    for candidate, row in zip(candidates, EXPECTED.values(), strict=True):
        assert np.array_equal(np.asarray(candidate.content()), PIXELS[row])
        assert f"{candidate.split}/{candidate.label}/" in candidate.sample_id


ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    b"(I1\n(I1\nI256\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nT\0\1\0\0%btb"
)
"""How Python 2 pickles an array of 256 bytes."""


def test_a_pickle_of_python_2_is_read(tmp_path):
    """Its texts are bytes."""
    content = b"(dS'fine_label_names'\n(lS'apple'\nasS'data'\n" + ARRAY % bytes(range(256)) + b"s."
    path = write_tar(tmp_path / "x.tar.gz", {"cifar-100-python/meta": content})
    with tarfile.open(path) as files:
        found = cifar100._unpickle(files, "meta")
    assert found["fine_label_names"] == ["apple"]
    assert np.array_equal(found["data"], [range(256)])


def test_a_folder_of_images_gives_the_same_ids(raw, resources):
    for path, row in EXPECTED.items():
        (raw / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[row]).save(raw / path)
    candidates = list_cifar100(raw, PARAMS, 0, resources).candidates
    assert [c.sample_id for c in candidates] == sorted(EXPECTED)


@pytest.mark.parametrize("place", ["cache/cifar-100-python.tar.gz", "cifar100/cifar-100-python.tar.gz"])
def test_another_archive_is_never_unpickled(raw, tmp_path, resources, place):
    data = pickle.dumps({"fine_label_names": Evil(tmp_path / "executed")})
    (tmp_path / "cache").mkdir()
    write_tar(tmp_path / place, {"cifar-100-python/meta": data})
    with pytest.raises(UserError, match=r"cifar-100-python.tar.gz: must have the SHA-256 85cd44d0"):
        list_cifar100(raw, PARAMS, 0, resources)
    assert not (tmp_path / "executed").exists()
    pickle.loads(data)
    assert (tmp_path / "executed").exists()


def test_without_a_network_it_says_where_to_put_the_file(raw, resources, monkeypatch):
    monkeypatch.setattr("stages.prepare.download.time.sleep", lambda seconds: None)
    with pytest.raises(UserError, match=r"without a network: download .* put it at .*cifar100/cifar-100-python.tar.gz"):
        list_cifar100(raw, PARAMS, 0, resources)
