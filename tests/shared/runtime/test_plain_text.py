import shlex
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.shared.runtime.errors import printable, short_repr, with_command


def test_what_a_terminal_would_obey_is_escaped():
    assert printable("a\x1b[31mb\x07c\rd\te") == r"a\x1b[31mb\x07c\rd\te"
    assert printable("\x9b1m \u202egnp.exe \u2028 \ud800") == r"\x9b1m \u202egnp.exe \u2028 \ud800"


def test_other_text_is_left_as_it_is():
    text = "Größe: 書 🦉 \u200d ''\"\n  é, ..."
    assert printable(text) == text


@given(st.text(min_size=1) | st.text("';# $\n\x1ba", min_size=300))
def test_a_command_in_a_message_is_one_command_with_one_path_or_there_is_none(path: str):
    said = printable(with_command("remove it", "rm -r --", path))
    if said != "remove it":
        assert shlex.split(said.removeprefix("remove it (").removesuffix(")")) == ["rm", "-r", "--", path]


def test_a_path_in_a_command_is_quoted_for_the_shell():
    assert with_command("remove it", "rm -r --", "/data/x") == "remove it (rm -r -- /data/x)"
    assert with_command("remove it", "rm -r --", "/x; touch y;#") == "remove it (rm -r -- '/x; touch y;#')"
    for path in ("/x\ny", "/\x1b[31m"):  # of which printing would make something else
        assert with_command("remove it", "rm -r --", path) == "remove it"


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_printed_on_any_terminal(text: str):
    said = printable(text)
    said.encode()
    assert not [c for c in said if unicodedata.category(c) in ("Cc", "Zl", "Zp") and c != "\n"]


def test_a_value_is_written_in_short():
    assert short_repr([0, 0]) == "[0, 0]"
    assert len(short_repr("x" * 750_000)) < 350
