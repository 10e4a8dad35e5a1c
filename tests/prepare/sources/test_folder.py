from stages.prepare.params import FolderParams
from stages.prepare.sources.folder import list_folder


def test_lists_class_and_split_folders(make_folder, resources):
    raw = make_folder({"train/a": 2, "test/a": 1, "train/b": 1})
    listing = list_folder(raw, FolderParams(source="folder", image_size=8), 0, resources)
    assert [(c.sample_id, c.label, c.split) for c in listing.candidates] == [
        ("test/a/00.png", "a", "test"),
        ("train/a/00.png", "a", "train"),
        ("train/a/01.png", "a", "train"),
        ("train/b/00.png", "b", "train"),
    ]
    assert listing.candidates[0].content() == (raw / "test/a/00.png").read_bytes()


def test_follows_a_link_to_the_folder(make_folder, tmp_path, resources):
    (tmp_path / "mine").symlink_to(make_folder({"a": 1, "b": 1}))
    listing = list_folder(tmp_path / "mine", FolderParams(source="folder", image_size=8), 0, resources)
    assert [c.sample_id for c in listing.candidates] == ["a/00.png", "b/00.png"]
