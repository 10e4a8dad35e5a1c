"""`cut` and `features` with a saved representation: the library's vectors, from files that load without the project."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn.exceptions import NotFittedError

import stages.library as wl
from stages.commands.cli import whichlayer
from stages.commands.cut import export
from stages.commands.cut.folder import CARD, ONNX, PROGRAM, README
from stages.commands.cut.representation import open_representation
from stages.commands.cut.represented import Represented
from stages.core.representations.candidates import RECIPES
from stages.core.representations.representation import Representation
from stages.library.representing import Representation as InLibrary
from stages.shared.runtime.errors import UserError

NETWORK, SIZE, CLASSES, EACH = "efficientnet_lite0", 32, 5, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of noise around a colour for each class."""
    random, made = np.random.default_rng(0), tmp_path_factory.mktemp("images")
    for number in range(CLASSES * EACH):
        coarse = random.integers(0, 256, (4, 4, 3)).repeat(8, 0).repeat(8, 1)
        pixels = (coarse + random.normal(0, 20, (SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(made / f"{number:02}.png")
    return made


@pytest.fixture(scope="module")
def layers(folder: Path):
    return wl.embed(NETWORK, sorted(folder.iterdir()), image_size=SIZE, pooling="gem")


LABELS = np.repeat([f"class {number}" for number in range(CLASSES)], EACH)


def run(*words: object) -> str:
    done = CliRunner().invoke(whichlayer, [*map(str, words)])
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.mark.parametrize(
    ("recipe", "names", "dimensions"),
    [
        ("within", ("blocks.3", "blocks.4"), 12),
        ("whitened_within", ("blocks.3", "blocks.4", "blocks.5"), None),
    ],
)
def test_files_give_the_vectors_of_the_library(tmp_path: Path, folder: Path, layers, recipe, names, dimensions):
    made = Representation(names, recipe, dimensions, layers.origin).fit(layers, LABELS)
    made.save(tmp_path / "of.safetensors")
    has_onnx = recipe == "whitened_within"
    if has_onnx:
        pytest.importorskip("onnx", reason="needs whichlayer[export]")
    options = () if has_onnx else ("--no-onnx",)
    said = run("cut", "--representation", tmp_path / "of.safetensors", "--out", tmp_path / "cut", *options)
    assert said.startswith(f"cut {NETWORK} at {'+'.join(names)}, {recipe}, {made.n_features_out_} dimensions: ")
    expected = made.transform(layers)
    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]).transpose(0, 3, 1, 2).copy()
    runs = [export.load_run(tmp_path / "cut" / PROGRAM)]
    runs += [export.load_onnx(tmp_path / "cut" / ONNX)] if has_onnx else []
    for embed in runs:
        for size in (1, len(pixels)):
            found = np.concatenate([embed(pixels[i : i + size]) for i in range(0, len(pixels), size)])
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    card = json.loads((tmp_path / "cut" / CARD).read_text())
    assert card["agreement"]["distance"][PROGRAM] < 1e-5  # of strokes, too
    assert card["representation"]["reference_classes"] == sorted({*LABELS})
    assert card["size"]["parameters"] < card["size"]["network_parameters"]
    text = (tmp_path / "cut" / README).read_text()
    assert "fitted to the classes | class 0, class 1, class 2, class 3, class 4 |" in text
    assert f"vectors of {made.n_features_out_} numbers" in text
    for number, origin in enumerate((("--from", tmp_path / "cut"), ("--representation", tmp_path / "of.safetensors"))):
        run("features", folder, *origin, "--out", tmp_path / f"{number}.parquet")
        table = pd.read_parquet(tmp_path / f"{number}.parquet").sort_values("path")
        np.testing.assert_allclose(np.stack(table["features"].to_list()), expected, rtol=0, atol=1e-5)


def test_a_program_gives_the_vectors_of_flat_images(tmp_path: Path):
    """Of lines on a page, where the whitened first layers enlarge a difference in the last digits 10,000-fold."""
    random, pages = np.random.default_rng(0), np.full((24, 64, 64, 3), 255, np.uint8)
    for number, page in enumerate(pages):
        page -= np.uint8(random.integers(0, 30))
        for line in range(8, 58, 6 + number // 8):
            page[line : line + 2, 6 : random.integers(30, 58)] -= np.uint8(random.integers(20, 160))
    found = wl.embed(NETWORK, pages, image_size=64)
    made = Representation(("bn1", "blocks.0", "blocks.1"), "whitened", None, found.origin)
    made.fit(found, np.arange(24) // 8).save(tmp_path / "of")
    opened = open_representation(tmp_path / "of")
    program, _ = export.export_layer(opened.network, opened.layers, 64, opened.scaler)
    with torch.inference_mode():
        vectors = program.module()(torch.from_numpy(pages.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(vectors.numpy(), made.transform(found), rtol=0, atol=1e-5)


def test_images_become_the_vectors_of_their_layers(tmp_path: Path, folder: Path, layers):
    """Of whatever `wl.embed` takes, also after saving; without a network there must be layers."""
    paths, names = sorted(folder.iterdir()), ("blocks.3", "bn2")
    made = InLibrary(names, "within", 5, layers.origin).fit(layers, LABELS)
    expected = made.transform(layers)
    np.testing.assert_allclose(made.transform(paths), expected, rtol=0, atol=1e-5)
    made.save(tmp_path / "made")
    images = [Image.open(path) for path in paths[:3]]
    np.testing.assert_allclose(InLibrary.load(tmp_path / "made").transform(images), expected[:3], rtol=0, atol=1e-5)
    with pytest.raises(UserError, match=r"X must be a dict of embeddings, .* found list"):
        InLibrary(names).fit(layers, LABELS).transform(paths)
    with pytest.raises(NotFittedError):
        InLibrary(names, origin=layers.origin).transform(paths)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("dimensions", [None, 7])
def test_a_program_does_what_transform_does(layers, recipe, dimensions):
    names = ("blocks.2", "blocks.4", "bn2")
    made = Represented(Representation(names, recipe, dimensions).fit(layers, LABELS))
    means = [
        np.zeros_like(X[:1]) if step.mean is None else step.mean[None]
        for X, step in zip((layers[name] for name in names), made.representation.steps.values(), strict=False)
    ]
    parts = [np.vstack([layers[name], mean]).astype(np.float32) for name, mean in zip(names, means, strict=True)]
    function, how = made.program
    found = function([torch.from_numpy(part) for part in parts], how, *made.fitted.values())
    np.testing.assert_allclose(found.numpy(), made.join(parts), rtol=0, atol=1e-6)


@pytest.mark.parametrize("command", ["cut", "features"])
def test_what_is_named_twice_or_unknown_is_refused(tmp_path: Path, folder: Path, layers, command):
    words = (command, *([folder] if command == "features" else []), "--out", tmp_path / "out.npz", "--representation")
    Representation(("bn2",)).fit(layers, LABELS).save(tmp_path / "arrays.safetensors")
    with pytest.raises(UserError, match="must give its layers' network, found none"):
        run(*words, tmp_path / "arrays.safetensors")
    with pytest.raises(UserError, match="--layer: --representation names network, layers and scale itself"):
        run(*words, tmp_path / "arrays.safetensors", "--layer", "bn2")
    Representation(("relu",), origin=layers.origin).fit({"relu": layers["bn2"]}, LABELS).save(tmp_path / "relu")
    with pytest.raises(UserError, match=f"{NETWORK} must have the layer 'relu'"):
        run(*words, tmp_path / "relu")
    Representation(("bn2",), origin=layers.origin).fit({"bn2": layers["blocks.2"]}, LABELS).save(tmp_path / "width")
    with pytest.raises(UserError, match="layer 'bn2' must have 40 features, found 1280"):
        run(*words, tmp_path / "width")
