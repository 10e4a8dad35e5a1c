from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from stages.prepare.packing import prepare_dataset
from stages.prepare.params import TORCHVISION_DATASETS, TorchvisionParams, parse_dataset
from stages.prepare.sources.torchvision import accepted_arguments, list_torchvision, split_arguments
from stages.shared.images.image_store import open_images
from stages.shared.runtime.errors import UserError

ROOT = Path(__file__).parents[3]


def params(name, **values):
    return TorchvisionParams(source="torchvision", name=name, image_size=16, **values)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WHICHLAYER_CACHE", str(tmp_path / "cache"))


def test_a_dataset_is_packed(tmp_path):
    wanted = params("FakeData", kwargs={"size": 60, "num_classes": 4}, test_fraction=0.3, unseen_classes=["2", "3"])
    prepare_dataset(tmp_path, tmp_path / "out", wanted, 0, "fake", 10**6)
    images = open_images(tmp_path / "out", "0")
    assert len(images.manifest) == 60
    assert (images.seen, images.unseen) == (("0", "1"), ("2", "3"))
    assert images.manifest["source"].str.startswith("torchvision/FakeData/all/").all()

    fake = datasets.FakeData(size=60, num_classes=4)
    number = int(images.manifest["sample_id"][0].split("/")[1])
    expected = np.asarray(fake[number][0].resize((16, 16), 2))
    assert np.array_equal(images.read(np.arange(1))[0], expected)
    assert images.manifest["label"][0] == str(fake[number][1])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("CIFAR10", {}, {"train": {"train": True}, "test": {"train": False}}),
        ("Flowers102", {}, {"train": {"split": "train"}, "test": {"split": "test"}}),
        ("EMNIST", {"kwargs": {"split": "letters"}}, {"train": {"train": True}, "test": {"train": False}}),
        ("EuroSAT", {}, {"all": {}}),
        ("Omniglot", {"train_kwargs": {"background": False}}, {"all": {"background": False}}),
        (
            "OxfordIIITPet",
            {"train_kwargs": {"split": "trainval"}, "test_kwargs": {"split": "test"}},
            {"train": {"split": "trainval"}, "test": {"split": "test"}},
        ),
    ],
)
def test_splits_are_found_or_given(name, values, expected):
    assert split_arguments(params(name, **values)) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "Flower102"}, "`name`: must be .*, found 'Flower102': did you mean 'Flowers102'.*source: folder"),
        ({"name": "Flickr30k", "kwargs": {"ann_file": "/etc/passwd"}}, "`name`: .*'Flickr30k'"),
        ({"name": "PhotoTour", "kwargs": {"name": "x"}}, "`name`: .*'PhotoTour'"),
        ({"name": "LSUN"}, "`name`: .*'LSUN'"),
        ({"name": "VisionDataset"}, "`name`: .*'VisionDataset'"),
        ({"name": "__doc__"}, "`name`: .*'__doc__'"),
        (
            {"kwargs": {"transform": "x"}},
            "`kwargs`: FakeData takes size, num_classes, .*, found 'transform'",
        ),
        ({"kwargs": {"sise": 3}}, "`kwargs`: FakeData takes size, .*, found 'sise'"),
        ({"name": "CIFAR10", "train_kwargs": {"root": "x"}}, "`train_kwargs`: CIFAR10 takes train, found 'root'"),
        ({"name": "Food101", "train_kwargs": {}, "test_kwargs": {"loader": "x"}}, "`test_kwargs`: Food101 takes split"),
        ({"name": "INaturalist", "kwargs": {"version": "../x"}}, "`kwargs`: version must be a word, found '../x'"),
        ({"name": "SUN397", "kwargs": {"split": "x"}}, "`kwargs`: SUN397 takes none"),
        ({"name": "EMNIST"}, "`kwargs`: EMNIST must have a split, found none; give"),
        ({"test_kwargs": {"size": 3}}, "`test_kwargs` needs `train_kwargs`"),
    ],
)
def test_what_torchvision_is_asked_for_is_checked_before_it_is_imported(values, message):
    entry = {"source": "torchvision", "name": "FakeData", "image_size": 16, **values}
    with pytest.raises(UserError, match=rf"datasets\.mine: .*{message}"):
        parse_dataset(entry, "mine")


def test_torchvision_has_what_may_be_used():
    for name, arguments in TORCHVISION_DATASETS.items():
        accepted = accepted_arguments(getattr(datasets, name))
        assert {"root", *arguments} - {"root" if name == "FakeData" else ""} <= accepted, name
        assert not {*arguments} & {"root", "download", "transform", "target_transform", "transforms", "loader"}, name


def test_the_page_names_what_may_be_used():
    page = (ROOT / "docs" / "datasets.md").read_text().partition("## `torchvision`")[2].partition("\n## ")[0]
    for name in TORCHVISION_DATASETS:
        assert f"`{name}`" in page, name


def test_values_that_torchvision_refuses_are_one_sentence(resources, tmp_path):
    with pytest.raises(UserError, match=r"Flowers102: cannot be .* \{'split': 'no'\}.*it accepts split"):
        list_torchvision(tmp_path, params("Flowers102", kwargs={"split": "no"}), 0, resources)


def test_what_is_no_classification_dataset_is_refused(resources, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.FakeData, "__getitem__", lambda self, index: (None, {"boxes": [1, 2]}))
    with pytest.raises(UserError, match=r"must be a classification dataset that can be read"):
        list_torchvision(tmp_path, params("FakeData", kwargs={"size": 3}), 0, resources)


def test_without_a_network_it_says_where_files_go(resources, tmp_path, monkeypatch):
    def offline(self):
        raise RuntimeError("Error downloading")

    monkeypatch.setattr(datasets.CIFAR10, "download", offline)
    with pytest.raises(
        UserError, match=r"CIFAR10: cannot be loaded, downloaded .*put its files into .*torchvision/CIFAR10"
    ):
        list_torchvision(tmp_path, params("CIFAR10"), 0, resources)
