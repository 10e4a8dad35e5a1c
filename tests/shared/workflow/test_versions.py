from importlib.metadata import version

from stages.shared.workflow.versions import differing, library_versions


def test_versions_are_of_the_packages_that_modules_come_from_whatever_these_are_called():
    assert library_versions("torch", "PIL", "stages", "sys") == {"PIL": version("pillow"), "torch": version("torch")}
    assert library_versions("open_clip") == {"open_clip": version("open_clip_torch")}
    assert library_versions("torch", builds=False) == {"torch": version("torch").partition("+")[0]}


def test_libraries_of_several_versions_are_found_with_what_was_made_with_each():
    made = [("a", {"torch": "2", "timm": "1"}), ("a", {"torch": "2"}), ("b", {"timm": "1"}), ("c", {"timm": "3"})]
    assert differing(made) == {"timm": {"1": ["a", "b"], "3": ["c"]}}
    assert differing(made[:3]) == {}
