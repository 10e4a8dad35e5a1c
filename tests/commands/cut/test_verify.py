"""How far a file is from what the workflow measured, and what is said where that is too far."""

from pathlib import Path

import numpy as np
import pytest

from stages.commands.cut.cell import open_source
from stages.commands.cut.verify import Float32, Reference, check_agreement, default_tolerance, take_reference
from stages.commands.cut.which_layer import Wanted
from stages.shared.images.image_store import Pixels, open_images
from stages.shared.runtime.errors import UserError
from tests.commands.cut.finished import finish_cell

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
    with pytest.raises(UserError, match=r"within 0\.1 of their length, found a distance of 0\.5 on 20 images of the"):
        check_agreement(run, reference, 0.1, "model.pt2")
    assert check_agreement(run, reference, 0.6, "model.pt2") == pytest.approx(0.5)
    assert sizes == {1, 2, 7, 20}


@pytest.mark.parametrize("found", [EMBEDDINGS * np.nan, EMBEDDINGS[:, :1]])
def test_nan_and_other_shapes_never_agree(found: Float32):
    with pytest.raises(UserError, match=r"found a distance of nan|must be of shape"):
        check_agreement(lambda pixels: found[: len(pixels)], REFERENCE, 1e9, "model.onnx")


def test_nan_in_one_batch_never_agrees():
    def run(pixels: Pixels) -> Float32:
        return EMBEDDINGS[: len(pixels)] * np.float32(np.nan if len(pixels) == 2 else 1)

    with pytest.raises(UserError, match="found a distance of nan"):
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


def test_rotated_images_are_no_reference(tmp_path: Path):
    params, cell, paths = finish_cell(tmp_path, augment=True, dtype="float16")
    source = open_source(params, cell, paths, Wanted(layers=["blocks.1"]))
    reference = take_reference(source)
    assert reference.source == "the network"
    stored = source.store.features(source.layer, 50, "unseen")
    assert 0.01 < reference.distance(stored) < 1  # rotated by up to ten degrees
    assert default_tolerance(source) < 0.01
