"""Files of strangers: nothing that they hold is run, and whatever is wrong with them is one message."""

import json
import os
import pickle
import random
import resource
import shutil
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numcodecs.pickles
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from numcodecs import zstd
from zarr.registry import register_codec

from stages.commands.features.command import WRITERS
from stages.commands.features.extraction import Shard
from stages.commands.project import FEATURES
from stages.commands.score import arrays_file, embedding_file
from stages.commands.score.arrays_file import open_arrays
from stages.commands.score.embedding_file import open_file, read_embedding_file
from stages.shared.runtime.errors import UserError
from tests.commands.score.made import WIDTHS, arrays, with_seen, write_npz, write_zarr
from tests.faults.embedding_files import (
    CONTENT,
    changed_header,
    changed_metadata,
    header_of,
    read_all,
    write_with_header,
)
from tests.faults.pickles import PICKLES, Evil, list_in_group, pickled_array
from tests.faults.test_params import refused


def of_format_2(path: Path, codecs: dict[str, Any]) -> zarr.Group:
    (path / "labels" / ".zarray").write_text(json.dumps(pickled_array(codecs)))
    return zarr.open_group(path)


def listed_in_a_group_of_format_3(path: Path, codecs: dict[str, Any]) -> zarr.Group:
    list_in_group(path, labels=pickled_array(codecs))
    return zarr.open_group(path, zarr_format=3)


def of_format_2_in_a_file_of_format_3(path: Path, codecs: dict[str, Any]) -> dict[str, zarr.Array]:
    described = pickled_array(codecs) | {"node_type": "array"}
    (path / "labels" / "zarr.json").write_text(json.dumps(described))
    return {"labels": zarr.open_array(path / "labels", zarr_format=3)}


@pytest.mark.parametrize("codecs", PICKLES.values(), ids=PICKLES)
@pytest.mark.parametrize(
    ("hide", "message"),
    [
        (of_format_2, r"a: must be of Zarr format 3, found format 2, whose arrays may run code when read; write it"),
        (listed_in_a_group_of_format_3, r"a: must be .* and readable, found FileNotFoundError: .*labels/zarr\.json"),
        (of_format_2_in_a_file_of_format_3, r"a/labels: must be of Zarr format 3, found format 2, whose arrays may"),
    ],
    ids=["format 2", "listed in format 3", "file of format 3"],
)
def test_no_pickle_of_a_zarr_group_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hide: Callable[..., Any], codecs: dict[str, Any], message: str
):
    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True)  # as before numcodecs 0.16.6
    path, ran = write_zarr(tmp_path / "a", CONTENT, zarr_format=2 if hide is of_format_2 else 3), tmp_path / "ran"
    shutil.rmtree(path / "labels")
    (path / "labels").mkdir()
    (path / "labels" / "0").write_bytes(pickle.dumps(Evil(ran)))
    with zarr.config.set({"array.allow_unsafe_pickle_decode": True}):  # as before zarr 3.4
        opened = hide(path, codecs)
        with suppress(TypeError):
            opened["labels"][...]
        assert ran.exists()  # where zarr alone reads it
        ran.unlink()
        with pytest.raises(UserError, match=message):
            read_all(path)
    assert not ran.exists()


class Foreign:
    """A codec that an installed package has registered with zarr."""

    runs = 0

    @classmethod
    def from_dict(cls, described: dict[str, Any]) -> None:
        cls.runs += 1
        raise ValueError("foreign")


def write_sharded(path: Path) -> Path:
    """Write texts in shards, and a layer with every other codec of the list."""
    group = zarr.open_group(write_zarr(path, {name: CONTENT[name] for name in ("blocks.0", "layers")}))
    labels = group.create_array("labels", shape=(28,), dtype=str, chunks=(14,), shards=(28,))
    labels[:] = CONTENT["labels"].astype(object)
    group.create_array(
        "stem",
        data=CONTENT["stem"],
        filters=[zarr.codecs.TransposeCodec(order=(1, 0))],
        compressors=[zarr.codecs.BloscCodec(), zarr.codecs.GzipCodec(), zarr.codecs.Crc32cCodec()],
    )
    (path / ".DS_Store").touch()
    return path


def test_what_other_tools_write_is_read(tmp_path: Path):
    with ExitStack() as resources:
        found = read_embedding_file(open_arrays(write_sharded(tmp_path / "a"), resources))
        np.testing.assert_array_equal(found.labels["unseen"], CONTENT["labels"])
        for layer in found.layers:
            np.testing.assert_array_equal(found.features(layer, "unseen"), CONTENT[layer.name])


@pytest.mark.parametrize("inside", [None, "codecs", "index_codecs"])
def test_no_codec_runs_but_those_of_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str | None):
    monkeypatch.setattr(Foreign, "runs", 0)
    register_codec("tests.foreign", Foreign)  # type: ignore[arg-type]
    path = write_sharded(tmp_path / "a")
    name = "labels" if inside else "stem"
    file = path / name / "zarr.json"
    described = json.loads(file.read_bytes())
    codecs = described["codecs"][0]["configuration"][inside] if inside else described["codecs"]
    codecs.append({"name": "tests.foreign", "configuration": {}})
    file.write_text(json.dumps(described))
    with pytest.raises(ValueError, match="foreign"):
        zarr.open_group(path)[name]
    assert Foreign.runs == 1
    with pytest.raises(UserError, match=rf"{name}: must be stored with none but the codecs .*, found 'tests\.foreign'"):
        read_all(path)
    assert Foreign.runs == 1


def link_to_private_file(file: Path) -> None:
    file.symlink_to(file.rename(file.parents[2] / "private"))


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("name", ["zarr.json", "labels/zarr.json", "labels/c/0", "stem", "stem/c"])
@pytest.mark.parametrize(("harm", "kind"), [(link_to_private_file, "a link"), (fifo, "a named pipe")])
def test_links_and_fifos_within_a_group_are_not_opened(
    tmp_path: Path, harm: Callable[[Path], None], kind: str, name: str
):
    """A link may lead to files that the user shows nobody, and a FIFO would be waited for."""
    path = write_zarr(tmp_path / "folder" / "a", CONTENT)
    (tmp_path / "link").symlink_to(path)
    read_all(tmp_path / "link")  # which the user names
    if harm is fifo and (path / name).is_dir():
        shutil.rmtree(path / name)
        (path / name).touch()
    harm(path / name)
    with pytest.raises(UserError, match=rf"a/{name}: must be a regular file, found {kind}; replace it by the file"):
        read_all(path)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_opened_as_one(tmp_path: Path, make: Callable[[Path], None]):
    make(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"a\.npz: must be a regular file, found a (named pipe|device); replace it"):
        read_all(tmp_path / "a.npz")
    write_npz(tmp_path / "b.npz", CONTENT)
    (tmp_path / "c.npz").symlink_to(tmp_path / "b.npz")
    read_all(tmp_path / "c.npz")


def test_no_advice_of_numpy_to_trust_the_file_is_passed_on(tmp_path: Path):
    write_with_header(write_npz(tmp_path / "a.npz", CONTENT), "stem.npy", " " * 20_000)
    with pytest.raises(
        UserError, match=r"found ValueError: Header info length \(20000\) is large and may not"
    ) as caught:
        read_all(tmp_path / "a.npz")
    assert "pickle" not in str(caught.value)


def test_wrong_metadata_of_a_zarr_group_is_one_message(tmp_path: Path):
    whole = write_zarr(tmp_path / "seen", with_seen() | {"layers": CONTENT["layers"]}), write_sharded(tmp_path / "a")
    files = [(path, file, file.read_text()) for path in whole for file in sorted(path.rglob("zarr.json"))]
    count = 0
    for seed in range(200):
        path, file, text = files[seed % len(files)]
        file.write_bytes(changed_metadata(text, seed).encode("utf-8", "surrogatepass"))
        count += refused(partial(read_all, path), seed)
        file.write_text(text)
    assert 80 <= count < 200


def missing(path: Path, name: str, shape: list[int], chunk: list[int], **changes: Any) -> None:
    """Say that an array has another shape, and remove what is stored of it."""
    file = path / name / "zarr.json"
    grid = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"shape": shape, "chunk_grid": grid} | changes))
    shutil.rmtree(path / name / "c")


@pytest.mark.parametrize(
    ("name", "shape", "chunk", "changes", "message"),
    [
        (
            "labels",
            [10**8],
            [10**8],
            {},
            r"its arrays must take at most 268,435,456 bytes, since it has .*, found 1,6",
        ),
        ("labels", [10**12], [10**12], {}, r"its arrays must take at most .* found 16,000,000"),
        ("stem", [28, 10**7], [28, 10**7], {}, r"its arrays must take at most .* found 1,120,0"),
        (
            "labels",
            [6_000_000],
            [6_000_000],
            {},
            r"'labels' must be .* of at most 5,000,000 texts .* of shape \(6000000,\)",
        ),
        ("labels", [10**6], [1], {}, r"labels: must have at most 100,000 chunks .*, found 1,000,000 and 0; write it"),
        ("stem", [28, 10**4], [1, 1], {}, r"stem: must have at most 100,000 chunks .*, found 280,000 and 3; write it"),
        (
            "labels",
            [10**6],
            [10**6],
            {"fill_value": "x" * 101},
            r"a fill value of at most 100 characters, found 1 and 1",
        ),
    ],
)
def test_metadata_of_more_than_is_stored_are_refused_before_they_fill_memory(
    tmp_path: Path, name: str, shape: list[int], chunk: list[int], changes: dict[str, Any], message: str
):
    path = write_zarr(tmp_path / "a", CONTENT)
    missing(path, name, shape, chunk, **changes)
    refused_at_once(path, message)


def test_metadata_that_are_too_long_are_not_read(tmp_path: Path):
    path = write_zarr(tmp_path / "a", CONTENT)
    with (path / "labels" / "zarr.json").open("ab") as file:
        file.truncate(2**23 + 1)
    refused_at_once(path, r"labels/zarr\.json: must have at most 8388608 bytes, found more")


def test_what_is_not_stored_is_the_fill_value(tmp_path: Path):
    path = write_zarr(tmp_path / "a", CONTENT)
    missing(path, "stem", [28, 1000], [7, 500], fill_value=2.5)
    with ExitStack() as resources:
        found = read_embedding_file(open_arrays(path, resources))
        assert (found.features(found.layers[0], "unseen") == np.full((28, 1000), 2.5)).all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("(1000000000000, 4)", r"its arrays must take at most 268,435,456 bytes, since it has .* found 32,000,000"),
        ("(28, 100000000)", r"its arrays must take at most .* found 22,400,00"),
        (
            "(28, -4)",
            r"array 'stem' must be \(images, features\) of real numbers, .* found float64 of shape \(28, -4\)",
        ),
        ("(28, -100000000)", r"its arrays must take at most .* found 22,400,00"),
    ],
)
def test_a_header_of_more_than_is_stored_is_refused_before_it_fills_memory(tmp_path: Path, shape: str, message: str):
    path = write_npz(tmp_path / "a.npz", CONTENT)
    write_with_header(path, "stem.npy", f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n")
    refused_at_once(path, message)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_npz_file_holds_every_array_once_as_numpy_writes_it(tmp_path: Path):
    content = {f"{name}.npy": values for name, values in npy_members(write_npz(tmp_path / "a.npz", CONTENT)).items()}
    read_all(write_members(tmp_path / "a.npz", list(content.items()), zipfile.ZIP_DEFLATED))
    for name in ("stem.npy", "stem"):
        with pytest.raises(
            UserError, match=r"a\.npz: must hold every array once, .* found 'stem' twice; write it again"
        ):
            read_all(write_members(tmp_path / "a.npz", [*content.items(), (name, content["stem.npy"])]))
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused_at_once(
            write_members(tmp_path / "a.npz", [*content.items(), ("more.npy", bytes(2**26))], method),
            r"a\.npz: must hold every array once, stored or deflated, found '.*' compressed in another way",
        )


def npy_members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}


def write_members(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_a_header_of_less_than_is_stored_is_refused(tmp_path: Path):
    """Else a row would be a part of another one."""
    path = write_npz(tmp_path / "a.npz", CONTENT)
    write_with_header(path, "stem.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (28, 2)}\n")
    with pytest.raises(
        UserError, match=r"array 'stem' must be readable, found ValueError: more bytes than those of its"
    ):
        read_all(path)


def test_texts_that_are_none_or_too_long_are_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for kind in ("<U7", ">U7", "U1"):
        labels = CONTENT["labels"].astype(kind)
        labels.view(f"{labels.dtype.byteorder}u4")[:: labels.itemsize // 4] = sys.maxunicode + 1
        with pytest.raises(
            UserError, match="array 'labels' must be readable, found ValueError: characters that Unicode"
        ):
            read_all(write_npz(tmp_path / "a.npz", CONTENT | {"labels": labels}))
    for length, count in ((4096, 28 * 4096), (4096, 28 * 4096 - 1), (4095, 28 * 4096)):
        monkeypatch.setattr(embedding_file, "MAX_TEXT", length)
        monkeypatch.setattr(embedding_file, "MAX_CHARACTERS", count)
        labels = np.where(CONTENT["labels"] == "unseen1", "x" * 4096, CONTENT["labels"])
        path = write_zarr(tmp_path / f"{length} {count}", CONTENT | {"labels": labels})
        if (length, count) == (4096, 28 * 4096):
            read_all(path)
            continue
        with pytest.raises(UserError, match=f"at most {length:,} characters, .* found 28 of up to 4,096; shorten"):
            read_all(path)


def test_a_chunk_that_unpacks_to_more_than_its_array_finds_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays_file, "FREE_ROOM", 2**26)
    path = write_zarr(tmp_path / "a", CONTENT)
    read_all(path)
    (chunk,) = (file for file in (path / "stem" / "c").rglob("*") if file.is_file())
    chunk.write_bytes(zstd.compress(np.zeros(2**28, np.uint8)))
    with pytest.raises(
        UserError, match=r"'stem' must be readable, found no room in [\d,]+ bytes of memory; free memory, or"
    ):
        read_all(path)
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


def test_many_names_find_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays_file, "FREE_ROOM", 2**20)
    labels = np.array([f"{number % 2} of a class with a name of some length" for number in range(400_000)])
    with ExitStack() as resources:
        path = write_npz(tmp_path / "a.npz", {"stem": np.ones((len(labels), 1), "f4"), "labels": labels})
        assert len(read_embedding_file(open_arrays(path, resources)).labels["unseen"]) == len(labels)


def test_a_long_text_that_many_rows_of_a_table_share_is_refused(tmp_path: Path):
    for length in (1000, 2**20):
        names = pa.DictionaryArray.from_arrays(np.arange(300) // 150, [f"{c}/" + "x" * length for c in "ab"])
        vectors = pa.FixedSizeListArray.from_arrays(np.arange(600, dtype=np.float32), 2)
        table = pa.table({"path": names, "features": vectors})
        path = tmp_path / f"{length}.parquet"
        pq.write_table(table.replace_schema_metadata({FEATURES: '{"layer": "stem"}'}), path)
        with ExitStack() as resources:
            if length == 1000:
                file = open_file(path, None, resources)
                assert file.read("labels").tolist() == ["a"] * 150 + ["b"] * 150
                np.testing.assert_array_equal(file.read("stem"), np.arange(600).reshape(300, 2))
                continue
            with pytest.raises(
                UserError, match=r"array 'path' must be readable, found ValueError: a text of more than 4,096"
            ):
                open_file(path, None, resources)


@pytest.mark.parametrize("ending", [".parquet", ".npz", ".zarr"])
def test_features_that_take_more_than_reading_may_take_beside_them_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
):
    count, width = 1000, 2**15
    shards = [Shard([f"{n % 2}/{n}" for n in range(count)], ["0" * 64] * count, np.ones((count, width), "f4"), {})]
    WRITERS[ending](tmp_path / f"a{ending}", shards, count, width, {"layer": "stem"})
    monkeypatch.setattr(arrays_file, "FREE_ROOM", 2**26)
    with ExitStack() as resources:
        assert open_file(tmp_path / f"a{ending}", None, resources).read("stem").shape == (count, width)


def test_the_metadata_of_a_table_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pq.write_table(pa.table({f"c{number}": [1] for number in range(200)}), tmp_path / "a.parquet")
    monkeypatch.setattr(arrays_file, "MAX_METADATA_BYTES", 2**12)
    refused_at_once(tmp_path / "a.parquet", r"a\.parquet: must have at most 4096 bytes of metadata, found \d{5}; write")


def test_chunks_that_are_not_stored_are_said_and_those_of_all_arrays_limited(tmp_path: Path):
    path = write_zarr(tmp_path / "a", CONTENT)
    with ExitStack() as resources:
        assert not open_arrays(path, resources).notes
        missing(path, "stem", [28, 1000], [7, 500], fill_value=2.5)
        said = f"{path / 'stem'}: 8 of 8 chunks are not stored, and read as its fill value"
        assert open_arrays(path, resources).notes == [said]
    (path / "stem" / "c").mkdir()
    for name in ("stem", "blocks.0"):
        missing(path, name, [28, 60_000], [28, 1])
    refused_at_once(
        path, r"must have at most 100,000 chunks \(as all arrays together that lack some\) .* found 120,000"
    )


def test_images_and_features_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedding_file, "MAX_FEATURES", WIDTHS["blocks.0"])
    read_all(write_npz(tmp_path / "a.npz", CONTENT))
    monkeypatch.setattr(embedding_file, "MAX_FEATURES", WIDTHS["blocks.0"] - 1)
    with pytest.raises(UserError, match=r"array 'blocks\.0' must have at most 8 features, found 9; average a layer's"):
        read_all(write_npz(tmp_path / "a.npz", CONTENT))
    np.savez(tmp_path / "b.npz", path=np.array(["a/1", "b/2"]), features=np.ones((2, 3)), about='{"layer": "stem"}')
    for most in (2, 1):
        monkeypatch.setattr(embedding_file, "MAX_IMAGES", most)
        with ExitStack() as resources:
            if most == 2:
                open_file(tmp_path / "b.npz", None, resources)
                continue
            with pytest.raises(UserError, match=r"b\.npz: must have at most 1 images, found 2; take a part of them"):
                open_file(tmp_path / "b.npz", None, resources)


def test_many_labels_in_few_bytes_are_refused(tmp_path: Path):
    layers: dict[str, Any] = {name: np.zeros((28, 2), np.float32) for name in WIDTHS}
    np.savez_compressed(tmp_path / "a.npz", labels=np.zeros(5_000_001, np.int8), **layers)
    refused_at_once(
        tmp_path / "a.npz", r"array 'labels' must be .* of at most 5,000,000 texts .* of shape \(5000001,\)"
    )


def test_values_that_compress_well_are_read(tmp_path: Path):
    content = CONTENT | {"blocks.0": np.zeros((28, 100_000))}  # of a layer that is dead
    np.savez_compressed(tmp_path / "a.npz", **content)
    assert (tmp_path / "a.npz").stat().st_size * 200 < content["blocks.0"].nbytes
    read_all(tmp_path / "a.npz")
    read_all(write_zarr(tmp_path / "b", content))


@pytest.mark.parametrize("write", [write_npz, write_zarr])
def test_labels_that_look_alike_are_refused(tmp_path: Path, write: Callable[..., Path]):
    alike = {"unseen1": "unseen1\u200b", "unseen2": "unseen1 "}
    for number, (label, other) in enumerate(alike.items()):
        labels = np.array(CONTENT["labels"], dtype="U20")
        labels[np.flatnonzero(labels == label)[0]] = other
        with pytest.raises(UserError, match=r"a\d\.npz: names of classes must not look alike"):
            read_all(write(tmp_path / f"a{number}.npz", CONTENT | {"labels": labels}))


def refused_at_once(path: Path, message: str) -> None:
    tracemalloc.start()  # which sees what NumPy and Python allocate, touched or not
    try:
        with pytest.raises(UserError, match=message):
            read_all(path)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


def test_a_wrong_header_of_an_npz_file_is_one_message(tmp_path: Path):
    path, count = tmp_path / "a.npz", 0
    for seed in range(120):
        write_npz(path, CONTENT)
        member = f"{random.Random(seed).choice(list(CONTENT))}.npy"
        write_with_header(path, member, changed_header(header_of(path, member), seed))
        count += refused(partial(read_all, path), seed)
    assert 60 <= count < 120


@pytest.mark.parametrize("about", [{"layer": ["stem"]}, {"layer": None}, ["stem"], {}])
def test_wrong_words_on_the_layer_of_features_are_one_message(tmp_path: Path, about: object):
    path, found = tmp_path / "a.npz", arrays()
    names = [f"{label}/{number}.png" for number, label in enumerate(found["labels"])]
    content = {"path": np.array(names), "features": found["stem"]}
    np.savez(path, **content, about=json.dumps(about))
    with (
        ExitStack() as resources,
        pytest.raises(UserError, match=r"`whichlayer features` wrote, found (Type|Key)"),
    ):
        open_file(path, None, resources)
    np.savez(path, **content, about=json.dumps({"layer": "stem"}))
    with ExitStack() as resources:
        assert read_embedding_file(open_file(path, None, resources)).labels["unseen"].tolist() == list(found["labels"])


def test_values_whose_squares_float32_does_not_hold_are_one_message(tmp_path: Path):
    content = arrays()
    read_all(write_npz(tmp_path / "a.npz", content | {"stem": content["stem"] * np.float32(1e15)}))
    read_all(write_npz(tmp_path / "a.npz", content | {"stem": 0 * content["stem"]}))
    for factor in (1e30, 1e-30):
        content["stem"] = arrays()["stem"] * np.float32(factor)
        with pytest.raises(UserError, match=r"array 'stem' must have a longest vector of 1e-18 to 1e\+18, found "):
            read_all(write_npz(tmp_path / "b.npz", content))
