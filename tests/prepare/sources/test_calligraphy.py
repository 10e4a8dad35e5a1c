"""The calligraphers: fetched by commit, whole or not at all, or from the raw folder."""

import subprocess

import pytest

from stages.prepare.params import CalligraphyParams
from stages.prepare.sources import calligraphy
from stages.prepare.sources.calligraphy import list_calligraphy
from stages.shared.runtime.errors import UserError

PARAMS = CalligraphyParams(source="calligraphy", image_size=64)
ADDRESS = "https://git.example/"
"""Where the repositories are, as the code has it; git itself is told where to look instead."""


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
    """A raw folder that holds only source.json, and an empty cache; git looks beside the repository for ADDRESS."""
    monkeypatch.setenv("WHICHLAYER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{repository.parent}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", ADDRESS)
    (tmp_path / "calligraphy").mkdir()
    (tmp_path / "calligraphy" / "source.json").write_text("{}")

    def pin(name=repository.name, commit=None):
        monkeypatch.setattr(calligraphy, "REPOSITORY", f"{ADDRESS}{name}")
        monkeypatch.setattr(calligraphy, "COMMIT", commit or git(repository, "rev-parse", "HEAD"))
        return tmp_path / "calligraphy"

    return pin


def ids(listing):
    return [c.sample_id for c in listing.candidates]


EXPECTED = ["test/bdsr/00.png", *(f"train/bdsr/0{i}.png" for i in range(3)), "train/csl/00.png", "train/csl/01.png"]


def test_the_commit_is_fetched_once_into_the_cache(raw, resources, repository, tmp_path):
    folder = raw()
    listing = list_calligraphy(folder, PARAMS, 0, resources)
    assert ids(listing) == EXPECTED
    assert listing.candidates[0].content() == (repository / "test/bdsr/00.png").read_bytes()
    assert [p.name for p in folder.iterdir()] == ["source.json"]
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [f"calligraphy-{git(repository, 'rev-parse', 'HEAD')}"]
    repository.rename(tmp_path / "gone")
    assert ids(list_calligraphy(folder, PARAMS, 0, resources)) == EXPECTED


def test_a_commit_that_cannot_be_fetched_leaves_nothing(raw, resources, tmp_path):
    with pytest.raises(UserError, match=r"at 0{40}: cannot be fetched .*without a network copy .* into .*/calligraphy"):
        list_calligraphy(raw(commit="0" * 40), PARAMS, 0, resources)
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_git_it_says_so(raw, resources, monkeypatch):
    folder = raw()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="git is not installed"):
        list_calligraphy(folder, PARAMS, 0, resources)


@pytest.mark.parametrize("below", ["", "clone"])
def test_a_whole_clone_may_lie_in_the_raw_folder(raw, repository, resources, below):
    folder = raw("nowhere")
    (folder / below).mkdir(exist_ok=True)
    for name in ("train", "test", "train_20"):
        (repository / name).rename(folder / below / name)
    assert ids(list_calligraphy(folder, PARAMS, 0, resources)) == EXPECTED


@pytest.mark.parametrize("path", ["train/csl", "test"])
def test_a_link_to_images_that_count_is_refused(raw, repository, resources, path):
    folder = raw("nowhere")
    for name in ("train", "test"):
        (repository / name).rename(folder / name)
    (folder / path).rename(folder.parent / "elsewhere")
    (folder / path).symlink_to(folder.parent / "elsewhere")
    with pytest.raises(UserError, match=rf"{path}: must not be a link to a folder"):
        list_calligraphy(folder, PARAMS, 0, resources)


def test_local_images_are_used_first(raw, repository, resources):
    folder = raw("nowhere")
    for split in ("train", "test"):
        (repository / split).rename(folder / split)
    assert ids(list_calligraphy(folder, PARAMS, 0, resources)) == EXPECTED


def test_a_link_in_the_repository_leads_nowhere(raw, repository, resources, save_image, tmp_path):
    save_image(tmp_path / "own.png", 99)
    (repository / "train" / "csl" / "own.png").symlink_to(tmp_path / "own.png")
    (repository / "train" / "hy").symlink_to(tmp_path)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "y")
    contents = {c.sample_id: c.content() for c in list_calligraphy(raw(), PARAMS, 0, resources).candidates}
    assert contents.keys() - set(EXPECTED) == {"train/csl/own.png"}
    assert contents["train/csl/own.png"] == str(tmp_path / "own.png").encode()
