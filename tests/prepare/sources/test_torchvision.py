import numpy as np
import pytest

from stages.prepare.packing import prepare_dataset
from stages.prepare.params import TorchvisionParams
from stages.prepare.sources.torchvision import find_dataset, list_torchvision, split_arguments
from stages.shared.images.image_store import open_images
from stages.shared.runtime.errors import UserError


def params(name, **values):
    return TorchvisionParams(source="torchvision", name=name, image_size=16, **values)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WHICHLAYER_CACHE", str(tmp_path / "cache"))


def test_a_dataset_is_packed(tmp_path):
    wanted = params("FakeData", kwargs={"size": 60, "num_classes": 4}, test_fraction=0.3, unseen_classes=["2", "3"])
    prepare_dataset(tmp_path, tmp_path / "out", wanted, 0, "fake")
    images = open_images(tmp_path / "out", "0")
    assert len(images.manifest) == 60
    assert (images.seen, images.unseen) == (("0", "1"), ("2", "3"))
    assert images.manifest["source"].str.startswith("torchvision/FakeData/all/").all()

    from torchvision.datasets import FakeData

    fake = FakeData(size=60, num_classes=4)
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
    assert split_arguments(find_dataset(name), params(name, **values)) == expected


def test_an_unknown_dataset_lists_the_nearest(resources, tmp_path):
    with pytest.raises(UserError, match="no dataset 'Flower102': did you mean 'Flowers102'"):
        list_torchvision(tmp_path, params("Flower102"), 0, resources)


def test_wrong_arguments_are_explained(resources, tmp_path):
    with pytest.raises(UserError, match=r"FakeData: wrong arguments.*it takes image_size, num_classes"):
        list_torchvision(tmp_path, params("FakeData", kwargs={"sise": 3}), 0, resources)
    with pytest.raises(UserError, match="needs `train_kwargs`"):
        list_torchvision(tmp_path, params("FakeData", test_kwargs={"size": 3}), 0, resources)


def test_what_is_no_classification_dataset_is_refused(resources, tmp_path, monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(datasets.FakeData, "__getitem__", lambda self, index: (None, {"boxes": [1, 2]}))
    with pytest.raises(UserError, match=r"must be a classification dataset, found the target {'boxes'"):
        list_torchvision(tmp_path, params("FakeData", kwargs={"size": 3}), 0, resources)


def test_without_a_network_it_says_where_files_go(resources, tmp_path, monkeypatch):
    from torchvision import datasets

    def offline(self):
        raise RuntimeError("Error downloading")

    monkeypatch.setattr(datasets.CIFAR10, "download", offline)
    with pytest.raises(
        UserError, match=r"CIFAR10: cannot be loaded or downloaded .*put its files into .*torchvision/CIFAR10"
    ):
        list_torchvision(tmp_path, params("CIFAR10"), 0, resources)
