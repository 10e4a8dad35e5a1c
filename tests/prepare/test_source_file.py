"""`source.json`: what its texts may be, wherever they go, and that the committed files are what they may be."""

import os
from functools import partial
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from stages.prepare.raw_files import MAX_BYTES, HttpsUrl, Sha256, SourceFile, read_source_file
from stages.prepare.sources.calligraphy import CalligraphyFile
from stages.prepare.sources.cifar100 import Cifar100File
from stages.prepare.sources.handwriting import HandwritingFile
from stages.shared.runtime.errors import UserError

RAW = Path(__file__).parents[2] / "data" / "raw"
MODELS = {"calligraphy": CalligraphyFile, "cifar100": Cifar100File, "handwriting": HandwritingFile}


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch PWNED;",
        "-https://example.org/x",
        "ext::sh -c touch% PWNED",
        "http://example.org/x",
        "file:///etc/passwd",
        "ssh://-oProxyCommand=touch/x",
        "git@example.org:x",
        "/etc/passwd",
        "HTTPS://example.org/x",
        "https://",
        "https://-example.org/x",
        "https:///etc/passwd",
        "https://user:password@example.org/x",
        "https://example.org/x\n",
        "https://example.org/x\n--upload-pack=touch PWNED",
        "\nhttps://example.org/x",
        " https://example.org/x",
        "https://example.org/x y",
        "https://example.org/x;touch",
        "https://example.org/$(touch)",
        "https://example.org/`touch`",
        "https://example.org/'x",
        "https://example.org/\x1b[2J",
        "https://example.org/\u202ex",
        "https://example.org/" + "x" * 1000,
    ],
)
def test_addresses_of_another_kind_are_refused(url):
    with pytest.raises(ValidationError):
        TypeAdapter(HttpsUrl).validate_python(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org:8443/~someone/data-set_2.git",
        "https://127.0.0.1/a%20b/archive.tar.gz?download=1",
    ],
)
def test_addresses_of_the_web_are_taken(url):
    assert TypeAdapter(HttpsUrl).validate_python(url) == url


@pytest.mark.parametrize("text", ["A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "g" * 64, "٣" * 64, ""])
def test_texts_that_are_no_sha256_are_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Sha256).validate_python(text)


def test_committed_files_are_valid():
    assert {path.parent.name for path in RAW.glob("*/source.json")} == set(MODELS)
    for dataset, model in MODELS.items():
        assert read_source_file(RAW / dataset, model).about


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"about": 1, "license": ""}', r"about: Input should be a valid string, found 1; restore it"),
        (b'{"license": ""}', r"about: Field required; restore it"),
        (b'{"about": "", "license": "", "more": "x"}', r"more: .*, found 'x'; restore it"),
        (b"[" * 100_000, r"content: Invalid JSON"),
        (b"\xff", r"content: Invalid JSON"),
    ],
)
def test_content_that_is_not_valid_is_named_with_what_was_found(tmp_path, content, message):
    (tmp_path / "source.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"source\.json: {message}") as error:
        read_source_file(tmp_path, SourceFile)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("kind", ["a folder", "a named pipe", "a link"])
def test_what_is_no_regular_file_is_named_unopened(tmp_path, kind):
    """A FIFO would be waited for; of a link to a private file, a message would show the content."""
    path, private = tmp_path / "source.json", tmp_path / "private.json"
    private.write_text('{"about": "", "license": "", "password": "hunter2"}')
    pipe = partial(os.mkfifo, path)
    {"a folder": path.mkdir, "a named pipe": pipe, "a link": lambda: path.symlink_to(private)}[kind]()
    with pytest.raises(UserError, match=rf"source\.json: must be a regular file, found {kind}; restore it") as error:
        read_source_file(tmp_path, SourceFile)
    assert "password" not in str(error.value)


def test_content_of_another_kind_is_not_shown(tmp_path):
    (tmp_path / "source.json").write_text("db_password = hunter2")
    with pytest.raises(UserError, match=r"source\.json: content: Invalid JSON.*; restore it") as error:
        read_source_file(tmp_path, SourceFile)
    assert "hunter2" not in str(error.value)


def test_no_more_is_read_than_a_source_file_may_have(tmp_path):
    content = '{"about": "", "license": ""}'
    (tmp_path / "source.json").write_text(content.ljust(MAX_BYTES))
    assert read_source_file(tmp_path, SourceFile).about == ""
    (tmp_path / "source.json").write_text(content.ljust(MAX_BYTES + 1))
    with pytest.raises(UserError, match=rf"source\.json: must have at most {MAX_BYTES} bytes, found more"):
        read_source_file(tmp_path, SourceFile)
