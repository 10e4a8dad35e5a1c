import zipfile
from contextlib import ExitStack
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.prepare.candidates import check_candidates
from stages.prepare.packing import prepare_dataset
from stages.prepare.params import TableParams
from stages.prepare.sources.table import list_table
from stages.shared.runtime.errors import CONTROL, UserError
from tests.faults.tables import mutated_table, table


def params(**values):
    return TableParams(source="table", image_size=8, table="labels.csv", **values)


@pytest.fixture
def raw(make_folder):
    return make_folder({"images": 12})


def write_table(raw, text):
    (raw / "labels.csv").write_bytes(text.encode("latin-1"))
    return raw


def test_labels_and_splits_come_from_the_table(raw, resources):
    write_table(raw, "path,label,split\nimages/00.png,1,train\n./images/01.png, NA ,unseen\n")
    listing = list_table(raw, params(), 0, resources)
    assert [(c.sample_id, c.label, c.split) for c in listing.candidates] == [
        ("images/00.png", "1", "train"),
        ("images/01.png", "NA", "unseen"),
    ]
    assert len(listing.ignored) == 10


def test_a_table_without_splits_is_prepared(raw, tmp_path):
    rows = "\n".join(f"images/{i:02d}.png,{'abcd'[i % 4]}" for i in range(12))
    write_table(raw, "path,label\n" + rows)
    wanted = params(test_fraction=0.67, unseen_classes=["c", "d"])
    report = prepare_dataset(raw, tmp_path / "out", wanted, 0, "mine", 10**6)
    assert report.classes["0"] == {"train": {"a": 1, "b": 1}, "test": {"a": 2, "b": 2}, "unseen": {"c": 3, "d": 3}}


def test_images_may_lie_in_the_folders_one_archive(raw, tmp_path, resources):
    packed = tmp_path / "packed"
    packed.mkdir()
    with zipfile.ZipFile(packed / "images.zip", "w") as archive:
        archive.write(raw / "images/00.png", "images/00.png")
    write_table(packed, "path,label\nimages/00.png,a\n")
    listing = list_table(packed, params(), 0, resources)
    assert listing.candidates[0].content() == (raw / "images/00.png").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class\nimages/00.png,a\n", "must have the columns path, label.*lacks label; found path, class"),
        ("path,label\n", "found no row"),
        ("path,label,label\nimages/00.png,a,b\n", "must have each column once, found 'label' twice"),
        ("path,label,path\nimages/00.png,a,b\n", "must have each column once, found 'path' twice"),
        ("", "must have the columns path, label.*lacks path, label; found none"),
        ('path,label\nimages/00.png,"a\nimages/01.png,a\n', "line 2: not a CSV .*unexpected end of data"),
        ("path,label\nimages/00.png,\xe9\n", "line 2: must be a list in UTF-8"),
        ("path,label\n" + 9000 * "\n" + "images/00.png,\xe9\n", "line 9002: must be a list in UTF-8"),
        (
            "path,label\nimages/00.png,a,\nimages/01.png,a,\n",
            "line 2: must have 2 cells, as the header has, found 3; quote",
        ),
        ("path,label,split\nimages/00.png,a\n", "line 2: must have 3 cells, as the header has, found 2"),
        ("path,label\nimages/00.png,a\nimages/99.png,a\n", "line 3: file 'images/99.png' is not there: did you mean"),
        ("path,label\n\nimages/00.png,a\n\n\nimages/99.png,a\n", "line 6: file 'images/99.png' is not there"),
        ("path,label\r\n\r\nimages/99.png,a\r\n", "line 3: file 'images/99.png' is not there"),
        ('path,label\nimages/00.png,"a\nb"\nimages/99.png,"\na"\n', "line 4: file 'images/99.png' is not there"),
        ("path,label\n../secret.png,a\n", "line 2: path must be relative .* found '../secret.png'"),
        ("path,label\n/etc/passwd,a\n", "line 2: path must be relative"),
        ("path,label\nimages/00.png,\n", "line 2: label must not be empty"),
        ("path,label,split\nimages/00.png,a,val\n", "line 2: split must be one of train, test, unseen; found 'val'"),
    ],
)
def test_a_wrong_table_is_explained(raw, resources, text, message):
    with pytest.raises(UserError, match=message):
        list_table(write_table(raw, text), params(), 0, resources)


def test_rows_of_blank_cells_are_passed_over(raw, resources):
    write_table(raw, "path,label\nimages/00.png,a\n,\n , \n,,\n")
    assert len(list_table(raw, params(), 0, resources).candidates) == 1


@pytest.mark.parametrize(("there", "listed"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_a_file_is_found_whose_accents_are_encoded_otherwise(raw, resources, there, listed):
    named, path = (normalize(form, "images/\u00e9.png") for form in (listed, there))
    (raw / "images/00.png").rename(raw / path)
    (raw / "labels.csv").write_text(f"path,label\n{named},a\n")
    assert [c.sample_id for c in list_table(raw, params(), 0, resources).candidates] == [path]


def test_a_carriage_return_in_a_label_is_refused(raw, tmp_path):
    write_table(raw, 'path,label\nimages/00.png,a\nimages/01.png,"b\rx"\n')
    with pytest.raises(UserError, match=r"of a class must not have control characters, found 'b\\rx' .'images/01.png'"):
        prepare_dataset(raw, tmp_path / "out", params(test_fraction=0.5), 0, "mine", 10**6)


def test_a_missing_table_lists_the_nearest(raw, resources):
    (raw / "label.csv").write_text("path,label\n")
    with pytest.raises(UserError, match=r"no table 'labels.csv': did you mean 'label.csv'"):
        list_table(raw, params(), 0, resources)


def test_an_image_listed_twice_is_refused(raw, resources):
    write_table(raw, "path,label\nimages/00.png,a\n./images/00.png,b\n")
    with pytest.raises(UserError, match=r"line 3: file 'images/00.png' must be listed once"):
        list_table(raw, params(), 0, resources)


def test_a_column_may_name_the_group_of_every_image(raw, resources):
    rows = "\n".join(f"images/{i:02d}.png,{'ab'[i % 2]},w{i // 4}" for i in range(8))
    write_table(raw, "path,label,writer\n" + rows)
    listing = list_table(raw, params(group="writer"), 0, resources)
    assert [c.group for c in listing.candidates] == ["w0"] * 4 + ["w1"] * 4
    with pytest.raises(UserError, match="lacks patient"):
        list_table(raw, params(group="patient"), 0, resources)
    write_table(raw, "path,label,writer\nimages/00.png,a, ")
    with pytest.raises(UserError, match="line 2: group must not be empty"):
        list_table(raw, params(group="writer"), 0, resources)


@settings(
    max_examples=300, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(seed=st.integers(0, 2**32))
def test_a_wrong_table_is_a_listing_or_one_message(raw, seed):
    paths = [f"images/{i:02d}.png" for i in range(12)]
    (raw / "labels.csv").write_bytes(mutated_table(table(paths), seed))
    try:
        with ExitStack() as resources:
            listing = list_table(raw, params(), 0, resources)
            check_candidates(listing.candidates)
    except UserError as error:
        assert "labels.csv" in str(error) or "name" in str(error)  # noqa: PT017
        return
    assert {c.source for c in listing.candidates} <= set(paths)
    assert not any(CONTROL.search(c.label) or not c.label for c in listing.candidates)
