import json
import subprocess

import pytest

from stages.prepare.params import CalligraphyParams
from stages.prepare.sources.calligraphy import list_calligraphy
from stages.shared.console import UserError

PARAMS = CalligraphyParams(source="calligraphy", image_size=64)


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(make_folder):
    """A repository laid out as the authors': train, test, and folders of links beside them."""
    folder = make_folder({"train/csl": 2, "train/bdsr": 3, "test/bdsr": 1})
    (folder / "train_20").mkdir()
    (folder / "train_20" / "csl").symlink_to("../train/csl")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "x")
    return folder


@pytest.fixture
def raw(tmp_path, repository, monkeypatch):
    """A raw folder that holds only source.json, and an empty cache."""
    monkeypatch.setenv("WHICHLAYER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "calligraphy").mkdir()

    def write(**values):
        source = {
            "about": "",
            "license": "",
            "repository": f"file://{repository}",
            "commit": git(repository, "rev-parse", "HEAD"),
        }
        (tmp_path / "calligraphy" / "source.json").write_text(json.dumps({**source, **values}))
        return tmp_path / "calligraphy"

    return write


def ids(listing):
    return [c.sample_id for c in listing.candidates]


EXPECTED = ["test/bdsr/00.png", *(f"train/bdsr/0{i}.png" for i in range(3)), "train/csl/00.png", "train/csl/01.png"]


def test_the_commit_is_fetched_once_into_the_cache(raw, resources, repository, tmp_path):
    folder = raw()
    listing = list_calligraphy(folder, PARAMS, 0, resources)
    assert ids(listing) == EXPECTED
    assert listing.candidates[0].content() == (repository / "test/bdsr/00.png").read_bytes()
    assert [p.name for p in folder.iterdir()] == ["source.json"]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    repository.rename(tmp_path / "gone")
    assert ids(list_calligraphy(folder, PARAMS, 0, resources)) == EXPECTED


def test_a_commit_that_cannot_be_fetched_leaves_nothing(raw, resources, tmp_path):
    with pytest.raises(UserError, match=r"at 0{40}: cannot be fetched .*without a network: .*git clone.*calligraphy"):
        list_calligraphy(raw(commit="0" * 40), PARAMS, 0, resources)
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_git_it_says_so(raw, resources, monkeypatch):
    folder = raw()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="git is not installed"):
        list_calligraphy(folder, PARAMS, 0, resources)


def test_local_images_are_used_first(raw, repository, resources):
    folder = raw(repository="file:///nowhere")
    for split in ("train", "test"):
        (repository / split).rename(folder / split)
    assert ids(list_calligraphy(folder, PARAMS, 0, resources)) == EXPECTED
