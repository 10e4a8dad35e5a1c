"""`whichlayer quick` on a folder of images: plain scores of every layer first, then the verdict; what it keeps."""

import itertools
import os
import re
import shutil
import sys
import weakref
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from stages.commands.quick.command import POOLINGS, embed_all, embed_folder, quick
from stages.commands.quick.images import FolderImages, choose_images, drop_copies, keep_rows
from stages.commands.quick.waves import AFTER_PLAIN, QUICK, answer, cost, curve_of, fitted
from stages.core.representations.representation import Representation
from stages.library import choose_representation, embedding, score
from stages.library.checks import check_layers
from stages.library.compared import compare
from stages.library.export import compute_results
from stages.library.settings import read_settings
from stages.prepare import decode, raw_files
from stages.shared.networks.params import named_network
from stages.shared.runtime.errors import UserError
from stages.shared.runtime.package import PARAMS
from stages.shared.workflow.params import load
from tests.faults.images import png_that_says


def run(*args):
    return CliRunner().invoke(quick, [str(each) for each in args], catch_exceptions=False)


def read_folder(folder, size=8):
    with ExitStack() as resources:
        images = FolderImages(folder, choose_images(folder, None, 100, resources))
        pixels = np.stack([*images.pixels(size)])
    kept = drop_copies(folder, images.facts)
    return pixels[kept.index], kept["label"].tolist()


@pytest.mark.parametrize("networks", [1, 2])
def test_no_more_images_are_in_memory_than_a_batch_and_those_decoded_ahead(tmp_path, monkeypatch, networks):
    monkeypatch.setattr(decode, "IMAGES_AHEAD", 8)
    monkeypatch.setattr(embedding, "BATCH_SIZE", 8)
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(40):
            Image.new("RGB", (8, 8), (number, 0, label == "a")).save(tmp_path / label / f"{number}.png")
    held, most = weakref.WeakSet(), []

    class Watched(np.ndarray):
        """Pixels that are counted while they are alive."""

        __hash__ = object.__hash__

    def watched(*args, **how):
        found = read_pixels(*args, **how)
        held.add(pixels := found.pixels.view(Watched))
        most.append(len(held))
        return found._replace(pixels=pixels)

    def embed(params, pixels, count, taps, poolings, **how):
        stream, done = iter(pixels), 0
        while batch := [*itertools.islice(stream, 8)]:
            done += len(batch)
        assert done == count
        return {"auto": {"last": np.zeros((count, 1), np.float32)}}

    read_pixels = decode.read_pixels
    monkeypatch.setattr(decode, "read_pixels", watched)
    monkeypatch.setattr(embedding, "embed_named", embed)
    entries = [(f"net{number}", 32, SimpleNamespace(image_size=32)) for number in range(networks)]
    sources, labels = embed_folder(tmp_path, None, 100, entries, ("auto",), 1)
    assert len(sources) == networks
    assert [len(labels), len(most)] == [80, 80 * networks]
    assert max(most) <= 8 + 8 + 8  # ahead, the batch and the one before it, which goes when the next one is whole


def test_images_that_are_no_copies_keep_their_rows_in_the_same_memory():
    X, Y = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(4, dtype=np.float32).reshape(4, 1)
    sources = [{"first": X, "last": Y}, {"first": X}]
    expected = X[[1, 3]], Y[[1, 3]]
    keep_rows(sources, [1, 3])
    np.testing.assert_array_equal(sources[0]["first"], expected[0])
    np.testing.assert_array_equal(sources[1]["first"], expected[0])
    np.testing.assert_array_equal(sources[0]["last"], expected[1])
    assert np.shares_memory(sources[0]["first"], X)


def test_images_are_chosen_before_any_is_read(tmp_path, monkeypatch):
    write_classes(tmp_path, 30, 30)
    read, read_file = [], raw_files.read_file
    monkeypatch.setattr(raw_files, "read_file", lambda path: read.append(path) or read_file(path))
    with ExitStack() as resources:
        chosen = choose_images(tmp_path, None, 6, resources)
        assert not read
        assert len([*FolderImages(tmp_path, chosen).pixels(8)]) == len(read) == 12


def test_all_files_that_are_no_images_are_named_at_once(tmp_path):
    write_classes(tmp_path, 6, 6)
    for name in ("class0/1.png", "class1/4.png"):
        (tmp_path / name).write_bytes(b"none")
    with pytest.raises(UserError, match=r"found class0/1.png: not an .*, class1/4.png: not an .*; remove such files"):
        read_folder(tmp_path)


def test_a_folder_has_plain_scores_then_a_verdict_and_its_embeddings_are_kept(tmp_path):
    random, out = np.random.default_rng(0), tmp_path / "out"
    for number in range(4):
        (tmp_path / "photos" / f"class{number}").mkdir(parents=True)
        colour = random.integers(0, 256, 3)
        for image in range(7):
            pixels = np.clip(colour + random.normal(0, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / f"class{number}" / f"{image}.png")
    done = run(tmp_path / "photos", "--image-size", 32, "--per-class", 6, "--out", out)
    assert done.exit_code == 0, done.stderr
    phases = ["1 of 3, plain scores", "2 of 3, linear probe", "3 of 3, gains and intervals"]
    assert [line[7:] for line in done.stderr.splitlines() if " of 3, " in line] == phases
    told = done.stderr.index("quick: gains and intervals: about ")
    assert done.stderr.index("1 of 3, ") < told < done.stderr.index("2 of 3, ")
    plain, _, later = done.stdout.partition(AFTER_PLAIN)
    probe, _, choice = later.partition(": ")
    rows = [line.split() for line in plain.splitlines()[2:-1]]
    assert [row[0] for row in rows] == ["bn1", *(f"blocks.{i}" for i in range(7)), "bn2"]
    assert [line.split()[0] for line in probe.strip().splitlines()[2:11]] == [row[0] for row in rows]
    assert "retrieval (MAP@R)" in choice
    kept = pd.read_csv(next(out.glob("measures/*/*/0/0/layers.csv"))).pivot(index="layer", columns="metric")["value"]
    assert {row[0]: row[1:] for row in rows} == {
        layer: [f"{value:.3f}" for value in values] for layer, values in kept[QUICK[:-1]].iterrows()
    }
    assert (out / "report.html").is_file()
    with np.load(out / "embeddings.npz", allow_pickle=False) as kept:
        assert kept["bn2"].shape == (24, 1280)
        assert sorted({*kept["labels"].tolist()}) == [f"class{number}" for number in range(4)]


@pytest.mark.parametrize(
    ("classes", "use", "told"),
    [
        (15, None, "gains and intervals: about 31 s; --use retrieval: 6 s"),
        (9, None, "gains and intervals: about 56 s; --use retrieval: 6 s"),
        (150, "discovery", "gains and intervals: about 31 s"),
    ],
)
def test_refits_cost_a_multiple_of_the_plain_scores(classes, use, told):
    seconds = {"map_at_r": 8, "nn1_accuracy": 8, "nmi": 20}
    assert cost(seconds, classes, 2, use) == told


def test_for_one_use_only_its_scores_are_computed(tmp_path):
    """The representation that is kept is of this use."""
    (tmp_path / "photos").mkdir()
    write_classes(tmp_path / "photos", *[5] * 8)
    for use, waves in (("classifier", "linear probe"), ("retrieval", "plain scores")):
        out = tmp_path / use
        done = run(tmp_path / "photos", "--image-size", 32, "--use", use, "--out", out)
        assert waves in done.stderr
        assert ("linear probe" in done.stderr) == (use == "classifier")
        assert "joins of layers\n" in done.stderr
        assert f"\nFor {use}, joins of layers included, " in done.stdout
        table = done.stdout.partition("joins of layers included")[2]
        assert [line.split()[0] for line in table.splitlines() if " M" in line] == [use, "habit"]
        with np.load(out / "embeddings.npz", allow_pickle=False) as kept:
            layers = {name: kept[name] for name in kept.files if name != "labels"}
        made = Representation.load(out / "representation.safetensors")
        np.testing.assert_allclose(np.linalg.norm(made.transform(layers), axis=1), 1, atol=1e-5)
        kept = pd.read_csv(out / "representation.csv", index_col=["use", "choice"])
        assert {*kept.index.get_level_values("use")} == {use}
        assert kept.loc[(use, "best of all"), "features"] == made.n_features_out_


def test_networks_sizes_and_poolings_compete_and_each_is_embedded_once(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    write_classes(tmp_path / "photos", *[5] * 8)
    passes, embed_named = [], embedding.embed_named

    def noted(params, images, count, taps, poolings, **how):
        passes.append((params.name, params.image_size, poolings))
        return embed_named(params, images, count, taps, poolings, **how)

    monkeypatch.setattr("stages.library.embedding.embed_named", noted)
    networks = ("--network", "efficientnet_lite0", "--network", "efficientnet_lite1")
    options = (*networks, "--image-size", 32, "--image-size", 40, "--pooling", "mean", "--pooling", "max")
    done = run(tmp_path / "photos", *options, "--dimensions", 3, "--use", "retrieval", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "\nMAP@R by dimensions: " in done.stdout
    names, sizes = ("tf_efficientnet_lite0", "tf_efficientnet_lite1"), (32, 40)
    assert passes == [(name, size, ("mean", "max")) for name in names for size in sizes]
    rows = [line.split("  ")[0] for line in done.stdout.partition("joins of layers")[2].splitlines()]
    groups = [f"efficientnet_lite{n} {size} {p}" for n in (0, 1) for size in sizes for p in ("mean", "max")]
    assert [row for row in rows if row in groups] == groups
    assert "The habit is efficientnet_lite0 32 mean: bn2." in " ".join(done.stdout.split())
    plain = done.stdout.partition(AFTER_PLAIN)[0].splitlines()
    assert plain[-2].startswith("efficientnet_lite0 32 mean bn2")  # over which gains are
    made = Representation.load(tmp_path / "out" / "representation.safetensors")
    assert (made.origin.network, made.origin.image_size, made.origin.pooling) in itertools.product(
        ("efficientnet_lite0", "efficientnet_lite1"), sizes, ("mean", "max")
    )
    with np.load(tmp_path / "out" / "embeddings.npz", allow_pickle=False) as kept:
        at = " ".join(map(str, (made.origin.network, made.origin.image_size, made.origin.pooling)))
        layers = {name: kept[f"{at} {name}"] for name in made.layers}
    assert made.transform(layers).shape == (40, 3)


def test_waves_give_the_bytes_of_the_stage(tmp_path):
    random = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c", "d"], 12)
    centres = {label: random.normal(size=8) for label in "abcd"}
    layers = {name: np.array([centres[y] for y in labels]) + random.normal(size=(48, 8)) for name in ("one", "two")}
    measure, aggregate, asked = read_settings(PARAMS, ",".join(QUICK))
    measure, tables = measure.model_copy(update={"analyses": []}), []
    for name, on_scores in (("stage", None), ("waves", tables.append)):
        found = score(layers, labels, **asked, on_scores=on_scores)
        compute_results(tmp_path / name, found, measure=measure, aggregate=aggregate, workers=1)
    assert [list(table) for table in tables] == [QUICK[:-1], QUICK]
    files = [path.relative_to(tmp_path / "stage") for path in (tmp_path / "stage").rglob("*.*")]
    assert len(files) > 4
    for file in files:
        assert (tmp_path / "waves" / file).read_bytes() == (tmp_path / "stage" / file).read_bytes(), file


def write_classes(folder, *counts):
    for number, count in enumerate(counts):
        (folder / f"class{number}").mkdir()
        for image in range(count):
            Image.new("RGB", (8, 8), (image, number, 0)).save(folder / f"class{number}" / f"{image}.png")


@pytest.mark.parametrize(
    ("counts", "args", "message"),
    [
        ((6, 1), (), r"2 classes, and every class at least 5 images, found class1 \("),
        ((6,), (), r"2 classes, and every class at least 5 images, found class0 \("),
        ((), ("--demo",), "give a folder of images, or use --demo"),
    ],
)
def test_what_is_wrong_is_named_before_torch_is_imported(tmp_path, monkeypatch, counts, args, message):
    write_classes(tmp_path, *counts)
    monkeypatch.setitem(sys.modules, "stages.commands.quick.waves", None)
    with pytest.raises(UserError, match=message):
        run(tmp_path, "--image-size", 32, *args)


def test_copies_are_left_out_and_counted(tmp_path, capsys):
    write_classes(tmp_path, 8, 8)
    shutil.copy(tmp_path / "class0" / "0.png", tmp_path / "class1" / "copy.png")
    shutil.copy(tmp_path / "class0" / "1.png", tmp_path / "class0" / "copy.png")
    labels = read_folder(tmp_path)[1]
    assert [labels.count("class0"), labels.count("class1")] == [7, 8]
    assert "left out 3 copies of images" in capsys.readouterr().err


def test_a_class_of_which_all_images_are_copies_is_named(tmp_path, capsys):
    write_classes(tmp_path, 6, 6, 6)
    shutil.copytree(tmp_path / "class1", tmp_path / "same as class1")
    labels = read_folder(tmp_path)[1]
    assert {*labels} == {"class0", "class2"}
    assert "so that no image is left of 'class1', 'same as class1'\n" in capsys.readouterr().err


def test_a_table_beside_the_images_is_named(tmp_path):
    write_classes(tmp_path, 6)
    rows = [f"class0/{image}.png,{image % 2}" for image in range(6)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(UserError, match=r"found class0 \(6\); .*, or give the table .* \(--table labels\.csv\)"):
        run(tmp_path, "--image-size", 32)
    for image in (tmp_path / "class0").iterdir():
        image.rename(tmp_path / image.name)
    with pytest.raises(
        UserError, match=r"no class folder with images; .*`whichlayer quick FOLDER --table labels\.csv`"
    ):
        run(tmp_path, "--image-size", 32)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_the_depth_of_a_folder_is_found_and_said(tmp_path, capsys, bits):
    random = np.random.default_rng(0)
    for number in range(2):
        (tmp_path / f"class{number}").mkdir()
        for image in range(5):
            pixels = random.integers(0, 256, (8, 8)).astype(np.uint16)
            pixels[0, 0] = 255
            scaled = pixels * np.uint16((2**bits - 1) // 255)
            Image.fromarray(scaled).save(tmp_path / f"class{number}" / f"{image}.png")
    pixels = read_folder(tmp_path)[0]
    assert pixels.max() >= 254
    assert len(np.unique(pixels)) > 100
    said = f"quick: images of 16 bits use {bits}, so {2**bits - 1} is taken for white"
    assert (said in capsys.readouterr().err) == (bits < 16)


def test_what_prepare_refuses_is_refused(tmp_path):
    write_classes(tmp_path, 5, 5)
    image = tmp_path / "class0" / "0.png"
    for make, message in (
        (os.mkfifo, r"class0/0\.png: must be a regular file, found a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), r"class0/0\.png: must be a regular file, found a device"),
        (lambda path: path.write_bytes(png_that_says(12_000, 10_000)), r"class0/0\.png: more than 50000000 pixels"),
    ):
        image.unlink()
        make(image)
        with pytest.raises(UserError, match=message):
            read_folder(tmp_path)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--network", "hf-hub:timm/resnet18.a1_in1k"), "take 'resnet18.a1_in1k'"),
        (("--network", "local-dir:x"), "must be the name of a model of params.yaml or of timm, .* found 'local-dir:x'"),
        (("--network", ""), "found ''"),
        (("--image-size", 5000), "less than or equal to 2048; found 5000"),
    ],
)
def test_names_and_sizes_are_checked_before_images_are_read(tmp_path, args, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, *args)


@pytest.mark.parametrize(
    ("args", "size", "said"),
    [
        ((), 224, "12 of 12 images are smaller than 224 px and are enlarged, .*; --image-size 8 takes 784 times less"),
        (("--image-size", 8), 8, ""),
    ],
)
def test_the_networks_own_size_is_the_default(tmp_path, monkeypatch, args, size, said):
    (tmp_path / "photos").mkdir()
    write_classes(tmp_path / "photos", 6, 6)
    monkeypatch.setattr(embedding, "embed_named", lambda _, pixels, *__, **___: {"auto": {"x": np.stack([*pixels])}})
    given = []
    monkeypatch.setattr("stages.commands.quick.waves.answer", lambda sources, *_: given.append(sources))
    done = run(tmp_path / "photos", *args)
    ((layers,),) = [each.values() for each in given]
    assert layers["x"].shape == (12, size, size, 3)
    assert f"12 images, efficientnet_lite0 at {size} px" in done.stderr
    assert bool(re.search("smaller", done.stderr)) == bool(said)
    assert re.search(said, done.stderr)


@pytest.mark.parametrize(("sides", "saving"), [([8] * 3 + [40] * 9, ""), ([30] * 12, ""), ([16] * 12, "takes 4 times")])
def test_a_smaller_size_is_proposed_only_if_it_suits_most_images_and_saves_time(capsys, sides, saving):
    FolderImages(PARAMS, [None] * 12)._print_enlarged(sides, 32)
    said = capsys.readouterr().err
    assert "images are smaller than 32 px and are enlarged" in said
    assert ("--image-size" in said) == bool(saving)
    assert saving in said


def test_hidden_folders_are_named_as_left_out(tmp_path, capsys):
    write_classes(tmp_path, 6, 6, 6)
    (class_folder,) = tmp_path.glob("*0")
    class_folder.rename(tmp_path / "..odd..")
    with ExitStack() as resources:
        chosen = choose_images(tmp_path, None, 6, resources)
    assert len(chosen) == 12
    assert capsys.readouterr().err == "quick: left out hidden folders: '..odd..'\n"


@pytest.mark.parametrize("out", ["out", "class0/out", "../photos/out"])
def test_nothing_is_written_among_the_images(tmp_path, out):
    (tmp_path / "photos").mkdir()
    write_classes(tmp_path / "photos", 6, 6)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"must not lie in the image folder, .*/photos, .* another path with"):
        run(tmp_path / "photos", "--out", tmp_path / "photos" / out)
    assert sorted(tmp_path.rglob("*")) == before


def test_detection_is_refused_before_any_work():
    with pytest.raises(UserError, match="--use detection needs classes that the network was trained on"):
        run("--demo", "--use", "detection")


def embedded(classes):
    labels = [f"class {number}" for number in range(classes) for _ in range(5)]
    random = np.random.default_rng(0)
    return {name: random.standard_normal((len(labels), 4)).astype(np.float32) for name in ("first", "last")}, labels


def test_of_too_many_dimensions_all_are_kept_as_the_work_is_done(capsys):
    choice = choose_representation(*embedded(8), joins=["single"], recipes=["plain"])
    assert fitted(choice, 5).n_features_out_ == 4
    assert "quick: the representation keeps all features: dimensions must be a whole number" in capsys.readouterr().err
    assert fitted(choice, 3).n_features_out_ == 3


def test_dimensions_that_reach_no_more_than_the_habit_are_named():
    choice = choose_representation(*embedded(8), joins=["single"], recipes=["plain"], control="first")
    habit = choice.summary.loc[("retrieval", "habit"), "score"]
    score = choice.curve_at([1]).loc[1, "map_at_r"]
    assert score < habit
    told = curve_of(choice, 1)
    assert told.startswith(f"\nMAP@R by dimensions: 1: {score:.3f}, 4: ")
    assert " ".join(told.split()).endswith(f" With 1 it is no better than the habit ({habit:.3f}).")
    assert "no better" not in curve_of(choice, 5)  # of four features


def test_dimensions_without_a_representation_are_said_to_have_no_effect(capsys):
    layers, labels = embedded(3)
    answer({"net": layers}, labels, "net", "data", "retrieval", None, "", 3)
    assert "quick: --dimensions has no effect" in capsys.readouterr().err


def test_all_poolings_give_names_that_layers_can_have(monkeypatch):
    def embed(params, images, count, taps, poolings, **how):
        return {pooling: {"blocks.0": np.ones((1, 2), np.float32)} for pooling in poolings}

    monkeypatch.setattr("stages.library.embedding.embed_named", embed)
    params = named_network(load(PARAMS)["models"], "efficientnet_lite0", 32)
    sources = embed_all(FolderImages(PARAMS, [None]), [("efficientnet_lite0", params)], POOLINGS)
    compared = compare(sources, "quick", control=("auto", "blocks.0"))
    assert len(check_layers(compared.control_last, 1)) == len(POOLINGS)


def test_more_dimensions_than_images_are_refused_before_a_network_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr("stages.commands.quick.command.embed_all", lambda *_: pytest.fail("it was embedded"))
    write_classes(tmp_path, *[5] * 8)
    with pytest.raises(UserError, match=r"--dimensions must be at most the number of images, 40 of .*, found 41"):
        run(tmp_path, "--image-size", 32, "--dimensions", 41)
