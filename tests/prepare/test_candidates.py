import pytest

from stages.prepare.candidates import Candidate, check_candidates
from stages.shared.runtime.errors import UserError


def candidate(label, source):
    return Candidate("id", label, None, source, lambda: b"")


@pytest.mark.parametrize("character", ["\r", "\n", "\t", "\0", "\x7f", "\u2028", "\udcff"])
def test_control_characters_in_names_are_refused(character):
    with pytest.raises(UserError) as error:
        check_candidates([candidate("a", "a/1.png"), candidate(f"b{character}x", "b/1.png")])
    assert f"the name of a class must not have control characters, found {f'b{character}x'!r}" in str(error.value)
    assert "('b/1.png'); rename it" in str(error.value)
    with pytest.raises(UserError) as error:
        check_candidates([candidate("a", f"a/1{character}.png")])
    assert f"the name of a file must not have control characters, found {f'a/1{character}.png'!r}" in str(error.value)


def test_an_id_that_stands_for_two_images_is_refused():
    with pytest.raises(UserError, match=r"'id' stands for both a/1.png and b/1.png"):
        check_candidates([candidate("a", "a/1.png"), candidate("b", "b/1.png")])


def test_other_names_are_accepted():
    check_candidates([candidate("a, \"b\" 'c' é 王", "x y/\u00a0é;,.png")])
    check_candidates([candidate("نمی\u200cخواهم", "a.png")])  # Persian takes a joiner within a word


@pytest.mark.parametrize(
    ("one", "other"),
    [("caf\u00e9", "cafe\u0301"), ("\uac00", "\u1100\u1161"), ("dots", "do\u200cts"), ("dots", "dots ")],
)
def test_two_classes_that_look_alike_are_refused(one, other):
    for name in (one, other):
        check_candidates([candidate(name, "a/1.png")])
    both = [Candidate(name, name, None, name, lambda: b"") for name in (one, other)]
    with pytest.raises(UserError, match=r"classes must not look alike, found '.*' and '.*'; rename one of"):
        check_candidates(both)
