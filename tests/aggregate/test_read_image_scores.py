"""Scores of single images, from the files of a network's cells."""

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.network_data import score_images
from stages.aggregate.read import read_images
from stages.core.scores.catalogue import SCORES
from stages.shared.tables.metric_table import FORMAT, HEAD, typed
from stages.shared.workflow.digests import DIGESTS, cell_id, write_digests
from stages.shared.workflow.params import RunParams
from tests.aggregate.test_curves import point

RUN = RunParams(datasets=["d"], models=["m"], folds=[0, 1], seeds=[3, 5])
IMAGES = 6


def right(name, fold, seed):
    """Whether each test image is classified right, of one seed not known of the last; all others differ."""
    values = np.random.default_rng([len(name), int(fold), seed]).integers(2, size=IMAGES)
    return np.where(np.arange(IMAGES) < IMAGES - (seed == 5), values, np.nan).astype(np.float32)


@pytest.fixture
def measures(tmp_path):
    for fold, seed in product(RUN.numbered, RUN.seeds):
        place = {
            "step": 9,
            "split": "test",
            "sample_id": [f"{fold}/{i}" for i in range(IMAGES)],
            "label": "a",
            "group": f"{fold}/g",
        }
        head = pd.DataFrame({**place, "layer": HEAD, "pooling": "", "accuracy": right("head", fold, seed)})
        pixels = pd.DataFrame({**place, "layer": "pixels", "pooling": "none"})
        pixels = pixels.assign(probe_accuracy=right("pixels", fold, seed))
        path = tmp_path / "d" / "m" / fold / str(seed) / "images.parquet"
        path.parent.mkdir(parents=True)
        x = pixels.assign(layer="x", probe_accuracy=0.0)
        unseen = x.assign(split="unseen", label=list("uuuvvv"), group=list("ggghij") if fold == "1" else "")
        pd.concat([head, pixels, x, unseen]).to_parquet(path)
        record(path.parent, fold, seed)
    return tmp_path


def record(folder, fold, seed):
    of = cell_id(("d", "m", fold, seed))
    write_digests(folder / DIGESTS, [folder / "images.parquet"], format=FORMAT, of=of)


def layers():
    rows = []
    for fold, seed in product(RUN.numbered, RUN.seeds):
        cell = {"seed": seed, "step": 9, "split": "test"}
        cell_rows = [
            point(HEAD, None, "", 0.5, metric="accuracy", **cell),
            point("x", 0, "mean", 0.5, metric="probe_accuracy", **cell),
            point("pixels", -1, "none", 0.5, metric="probe_accuracy", **cell),
        ]
        rows += [row | {"dataset": "d", "model": "m", "fold": fold} for row in cell_rows]
    return typed(pd.DataFrame(rows))


def test_the_heads_and_raw_pixels_classifications_are_means_over_seeds_of_their_own_rows(measures):
    found = score_images(partial(read_images, measures), layers(), RUN, SCORES)
    for name, by_fold in (("head", found.accuracy), ("pixels", found.pixels)):
        assert list(by_fold) == ["0", "1"]
        for fold, values in by_fold.items():
            expected = (right(name, fold, 3) + right(name, fold, 5)) / 2
            images = {(f"{fold}/{i}", "a", f"{fold}/g"): expected[i] for i in range(IMAGES)}
            assert values.to_dict() == pytest.approx(images, nan_ok=True)


def test_groups_are_those_of_the_unseen_images_where_there_are_any(measures):
    assert score_images(partial(read_images, measures), layers(), RUN, SCORES).groups == {
        "1": {("g", "u"), ("h", "v"), ("i", "v"), ("j", "v")}
    }
