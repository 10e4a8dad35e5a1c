import pytest

from stages.prepare.candidates import Candidate, check_candidates
from stages.shared.runtime.errors import UserError


def candidate(label, source):
    return Candidate("id", label, None, source, lambda: b"")


@pytest.mark.parametrize("character", ["\r", "\n", "\t", "\0", "\x7f", "\x85", "\u2028"])
def test_control_characters_in_names_are_refused(character):
    with pytest.raises(UserError) as error:
        check_candidates([candidate("a", "a/1.png"), candidate(f"b{character}x", "b/1.png")])
    assert f"the name of a class must not have control characters, found {f'b{character}x'!r}" in str(error.value)
    assert "('b/1.png'); rename it" in str(error.value)
    with pytest.raises(UserError) as error:
        check_candidates([candidate("a", f"a/1{character}.png")])
    assert f"the name of a file must not have control characters, found {f'a/1{character}.png'!r}" in str(error.value)


def test_other_names_are_accepted():
    check_candidates([candidate("a, \"b\" 'c' é 王", "x y/\u00a0é;,.png")])
