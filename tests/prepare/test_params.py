import pytest

from stages.prepare.params import (
    CIFAR100_SEEN,
    DATASET_PARAMS,
    CalligraphyParams,
    Cifar100Params,
    FolderParams,
    HandwritingParams,
    read_dataset,
)
from stages.prepare.sources import SOURCES
from stages.shared.runtime.errors import UserError


def test_every_source_has_parameters():
    assert set(SOURCES) == set(DATASET_PARAMS)
    for name, model in DATASET_PARAMS.items():
        assert model.model_json_schema()["properties"]["source"]["const"] == name


def test_reads_the_entry_of_its_source(write_params):
    path = write_params(
        "{source: handwriting, image_size: 64, train: 3, test: 2, unseen: 2, unseen_count: 5, unseen_seed: 1}"
    )
    params = read_dataset(path, "mine")
    assert isinstance(params, HandwritingParams)
    assert (params.unseen_classes, params.unseen_count, params.unseen_seed) == (None, 5, 1)
    assert (params.fit, params.fill, params.on_bad_image, params.on_duplicate) == ("crop", 255, "error", "error")


def test_the_papers_classes_are_defaults():
    params = Cifar100Params(source="cifar100", image_size=32)
    assert params.unseen_classes == ["orchid", "poppy", "rose", "sunflower", "tulip"]
    assert len(CIFAR100_SEEN) == 20
    assert params.seen_classes == sorted(CIFAR100_SEEN)
    assert params.on_duplicate == "keep"


@pytest.mark.parametrize("model", [Cifar100Params, CalligraphyParams])
def test_a_draw_takes_the_place_of_the_papers_unseen_classes(model):
    entry = {"source": model.model_fields["source"].annotation.__args__[0], "image_size": 32}
    assert model(**entry, unseen_count=4).unseen_classes is None
    assert model(**entry, unseen_count=None).unseen_classes == model(**entry).unseen_classes
    assert model(**entry, unseen_count=4, unseen_classes=["a", "b"]).unseen_classes == ["a", "b"]


def test_all_classes_of_cifar_may_be_unseen():
    params = Cifar100Params(source="cifar100", image_size=32, unseen_classes="all")
    assert params.all_unseen
    assert params.seen_classes is None


def test_a_datasets_own_seed_goes_first():
    assert FolderParams(source="folder", image_size=8).root_seed(7) == 7
    assert FolderParams(source="folder", image_size=8, seed=0).root_seed(7) == 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{source: foldr, image_size: 64}", ["datasets.mine.source", "'foldr'", "did you mean 'folder'"]),
        ("{source: folder, image_sise: 64}", ["image_sise", "did you mean 'image_size'", "image_size is missing"]),
        ("{source: folder, image_size: big}", ["datasets.mine.image_size", "found 'big'"]),
        ("{source: folder, image_size: 64, fill: 256}", ["fill", "255", "256"]),
        ("{source: folder, image_size: 64, fit: stretch}", ["fit", "'crop', 'pad' or 'squash'", "stretch"]),
        ("{source: folder, image_size: 64, test_fraction: 1.5}", ["test_fraction", "less than 1"]),
        ("{source: folder, image_size: 64, train: 5, train_total: 50}", ["train_total", "not both"]),
        ("{source: folder, image_size: 64, unseen_classes: [a, a]}", ["unseen_classes", "repeat"]),
        ("{source: folder, image_size: 64, unseen_classes: [a, b], seen_classes: [b, c]}", ["seen or unseen", ": b"]),
        ("{source: folder, image_size: 64, unseen_classes: any}", ["unseen_classes", "'all'", "'any'"]),
        ("{source: folder, image_size: 64, unseen_classes: all, seen_classes: [a]}", ["set `seen_classes: null`"]),
        ("{source: folder, image_size: 64, unseen_count: 1}", ["datasets.mine.unseen_count", "equal to 2"]),
        ("{source: handwriting, image_size: 64}", ["datasets.mine.train is missing", "test is missing"]),
        ("{source: table, image_size: 64}", ["datasets.mine.table is missing"]),
        ("{source: table, image_size: 64, table: /x/l.csv}", ["datasets.mine.table", "inside", "found '/x/l.csv'"]),
        ("{source: table, image_size: 64, table: a/../../l.csv}", ["table", "relative to the raw folder", "a/../../l"]),
        ("{source: table, image_size: 64, table: ..}", ["table", "relative to the raw folder", "'..'"]),
        ("{image_size: 64}", ["datasets.mine.source is missing"]),
    ],
)
def test_a_wrong_entry_is_explained(write_params, row, words):
    with pytest.raises(UserError) as error:
        read_dataset(write_params(row), "mine")
    assert all(word in str(error.value) for word in words), error.value


def test_a_tables_path_is_normalized(write_params):
    path = write_params(r"{source: table, image_size: 64, table: './sub\labels.csv'}")
    assert read_dataset(path, "mine").table == "sub/labels.csv"


def test_a_missing_entry_lists_the_nearest(write_params):
    with pytest.raises(UserError, match="did you mean 'mine'"):
        read_dataset(write_params("{source: folder, image_size: 64}"), "mime")
