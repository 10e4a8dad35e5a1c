import hashlib
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from stages.prepare.params import Cifar100Params
from stages.prepare.sources.cifar100 import list_cifar100
from stages.shared.runtime.errors import UserError
from tests.faults.archives import write_tar
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
    pickles = {f"cifar-100-python/{name}": pickle.dumps(content) for name, content in files.items()}
    return write_tar(tmp_path / "authors.tar.gz", pickles)


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


@pytest.fixture
def put_archive(raw):
    """Put an archive of these pickles into the raw folder, with the `source.json` that its checksum is held to."""

    def put(files):
        archive = write_tar(raw / "cifar-100-python.tar.gz", {f"cifar-100-python/{n}": c for n, c in files.items()})
        source = json.loads((raw / "source.json").read_text())
        source["sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
        (raw / "source.json").write_text(json.dumps(source))

    return put


def test_an_object_in_the_archive_is_not_loaded_though_its_checksum_is_right(raw, put_archive, tmp_path, resources):
    data = pickle.dumps({"fine_label_names": Evil(tmp_path / "executed")})
    put_archive({"meta": data})
    with pytest.raises(UserError, match=r"found Python's \S+: objects are not loaded"):
        list_cifar100(raw, PARAMS, 0, resources)
    assert not (tmp_path / "executed").exists()
    pickle.loads(data)
    assert (tmp_path / "executed").exists()


META = {"fine_label_names": ["apple", "bed"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meta": None}, "must hold cifar-100-python/meta"),
        ({"meta": [1]}, "meta: must hold a dict"),
        ({"meta": {}}, "`fine_label_names` must be a list of texts"),
        ({"meta": {"fine_label_names": [1]}}, "`fine_label_names` must be a list of texts"),
        ({"train": None}, "must hold cifar-100-python/train"),
        ({"train": batch([0], [2])}, "train: `fine_labels` must be 1 numbers below 2"),
        ({"train": batch([0], [-1])}, "train: `fine_labels` must be 1 numbers below 2"),
        ({"train": batch([0], ["0"])}, "train: `fine_labels` must be 1 numbers below 2"),
        ({"train": batch([0], [0, 1])}, "train: `fine_labels` must be 1 numbers below 2"),
        ({"train": batch([0], [0]) | {"filenames": []}}, "train: `data` must be 0 rows of 3072 bytes"),
        ({"train": batch([0], [0]) | {"data": np.zeros((1, 3071), np.uint8)}}, "`data` must be 1 rows of 3072 bytes"),
        ({"train": batch([0], [0]) | {"data": [0]}}, "`data` must be 1 rows of 3072 bytes"),
        ({"train": batch([0], [0]) | {"data": np.zeros((1, 3072))}}, "must hold lists and an array of bytes alone"),
    ],
)
def test_an_archive_of_other_content_is_one_sentence(raw, put_archive, resources, changes, message):
    files = {"meta": META, "train": batch([0], [0]), "test": batch([1], [1])} | changes
    put_archive({name: pickle.dumps(content) for name, content in files.items() if content is not None})
    with pytest.raises(UserError, match=rf"python\.tar\.gz: .*{message}.*take the authors' archive"):
        list_cifar100(raw, PARAMS, 0, resources)


def test_the_memo_takes_no_more_memory_than_the_pickle_has(raw, put_archive, resources):
    put_archive({"meta": b"\x80\x02Nr\xff\xff\xff\x09."})  # Python's unpickler in C takes 1.2 GB for its memo
    tracemalloc.start()
    with pytest.raises(UserError, match="meta: must hold a dict"):
        list_cifar100(raw, PARAMS, 0, resources)
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 20, 400])
def test_a_cut_archive_is_one_sentence(raw, put_archive, archive, resources, size):
    put_archive({"meta": pickle.dumps(META)})
    cut = archive.read_bytes()[:size]
    (raw / "cifar-100-python.tar.gz").write_bytes(cut)
    source = json.loads((raw / "source.json").read_text())
    (raw / "source.json").write_text(json.dumps(source | {"sha256": hashlib.sha256(cut).hexdigest()}))
    with pytest.raises(UserError, match=r"python\.tar\.gz: the archive cannot be read"):
        list_cifar100(raw, PARAMS, 0, resources)
