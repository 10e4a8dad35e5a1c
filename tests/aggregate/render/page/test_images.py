import base64
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.render.page.images import Pictures, all_thumbnails, galleries
from stages.aggregate.render.page.names import collect_names
from tests.aggregate.render.page.made import HOSTILE, LAYERS


@pytest.fixture(scope="module")
def names(study):
    return collect_names(study.results.scores, study.results.tables["classes.csv"])


def shown_galleries(study, names):
    main = [row for row in study.results.summary if row.main]
    return galleries(study.pictures, main, study.results.scores, names)


def test_thumbnails_are_the_pictures_of_the_table(study):
    table, shown = study.pictures.thumbnails["handwriting"], all_thumbnails(study.pictures)["handwriting"]
    assert [base64.b64decode(text) for text in shown["images"]] == list(table["image"])
    assert shown["labels"] == list(table["label"])
    assert HOSTILE in shown["labels"]


def test_a_dataset_without_unseen_images_has_none():
    assert all_thumbnails(Pictures({"seen_only": pd.DataFrame({"label": [], "image": []})}, {})) == {}


def test_the_best_and_the_last_layer_put_images_where_the_gallery_says(study, names):
    shown = shown_galleries(study, names)
    assert list(zip(shown["network"], shown["fold"], shown["at"], strict=True)) == [
        (network, fold, at) for network in (0, 1) for fold in (1, 2, 3) for at in ("best", "last")
    ]
    ids = list(study.pictures.thumbnails["handwriting"]["sample_id"])
    summary = study.results.tables["summary.csv"].query("fold == 'mean' and metric == 'nmi'").set_index("model")
    for i, (network, fold, at) in enumerate(zip(shown["network"], shown["fold"], shown["at"], strict=True)):
        model = names.networks[network][1]
        depth = summary.loc[model, "best_depth"] if at == "best" else len(LAYERS) - 1
        assert shown["layer"][i] == depth
        own = study.pictures.galleries["handwriting", model, names.folds[fold], 0].query("depth == @depth")
        assert [ids[image] for image in shown["image"][i]] == list(own["sample_id"])
        assert [[ids[other] for other in row] for row in shown["neighbours"][i]] == list(map(list, own["neighbours"]))
        plane = np.column_stack([shown["x"][i], shown["y"][i]])
        assert abs(plane).max() == 1
        assert plane * abs(own[["x", "y"]].to_numpy()).max() == pytest.approx(own[["x", "y"]].to_numpy(), abs=0.02)
        assert shown["explained"][i] == 0.5


def test_only_the_first_seed_is_shown(study, names):
    cells = study.pictures.galleries
    twice = {(*cell[:3], seed): table for cell, table in cells.items() for seed in (0, 1)}
    both = replace(study.pictures, galleries=twice)
    assert shown_galleries(replace(study, pictures=both), names) == shown_galleries(study, names)
