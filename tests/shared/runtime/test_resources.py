import errno
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from safetensors.torch import save_file

from stages.shared.runtime.errors import explain_system_error, prefix_errors

BIG = torch.rand(50_000)


def write_torch(path: Path) -> None:
    with path.open("wb") as file:
        torch.save(BIG, file)


def write_zarr(path: Path) -> None:
    zarr.create_group(path).create_array("x", data=BIG.numpy(), compressors=None)


WRITERS = {
    "torch": write_torch,
    "safetensors": lambda path: save_file({"x": BIG}, path),
    "zarr": write_zarr,
    "csv": lambda path: pd.DataFrame({"x": range(50_000)}).to_csv(path),
    "parquet": lambda path: pd.DataFrame({"x": np.random.default_rng(0).random(50_000)}).to_parquet(path),
    "text": lambda path: path.write_text("x" * 200_000),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_that_finds_no_room_gives_one_sentence(tmp_path: Path, name: str):
    """A limit on the size of files stands for a full disk: the same call fails, with another number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(Exception, match=r".") as caught:
            WRITERS[name](tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = explain_system_error(caught.value)
    assert said is not None
    assert "there is no room left to write (File too large); free some on that disk and retry" in said


def failing(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    pytest.fail("nothing was raised")


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.zeros(1 << 60), lambda: np.zeros(1 << 45), lambda: bytearray(1 << 62),
        lambda: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
        lambda: (_ for _ in ()).throw(ImportError("libtorch.so: failed to map segment from shared object")),
        lambda: (_ for _ in ()).throw(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))),
        lambda: (_ for _ in ()).throw(RuntimeError("can't start new thread")),
    ],
    ids=["torch", "numpy", "python", "cuda", "import", "system", "thread"],
)  # fmt: skip
def test_want_of_memory_says_what_takes_less(call: Callable[[], object]):
    said = explain_system_error(failing(call))
    assert said is not None
    assert said.startswith("not enough memory; ")
    assert "WHICHLAYER_WORKERS" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "x", "/a/b"),
            r"^/a/b: there is no room left to write \(No space .*, [\d,.]+ MB free\); free",
        ),
        (OSError(errno.ENOSPC, "x"), r"^there is no room left to write \(No space left on device\)"),
        (
            OSError(errno.EROFS, "x", "/a/b"),
            "^/a/b: must be a place that you may read and write, found: Read-only",
        ),
        (PermissionError(errno.EACCES, "x", b"/a/b"), "^/a/b: must be .*, found: Permission denied; change that"),
        (OSError(errno.EIO, "x", Path("/a")), "^/a: could not be read or written, found: Input/output error; check"),
        (OSError(errno.ENAMETOOLONG, "x", "aaa"), "^aaa: must be a path that the system accepts, found: File name too"),
        (
            OSError(errno.ELOOP, "x", "a"),
            "symbolic links; shorten it, or remove its links in a circle$",
        ),
        (OSError(errno.EMFILE, "x", "/a"), r"^/a: too many files are open; raise the limit"),
    ],
)
def test_an_error_of_the_system_names_the_file_and_what_to_do(error: OSError, said: str):
    assert re.search(said, explain_system_error(error) or "")


@pytest.mark.parametrize(
    "error", [ValueError("out of range"), FileNotFoundError(errno.ENOENT, "x", "/a"), RuntimeError("shapes differ")]
)
def test_other_errors_keep_their_traceback(error: Exception):
    assert explain_system_error(error) is None


def test_the_cause_of_an_error_counts():
    try:
        try:
            raise OSError(errno.ENOSPC, "x")
        except OSError as cause:
            raise RuntimeError("writer failed") from cause
    except RuntimeError as error:
        said = explain_system_error(error)
    assert said is not None
    assert "no room" in said


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "x"), OSError(errno.ENOSPC, "x")])
def test_an_error_that_names_no_file_is_said_to_be_of_what_was_at_work(error: Exception):
    with pytest.raises(type(error)) as caught, prefix_errors("datasets.mine"):
        raise error
    said = explain_system_error(caught.value) or ""
    assert re.match("datasets.mine: (not enough memory|too many files are open|there is no room left)", said)
