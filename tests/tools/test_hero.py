"""The picture of a study: what it shows of the tables and the embeddings."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from PIL import Image

from docs.tools import hero
from stages.shared.embeddings.embedding_store import open_embeddings
from tests.tools.finished_study import write_study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hero.Study:
    write_study(tmp_path)
    paths = {
        ("aggregate", "--out"): tmp_path / "results",
        ("embed", "--prepared"): tmp_path / "prepared",
        ("embed", "--out"): tmp_path / "embeddings",
    }
    monkeypatch.setattr(hero, "stage_path", lambda stage, option, cell=None: paths[stage, option])
    return hero.read_study(paths["aggregate", "--out"], "toy", "net")


def test_the_picture_is_as_wide_as_a_dense_page_and_the_same_on_every_run(study: hero.Study, tmp_path: Path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    for out in (first, second):
        hero.main([str(out), "--dataset", "toy", "--model", "net"])
    with Image.open(first) as opened:
        assert opened.width == 1660
    assert first.read_bytes() == second.read_bytes()


def test_the_fold_is_the_one_whose_score_is_nearest_to_the_mean(study: hero.Study):
    assert study.by_fold.to_dict() == {"0": 0.8, "1": 0.58, "2": 0.6}  # the mean of the study is 0.72
    assert study.fold == "0"


def test_embeddings_are_drawn_in_the_plane_of_largest_variance_class_by_class(study: hero.Study, tmp_path: Path):
    store = open_embeddings(tmp_path / "embeddings")
    X = store.features(next(layer for layer in store.layers if layer.name == "blocks.0"), 10, "unseen")
    U, S, _ = np.linalg.svd(X.astype(np.float64) - X.mean(axis=0), full_matrices=False)
    planes = [ax for ax in hero.draw(study).axes if any(isinstance(c, PathCollection) for c in ax.collections)]
    assert [ax.get_title() for ax in planes] == ["best, layer 1: NMI 0.80", "last, layer 2: NMI 0.30"]
    dots = [np.asarray(collection.get_offsets()) for collection in planes[1].collections]
    assert [len(places) for places in dots] == [9, 11]
    assert np.abs(np.concatenate(dots)) == pytest.approx(np.abs(U[:, :2] * S[:2]), abs=1e-4)


def test_the_curves_are_the_means_over_folds_and_the_lead_that_of_the_summary(study: hero.Study):
    curve = hero.draw(study).axes[-1]
    curves = [list(line.get_ydata()) for line in curve.lines]
    assert [0.72, 0.25] in curves
    assert any(values == pytest.approx([0.62, 0.15]) for values in curves)
    assert "an earlier layer beats\nthe last by +0.200\nto +0.500 (95 %)" in [text.get_text() for text in curve.texts]
