"""A fine-tuned network's representations: judged on unseen classes, fitted to test images of the seen ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.core.representations.choice import judge_classes
from stages.measure.analyses.representations import representations
from stages.measure.cell import Cell
from stages.measure.checks import check_params, check_sets
from stages.measure.params import MeasureParams
from stages.shared.embeddings.embedding_store import Embeddings, open_embeddings
from stages.shared.runtime.errors import UserError
from tests.measure.synthetic import DEFAULT, write_store

SIZES = {"test": (5, 6, 7, 5, 6, 7), "unseen": (6, 7, 8, 6)}
UNSEEN = [f"unseen{number}" for number in range(4)]
PARAMS = MeasureParams.model_validate(DEFAULT | {"analyses": ["representations"]})


def store_of(path: Path, sizes: dict[str, Any] = SIZES, **changes: Any) -> Embeddings:
    write_store(path, sizes=sizes, classes=[], **changes)
    return open_embeddings(path)


def table_of(store: Embeddings) -> pd.DataFrame:
    (found,) = representations([Cell(store, PARAMS)])
    return pd.DataFrame(found.rows)


def test_the_pretrained_and_the_last_checkpoint_are_judged_on_unseen_classes(tmp_path: Path):
    """Without raw pixels, further poolings and checkpoints between them."""
    store = store_of(tmp_path / "store")
    table = table_of(store)
    assert table["step"].unique().tolist() == [0, 10]
    assert set(table["kind"]) == {"judged", "class"}
    labels = np.concatenate([store.labels(split) for split in ("unseen", "test")])
    for step, rows in table.groupby("step"):
        layers = {
            layer.name: np.concatenate([store.features(layer, step, split) for split in ("unseen", "test")])
            for layer in store.layers
            if layer.name in ("stem", "blocks.0")
        }
        found = judge_classes(layers, labels, UNSEEN)
        for kind, expected in (("judged", found.class_scores.T), ("class", found.without)):
            own = rows[rows["kind"] == kind]
            assert own["part"].unique().tolist() == UNSEEN
            assert own["value"].tolist() == expected.ravel().tolist()


def test_a_first_checkpoint_after_training_has_begun_is_left_out(tmp_path: Path):
    assert table_of(store_of(tmp_path / "store", steps=(5, 10)))["step"].unique().tolist() == [10]


def test_images_of_seen_classes_are_references_only(tmp_path: Path):
    """Spoiled seen images change what is fitted and nothing else; plain layers keep their scores."""
    seen = np.arange(sum(map(sum, SIZES.values()))) < sum(SIZES["test"])
    spoil = {("stem", 10): lambda X: np.where(seen[:, None], 9 * X[::-1] ** 2, X)}
    one, other = (table_of(store_of(tmp_path / name, spoil=each)) for name, each in (("a", {}), ("b", spoil)))
    plain, same = one["recipe"] == "plain", one["value"] == other["value"]
    assert same[plain].all()
    assert not same[~plain & (one["step"] == 10) & (one["layers"] == "stem")].all()


def test_references_must_be_embedded_and_images_have_neighbours(tmp_path: Path):
    store = store_of(tmp_path / "alone", {"unseen": (6, 7, 8, 6)})
    with pytest.raises(UserError, match=r"'representations' needs embed\.splits to list 'test'"):
        check_params(store, PARAMS)
    lonely = store_of(tmp_path / "lonely", {"test": (5, 5), "unseen": (6, 1)})
    with pytest.raises(UserError, match="found class 'unseen1' with one"):
        check_sets([lonely], PARAMS)
