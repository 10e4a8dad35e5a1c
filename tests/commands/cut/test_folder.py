"""The folder of a cut: what its files hold, that they load without the project, and that a failure leaves nothing."""

import hashlib
import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from stages.aggregate.facts import Facts
from stages.aggregate.facts_file import write_facts
from stages.commands.cut import folder as cut_folder
from stages.commands.cut.card import layer_scores, package_licence, readme
from stages.commands.cut.export import load_program
from stages.commands.cut.folder import (
    PROGRAM,
    Float32,
    Reference,
    check_agreement,
    read_cut,
    take_reference,
    write_cut,
)
from stages.commands.cut.source import Scaler, Source, Wanted, open_source
from stages.commands.project import ROOT, check_new
from stages.prepare.decode import read_pixels
from stages.shared.images.image_store import Pixels, open_images
from stages.shared.networks.weights import read_state
from stages.shared.runtime.errors import UserError
from stages.shared.tables.metric_table import COLUMNS, Scaling, write_layer_scores
from tests.aggregate.recommended import recommendation
from tests.commands.cut.finished import finish_cell
from tests.packed import SEEN, UNSEEN
from tests.prepare.deep_images import ramp

CARDS = {"README.md", "card.json", "preprocess.json"}
FILES = CARDS | {"model.onnx", "model.pt2", "weights.safetensors"}


class Written(NamedTuple):
    """A cut of a tiny ViT after its third block, and what it was made of."""

    path: Path
    read: tuple[dict[str, Any], int, dict[str, Any]]
    card: Mapping[str, Any]
    source: Source
    folder: Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    pytest.importorskip("onnxscript", reason="needs whichlayer[export]")
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cell")
    params, cell, paths = finish_cell(folder, size=40)
    write_scores(paths.results)
    source = open_source(params, cell, paths, Wanted(layers=["blocks.2"], scale="l2"))
    out = folder / "made" / "cut"
    write_cut(out, source, onnx=True, tolerance=1e-4, licence="CC0")
    return Written(out, read_cut(out), json.loads((out / "card.json").read_text()), source, folder)


def write_scores(results: Path) -> None:
    """Write scores of the layer in two folds at both steps, beside others."""
    write_facts(results, Facts([recommendation()], [], unit_rows=["nmi"]))
    keys = {"dataset": "trees", "model": "tiny", "seed": 3, "pooling": "class_token", "metric": "nmi", "step": 50}
    of_layer = keys | {"layer": "blocks.2", "split": "unseen", "better": "higher"}
    rows = [of_layer | {"fold": fold, "value": value} for fold, value in (("0", 0.2), ("1", 0.4), ("all", 0.9))]
    rows += [of_layer | {"fold": "0", "split": "test", "value": 0.25}]
    rows += [of_layer | {"fold": "0", "step": 0, "value": 0.125}]
    others = ({"pooling": "max"}, {"layer": "blocks.1"}, {"split": "unseen_matched"}, {"metric": "probe_accuracy"})
    rows += [of_layer | {"fold": "0", "value": 0.9} | other for other in others]
    write_layer_scores(results / "layers.csv", pd.DataFrame(rows, columns=[*COLUMNS]))


def test_the_folder_holds_its_files_and_nothing_beside_it(written: Written):
    assert {path.name for path in written.path.iterdir()} == FILES
    assert [path.name for path in written.path.parent.iterdir()] == ["cut"]
    assert set(written.card["files"]) == FILES - CARDS
    for name, about in written.card["files"].items():
        content = (written.path / name).read_bytes()
        assert about == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_folder_is_read_as_it_was_written(written: Written):
    about, width, decode = written.read
    cell = {"dataset": "trees", "model": "tiny", "fold": "0", "seed": 3, "step": 50}
    assert about == cell | {"layer": "blocks.2", "pooling": "class_token", "scale": "l2"}
    assert decode == {"size": 40, "fit": "crop", "fill": 255, "bits": 16}
    preprocess = json.loads((written.path / "preprocess.json").read_text())
    assert preprocess["input"] == {"name": "pixels", "dtype": "uint8", "shape": ["batch", 3, 40, 40]}
    output = {"name": "embedding", "dtype": "float32", "shape": ["batch", width], "scale": "l2"}
    assert preprocess["output"] == output


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_one_bit_of_the_network_that_flips_is_found(written: Written, tmp_path: Path, place: float):
    path = Path(shutil.copytree(written.path, tmp_path / "cut"))
    content = bytearray((path / PROGRAM).read_bytes())
    content[int(place * len(content))] ^= 1
    (path / PROGRAM).write_bytes(content)
    with pytest.raises(UserError, match=r"model\.pt2: must be as it was written"):
        read_cut(path)


def test_weights_are_the_program_s_and_the_checkpoint_s_by_name(written: Written):
    weights = load_file(written.path / "weights.safetensors")
    program = load_program(written.path / PROGRAM).state_dict()
    checkpoint = read_state(written.source.checkpoint)
    assert set(weights) == set(program)
    assert all(torch.equal(weights[name], tensor) for name, tensor in program.items())
    own = set(weights) & set(checkpoint)
    assert all(torch.equal(weights[name], checkpoint[name]) for name in own)
    assert {name for name in weights if name.startswith("blocks.")} <= own
    assert not [name for name in weights if re.match(r"(blocks\.[3-5]|norm|head|fc_norm)\b", name)]


def test_the_card_says_what_was_cut(written: Written):
    card, source = written.card, written.source
    assert (card["layer"]["place"], card["layer"]["name"], card["layer"]["pooling"]) == (
        "4 of 7",
        "blocks.2",
        "class_token",
    )
    assert card["cell"] == {"dataset": "trees", "model": "tiny", "fold": "0", "seed": 3, "step": 50}
    assert (card["data"]["classes"], card["data"]["unseen_classes"]) == (list(SEEN), list(UNSEEN))
    assert card["network"]["weights_licence"] == "CC0"
    manifest = (written.folder / "prepared" / "manifest.csv").read_bytes()
    assert card["data"]["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    assert card["size"]["parameters"] == source.layer.parameters
    agreement = card["agreement"]
    assert (agreement["source"], agreement["images"], agreement["split"]) == ("the embedding store", 10, "unseen")
    assert all(0 <= value < 1e-4 for value in agreement["distance"].values())
    assert card["versions"]["torch"] == importlib.metadata.version("torch")  # torch names its build as well


@pytest.mark.parametrize(
    ("named", "file", "licence"),
    [
        ("License: UNKNOWN", "Apache Software License 2.0\n\nCopyright", "Apache-2.0"),
        ("License: BSD", "MIT License", "BSD"),
        ("License-Expression: MIT", None, "MIT"),
        ("License: UNKNOWN", None, None),
    ],
)
def test_a_package_s_licence_is_that_of_its_metadata_or_file(
    tmp_path: Path, named: str, file: str | None, licence: str | None
):
    info = tmp_path / "weights-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: weights\nVersion: 1\n{named}\n")
    (info / "RECORD").write_text("weights-1.dist-info/LICENSE,,\n" if file else "")
    if file:
        (info / "LICENSE").write_text(file)
    assert package_licence(importlib.metadata.PathDistribution(info)) == licence


def test_the_card_s_scores_are_the_layer_s_over_folds_at_its_step(written: Written):
    unseen = {"metric": "nmi", "split": "unseen", "value": pytest.approx(0.3)}
    assert written.card["scores"] == [unseen, {"metric": "nmi", "split": "test", "value": 0.25}]
    rows = (written.path / "README.md").read_text().splitlines()
    assert "| nmi | unseen | 0.300 |" in rows
    assert layer_scores(replace(written.source, step=0)) == [unseen | {"value": 0.125}]
    first = {**written.card, "cell": {**written.card["cell"], "step": 0}}
    assert "of timm, which was not fine-tuned, cut" in readme(first, {**written.read[2], "image_size": 40})


@pytest.mark.parametrize(("scaling", "metrics"), [("none", ["probe_accuracy"]), ("standard", [])])
def test_scores_of_rows_that_are_not_shipped_are_not_the_card_s(written: Written, scaling: Scaling, metrics: list[str]):
    other = replace(written.source, scaler=Scaler(scaling))
    assert [score["metric"] for score in layer_scores(other)] == metrics


def test_multiply_adds_are_those_of_the_file(written: Written):
    program = load_program(written.path / PROGRAM)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():  # no fused attention
        program(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))
    assert written.card["size"]["multiply_adds"] == counter.get_total_flops() // 2
    assert written.card["size"]["multiply_adds"] < written.card["size"]["network_multiply_adds"]


def test_no_file_names_a_path_of_this_machine(written: Written):
    for path in written.path.iterdir():
        content = path.read_bytes()
        for name in (ROOT, written.folder, Path(torch.__file__).parent, Path.home()):
            assert str(name).encode() not in content, path.name


def picture(kind: str) -> tuple[bytes, Image.Image]:
    """An image file of its kind, wider than high, with a gradient."""
    y, x = np.mgrid[0:90, 0:150]
    colours = np.stack([x + 50, y * 2, 255 - x], axis=-1).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(colours)
    options: dict[str, Any] = {}
    if kind == "transparent":
        image.putalpha(Image.fromarray((x + y).clip(0, 255).astype(np.uint8)))
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6  # a quarter to the right
        options["exif"] = exif
    if kind == "large":
        image, options["quality"] = image.resize((1500, 900)), 95
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG" if kind in ("turned", "large") else "PNG", **options)
    return buffer.getvalue(), image


def run_alone(code: str, folder: Path, runtime: str) -> np.ndarray:
    """Run lines in a process of their own, in a folder, where the project cannot be imported."""
    folder.mkdir(exist_ok=True)
    check = "import importlib.util, sys; assert importlib.util.find_spec('stages') is None"
    other = "torch" if runtime == "onnx" else "onnxruntime"
    end = f"assert '{other}' not in sys.modules\nnumpy.save('found.npy', numpy.asarray(embedding))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"{check}\n{code}\n{end}"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: np.ndarray = np.load(folder / "found.npy")
    return found


@pytest.mark.parametrize("kind", ["plain", "transparent", "turned", "large"])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_card_s_decoding_is_the_prepare_stage_s(written: Written, tmp_path: Path, kind: str, fit: str):
    """The lines up to the pixels, in this process."""
    content, _ = picture(kind)
    (tmp_path / "image.png").write_bytes(content)
    expected = read_pixels(content, max_pixels=10**8, size=40, fit=fit, fill=200)  # type: ignore[arg-type]
    np.testing.assert_array_equal(pixels_by_card(written, tmp_path / "image.png", fit, 16), expected.pixels)


def pixels_by_card(written: Written, path: Path, fit: str, bits: int) -> np.ndarray:
    text = readme(written.card, {"image_size": 40, "fit": fit, "fill": 200, "bits": bits})
    (lines,) = re.findall(r"```python\nimport numpy, onnxruntime\n(.*?)\nsession", text, flags=re.S)
    names: dict[str, Any] = {"numpy": np}
    exec(lines.replace("image.png", str(path)), names)
    pixels: np.ndarray = names["pixels"][0].transpose(1, 2, 0)
    return pixels


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_the_card_scales_the_dataset_s_bits_and_refuses_more(written: Written, tmp_path: Path, kind: str, bits: int):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp(bits, 90).astype(np.uint16)).save(tmp_path / "image", kind, exif=exif)
    how: Any = {"max_pixels": 10**6, "size": 40, "fit": "squash", "fill": 200, "bits": bits}
    expected = read_pixels((tmp_path / "image").read_bytes(), **how)
    assert expected.pixels.max() > 250
    np.testing.assert_array_equal(pixels_by_card(written, tmp_path / "image", "squash", bits), expected.pixels)
    Image.fromarray(np.full((9, 9), 2**bits, np.int32)).save(tmp_path / "image", "TIFF")
    with pytest.raises(IndexError, match=f"{2**bits} is out of bounds"):
        pixels_by_card(written, tmp_path / "image", "squash", bits)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_twelve_lines_embed_an_image_without_the_project(written: Written, tmp_path: Path, runtime: str):
    blocks = re.findall(r"```python\n(.*?)```", (written.path / "README.md").read_text(), flags=re.S)
    (code,) = [block for block in blocks if ("onnxruntime" in block) == (runtime == "onnx") and "Image.open" in block]
    assert len([line for line in code.splitlines() if line]) <= 12
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for path in written.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content, _ = picture("plain")
    (folder / "image.png").write_bytes(content)
    decoded = read_pixels(content, max_pixels=10**6, size=40).pixels
    pixels = torch.from_numpy(decoded.copy()).permute(2, 0, 1)[None].contiguous()
    with torch.inference_mode():
        expected = load_program(written.path / PROGRAM)(pixels).numpy()
    np.testing.assert_allclose(run_alone(code, folder, runtime), expected, atol=1e-5 * np.abs(expected).max())


def test_a_cut_that_does_not_agree_leaves_nothing(tmp_path: Path):
    params, cell, paths = finish_cell(tmp_path, dtype="float16")
    source = open_source(params, cell, paths, Wanted(step=0, layers=["blocks.0@max"]))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"model\.pt2 must give .* within 1e-07 of their length, found 0\.000[1-9]"):
        write_cut(tmp_path / "cut", source, onnx=False, tolerance=1e-7, licence=None)
    assert sorted(tmp_path.iterdir()) == before
    write_cut(tmp_path / "cut", source, onnx=False, tolerance=3e-3, licence=None)
    assert {path.name for path in (tmp_path / "cut").iterdir()} == FILES - {"model.onnx"}
    card = json.loads((tmp_path / "cut" / "card.json").read_text())
    assert (card["cell"]["step"], card["layer"]["name"], card["scores"]) == (0, "blocks.0@max", [])
    assert card["network"]["weights_licence"] == "none: random weights"
    assert "onnx" not in card["versions"]


def test_a_cell_of_another_version_of_its_library_is_noted_and_compared_more_strictly(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    source = replace(written.source, store=replace(written.source.store, made_with={"embed": {"timm": "0.1"}}))
    monkeypatch.setattr(cut_folder.export, "export_layer", lambda *_: (torch.export.load(written.path / PROGRAM), {}))
    reference = cut_folder.take_reference(source)
    monkeypatch.setattr(
        cut_folder, "take_reference", lambda _: replace(reference, embeddings=1.0015 * reference.embeddings)
    )
    write_cut(tmp_path / "a", written.source, onnx=False, tolerance=None, licence=None)
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"to within 0\.001 of their length, found 0\.001"):
        write_cut(tmp_path / "b", source, onnx=False, tolerance=None, licence=None)
    assert "trees-tiny-0-3 was made with different library versions: timm 0.1, now " in capsys.readouterr().err


@pytest.mark.parametrize(("fold", "frozen"), [("all", False), ("0", True)])
def test_fold_all_and_frozen_networks_are_cut(tmp_path: Path, fold: str, frozen: bool):
    params, cell, paths = finish_cell(tmp_path, fold=fold, frozen=frozen)
    source = open_source(params, cell, paths, Wanted(layers=["norm_pre"]))
    write_cut(tmp_path / "cut", source, onnx=False, tolerance=1e-4, licence=None)
    card = json.loads((tmp_path / "cut" / "card.json").read_text())
    everything = sorted((*SEEN, *UNSEEN))
    assert card["data"]["classes"] == ([] if frozen else everything)
    assert card["agreement"]["split"] == ("test" if fold == "all" else "unseen")
    assert ("was not fine-tuned" in (tmp_path / "cut" / "README.md").read_text()) == frozen


def test_what_is_there_is_not_overwritten(tmp_path: Path):
    check_new(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    check_new(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for name in ("full", "full/file"):
        with pytest.raises(UserError, match=f"{name}: must not exist, since nothing is overwritten; choose another"):
            check_new(tmp_path / name)
    (tmp_path / "link").symlink_to("empty")
    for name, folder in (("empty", False), ("link", True)):
        with pytest.raises(UserError, match=f"{name}: must not exist"):
            check_new(tmp_path / name, folder=folder)


def test_where_nothing_can_be_made_is_said_before_work(tmp_path: Path):
    check_new(tmp_path / "deep" / "new")
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    places = {tmp_path / "file" / "a": "file", tmp_path / "loop" / "a" / "b": "loop", Path("/proc/a"): "/proc"}
    for out, nearest in places.items():
        with pytest.raises(UserError, match=f"{out}: must be a path that can be made, found .*{nearest}, where"):
            check_new(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]


EMBEDDINGS = np.array([[3, 4], [0, 5], [5, 0]], dtype=np.float32)
REFERENCE = Reference("unseen", "the embedding store", np.zeros((3, 3, 2, 2), np.uint8), EMBEDDINGS)


def test_the_distance_is_the_worst_image_s_relative_to_the_length_of_an_embedding():
    found = EMBEDDINGS + np.array([[0, 0], [0.3, 0.4], [0, 0.1]], dtype=np.float32)
    assert REFERENCE.distance(found) == pytest.approx(0.5 / 5)
    assert REFERENCE.distance(found[:1]) == 0


def test_batches_of_every_size_are_compared():
    sizes: set[int] = set()

    def run(pixels: Pixels) -> Float32:
        sizes.add(len(pixels))
        return np.tile(np.array([[1, 0]], np.float32), (len(pixels), 1)) * (1.5 if len(pixels) == 7 else 1)

    embeddings = np.tile(np.array([[1, 0]], np.float32), (20, 1))
    reference = Reference("test", "the network", np.zeros((20, 3, 2, 2), np.uint8), embeddings)
    with pytest.raises(UserError, match=r"within 0\.1 of their length, found 0\.5 on 20 images in the"):
        check_agreement(run, reference, 0.1, "model.pt2")
    assert check_agreement(run, reference, 0.6, "model.pt2") == pytest.approx(0.5)
    assert sizes == {1, 2, 7, 20}


@pytest.mark.parametrize("found", [EMBEDDINGS * np.nan, EMBEDDINGS[:, :1]])
def test_nan_and_other_shapes_never_agree(found: Float32):
    with pytest.raises(UserError, match=r"found nan|must have the shape"):
        check_agreement(lambda pixels: found[: len(pixels)], REFERENCE, 1e9, "model.onnx")


def test_nan_in_one_batch_never_agrees():
    def run(pixels: Pixels) -> Float32:
        return EMBEDDINGS[: len(pixels)] * np.float32(np.nan if len(pixels) == 2 else 1)

    with pytest.raises(UserError, match="found nan"):
        check_agreement(run, REFERENCE, 1e9, "model.pt2")


@pytest.mark.parametrize(("fold", "split"), [("0", "unseen"), ("all", "test")])
def test_the_reference_is_the_store_s_at_the_step_and_layer(tmp_path: Path, fold: str, split: str):
    params, cell, paths = finish_cell(tmp_path, fold=fold)
    source = open_source(params, cell, paths, Wanted(step=0, layers=["blocks.1@max"]))
    reference = take_reference(source)
    images = open_images(paths.prepared, fold)
    rows = images.rows(split)  # the store has a split's images in this order, too
    assert (reference.split, reference.source) == (split, "the embedding store")
    np.testing.assert_array_equal(reference.pixels, images.read(rows).transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(reference.embeddings, source.store.features(source.layer, 0, split))


def test_a_cut_is_not_written_if_the_images_to_try_it_with_are_gone(tmp_path: Path):
    params, cell, paths = finish_cell(tmp_path)
    shutil.rmtree(paths.prepared)
    source = open_source(params, cell, paths, Wanted(layers=["blocks.1"]))
    with pytest.raises(UserError, match="run `dvc repro prepare@trees`"):
        write_cut(tmp_path / "cut", source, onnx=False, tolerance=None, licence=None)


def test_rotated_images_are_no_reference(tmp_path: Path):
    params, cell, paths = finish_cell(tmp_path, augment=True, dtype="float16")
    source = open_source(params, cell, paths, Wanted(layers=["blocks.1"]))
    reference = take_reference(source)
    assert reference.source == "the network"
    stored = source.store.features(source.layer, 50, "unseen")
    assert 0.01 < reference.distance(stored) < 1  # rotated by up to ten degrees
