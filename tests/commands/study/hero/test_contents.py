from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.aggregate.result_files import finish_results
from stages.commands.study.hero.contents import collect_hero, plane_of, typical_fold
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.runtime.errors import UserError
from tests.commands.study.hero.made import CELL, SIZES, write_study
from tests.measure.synthetic import write_store
from tests.packed import pack


def test_planes_are_those_of_the_largest_variance_of_the_unseen_images(tmp_path: Path):
    _, _, embeddings = write_study(tmp_path)
    store = open_embeddings(embeddings)
    X = store.features(next(layer for layer in store.layers if layer.name == "blocks.0"), 10, "unseen")
    U, S, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    assert np.abs(plane_of(store, 1, 10)) == pytest.approx(np.abs(U[:, :2] * S[:2]), abs=1e-4)


def test_what_is_shown_is_the_first_the_best_and_the_last_layer_of_one_fold(tmp_path: Path):
    hero = collect_hero(CELL, *write_study(tmp_path))
    assert [(plane.depth, plane.score) for plane in hero.planes] == [(0, 0.6), (1, 0.3)]
    assert hero.by_fold == {"0": 0.6, "1": 0.8}
    assert [len(plane.places) for plane in hero.planes] == [20, 20]
    assert list(hero.labels) == ["unseen0"] * 9 + ["unseen1"] * 11
    assert set(hero.points["fold"]) == {"mean"}
    assert (list(hero.seen), list(hero.unseen)) == (["ash", "birch", "cedar"], ["date", "elm"])
    assert {pixels.shape for pixels in hero.seen.values()} == {(2, 16, 16, 3)}


def test_the_typical_fold_is_the_one_nearest_to_the_mean(tmp_path: Path):
    results, *_ = write_study(tmp_path)
    assert typical_fold(results, "toy", "net") == "0"  # 0.6 and 0.8 are as near to 0.7
    summary = results / "summary.csv"
    summary.write_text(summary.read_text().replace(",0.7,", ",0.75,"))
    assert typical_fold(results, "toy", "net") == "1"


def test_a_network_that_was_not_measured_is_named_with_the_nearest(tmp_path: Path):
    study = write_study(tmp_path)
    with pytest.raises(UserError, match=r"must have a best layer of toy/nte: did you mean 'toy/net'"):
        collect_hero(replace(CELL, model="nte"), *study)


def test_embeddings_of_other_steps_than_the_scores_are_an_error(tmp_path: Path):
    results, prepared, embeddings = write_study(tmp_path)
    table = (results / "summary.csv").read_text()
    (results / "summary.csv").write_text(table.replace("toy,net,mean,mean,10,", "toy,net,mean,mean,20,"))
    with pytest.raises(UserError, match=r"must hold step 20, .*found 0, 5, 10; run the workflow again"):
        collect_hero(CELL, results, prepared, embeddings)


def test_embeddings_and_images_of_something_else_are_an_error(tmp_path: Path):
    results, prepared, embeddings = write_study(tmp_path / "toy")
    pack(tmp_path / "other", dataset="other", unseen=5, size=16)
    write_store(tmp_path / "embeddings", sizes=SIZES, fold="1")
    with pytest.raises(UserError, match=r"must be of dataset toy, found dataset other"):
        collect_hero(CELL, results, tmp_path / "other", embeddings)
    with pytest.raises(UserError, match=r"embeddings: must hold the cell toy-net-0-7, found toy-net-1-7"):
        collect_hero(CELL, results, prepared, tmp_path / "embeddings")


def test_damaged_tables_are_an_error(tmp_path: Path):
    results, prepared, embeddings = write_study(tmp_path)
    finish_results(results)
    with (results / "depth.csv").open("a") as table:
        table.write("\n")
    with pytest.raises(UserError, match=r"depth\.csv: must be as the aggregate stage wrote it"):
        collect_hero(CELL, results, prepared, embeddings)
