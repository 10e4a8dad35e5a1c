import base64
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from stages.aggregate.render.page.data import all_networks, all_thumbnails, galleries
from tests.aggregate.render.page.made import FOLDS, HOSTILE, LAYERS


@pytest.fixture(scope="module")
def networks(study):
    return all_networks(study.results.scores)


def test_thumbnails_are_the_pictures_of_the_table(study):
    table, shown = study.thumbnails["handwriting"], all_thumbnails(study.thumbnails)["handwriting"]
    assert [base64.b64decode(text) for text in shown["images"]] == list(table["image"])
    assert shown["labels"] == list(table["label"])
    assert HOSTILE in shown["labels"]


def test_a_dataset_without_unseen_images_has_none():
    assert all_thumbnails({"seen_only": pd.DataFrame({"label": [], "image": []})}) == {}


def test_every_layer_puts_images_where_the_gallery_says_but_for_a_turn(study, networks):
    shown = galleries(study, networks)
    assert list(zip(shown["network"], shown["fold"], shown["layer"], strict=True)) == [
        (network, fold, depth) for network in (0, 1) for fold in FOLDS for depth in range(len(LAYERS))
    ]
    ids, before = list(study.thumbnails["handwriting"]["sample_id"]), None
    for i, (network, fold, depth) in enumerate(zip(shown["network"], shown["fold"], shown["layer"], strict=True)):
        own = study.galleries[(*networks[network], fold, 0)].query("depth == @depth")
        assert [ids[image] for image in shown["image"][i]] == list(own["sample_id"])
        assert [[ids[other] for other in row] for row in shown["neighbours"][i]] == list(map(list, own["neighbours"]))
        plane, exact = np.column_stack([shown["x"][i], shown["y"][i]]), own[["x", "y"]].to_numpy(dtype=float)
        exact = exact / abs(exact).max()
        assert abs(plane).max() == pytest.approx(1)
        scale = np.linalg.norm(plane) / np.linalg.norm(exact)  # distances are kept
        assert pdist(plane) == pytest.approx(scale * pdist(exact), abs=0.01)
        if depth:
            turns = [plane @ turn(angle, flip) for angle in np.linspace(0, 2 * np.pi, 37) for flip in (1, -1)]
            assert np.linalg.norm(plane - before) <= min(np.linalg.norm(each - before) for each in turns) + 0.01
        before = plane
        assert shown["explained"][i] == 0.5


def turn(angle, flip):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1, flip])


def test_only_the_first_seed_is_shown(study, networks):
    cells = study.galleries
    twice = {(*cell[:3], seed): table for cell, table in cells.items() for seed in (0, 1)}
    assert galleries(replace(study, galleries=twice), networks) == galleries(study, networks)
