from dataclasses import replace

import numpy as np
import pytest

from stages.core.scores.halves import complementary_halves, halves_seed
from stages.measure.cell import Cell, draw_parts, groups_of, settings_of
from stages.measure.params import MeasureParams
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import parse
from tests.measure.synthetic import DEFAULT, write_store


def test_classes_are_numbered_in_the_order_of_their_names(tmp_path):
    write_store(tmp_path / "store")
    cell = Cell(open_embeddings(tmp_path / "store"), parse(DEFAULT, MeasureParams, where="measure"))
    for split in ("test", "unseen"):
        labels = cell.store.labels(split).tolist()
        assert cell.classes[split].tolist() == [sorted(set(labels)).index(label) for label in labels]
    assert cell.step == 10
    with pytest.raises(ValueError, match="no embeddings of the last step alone"):
        cell.last  # noqa: B018


def unseen_cell(tmp_path, **refits):
    write_store(tmp_path / "store", steps=(0,), sizes={"test": (4, 4), "unseen": (6, 6, 6)})
    changed = DEFAULT | {"refits": DEFAULT["refits"] | refits}
    return Cell(open_embeddings(tmp_path / "store"), parse(changed, MeasureParams, where="measure"))


def test_halves_are_those_of_the_dataset_fold_and_images(tmp_path):
    cell = unseen_cell(tmp_path, halves=6)
    ids = [f"i{n:03}" for n in range(8, 26)]
    expected = complementary_halves(cell.store.labels("unseen"), 6, halves_seed("toy", "0", ids))
    assert np.array_equal(cell.parts.halves, expected)
    other, _ = draw_parts(replace(cell.store, fold="1"), cell.params)
    assert not np.array_equal(other.halves, expected)
    assert unseen_cell(tmp_path / "none", halves=0).parts.halves.shape == (0, 18)


def test_groups_stay_whole_where_images_have_any(tmp_path):
    cell = unseen_cell(tmp_path)
    assert groups_of(cell.store, "unseen") is None
    groups = ["a", "a", "c", "c", "b", "b"] * 3
    samples = cell.store.samples.assign(group=[""] * 8 + groups)
    store = replace(cell.store, samples=samples)
    found = groups_of(store, "unseen")
    assert found.tolist() == groups
    parts, notes = draw_parts(store, cell.params)
    assert not [note for note in notes if "halves" in note]
    for half in parts.halves:
        assert all(len(set(half[found == group])) == 1 for group in set(found))


def test_images_of_other_groups_alone_are_neighbours_where_that_is_asked_for(tmp_path):
    cell = unseen_cell(tmp_path, halves=4)
    other_groups = cell.params.model_copy(update={"neighbours": "other_groups"})
    samples = cell.store.samples
    assert settings_of(cell.store, "unseen", other_groups).own_groups is None  # no image has a group
    grouped = replace(cell.store, samples=samples.assign(group=[""] * 8 + (["a"] * 10 + ["b"] * 3 + ["c"] * 5)))
    found = settings_of(grouped, "unseen", other_groups)
    assert found.own_groups.tolist() == [0] * 10 + [1] * 3 + [2] * 5
    assert found.neighbours == min(8, np.bincount(cell.classes["unseen"]).max())  # of 18 images, ten of one group
    assert settings_of(grouped, "unseen", cell.params).own_groups is None
    one = replace(cell.store, samples=samples.assign(group=[""] * 8 + ["a"] * 18))
    with pytest.raises(UserError, match=r"measure\.neighbours: the split `unseen` must have images of at least two"):
        settings_of(one, "unseen", other_groups)


def test_halves_of_one_group_alone_are_left_out_where_these_have_no_neighbours(tmp_path):
    cell = unseen_cell(tmp_path, halves=4)
    two = replace(cell.store, samples=cell.store.samples.assign(group=[""] * 8 + ["a", "b"] * 9))
    assert len(draw_parts(two, cell.params)[0].halves) == 4
    parts, notes = draw_parts(two, cell.params.model_copy(update={"neighbours": "other_groups"}))
    assert len(parts.halves) == 0
    assert "a half of the unseen images must have images of at least two groups" in notes[-1]
