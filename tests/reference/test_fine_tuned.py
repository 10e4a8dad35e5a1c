"""Representations beside fine-tuning: choices by folds on made-up embeddings, and the page's sentence."""

import csv
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from docs.study import fine_tuned

CLASSES = 24


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folds of eight unseen classes: the first of two layers separates after training, none before."""
    random = np.random.default_rng(0)
    layers = [SimpleNamespace(name=f"l{i}", module=f"l{i}", depth=i) for i in range(2)]

    def opened(path: Path) -> SimpleNamespace:
        fold = int(path.parent.name)
        labels = {
            split: np.array([f"{c:02d}" for c in range(CLASSES) if (c % 3 == fold) == (split == "unseen")]).repeat(6)
            for split in ("unseen", "test")
        }

        def features(layer: SimpleNamespace, step: int, split: str) -> np.ndarray:
            centres = 40 * np.eye(CLASSES)[labels[split].astype(int)] * (step > 0 and layer.depth == 0)
            return (centres + random.standard_normal(centres.shape)).astype(np.float32)

        return SimpleNamespace(layers=layers, labels=labels.__getitem__, features=features)

    monkeypatch.setattr(fine_tuned, "open_embeddings", opened)
    for fold in range(3):
        (tmp_path / str(fold) / "0").mkdir(parents=True)
    return tmp_path


def test_a_layer_that_training_made_separate_is_chosen(cells: Path):
    before, after = ({(row["fold"], row["feature"]): row for row in fine_tuned.of_dataset(cells, s)} for s in (0, 500))
    assert len(before) == len(after) == 9
    for fold in "012":
        assert after[fold, "chosen layer"]["layer"] == "l0"
        assert after[fold, "chosen layer"]["map_at_r"] == pytest.approx(1)
        assert after[fold, "last layer"]["map_at_r"] < 0.4
        assert before[fold, "chosen representation"]["map_at_r"] < 0.4
        assert (after[fold, "last layer"]["unseen"], after[fold, "last layer"]["seen"]) == (8, 16)


def test_a_single_fold_has_no_choice(cells: Path):
    for fold in "12":
        (cells / fold / "0").rmdir()
    assert [(row["fold"], row["feature"]) for row in fine_tuned.of_dataset(cells, 0)] == [("0", "last layer")]


def test_the_sentence_by_plain_loops():
    found = defaultdict[tuple[str, str, str, str], list[float]](list)
    with fine_tuned.TABLE.open() as file:
        for row in csv.DictReader(file):
            found[row["size"], row["dataset"], row["step"], row["feature"]].append(float(row["map_at_r"]))
    mean = {key: sum(own) / len(own) for key, own in found.items()}
    answers = {answer.split("at ")[1].split(" ")[0]: answer for answer in fine_tuned.tuned_answer().split(";")}
    for size, name in {key[:2] for key in mean if key[3] == "chosen layer"}:  # of a single fold nothing is said
        for step, feature in (("500", "last layer"), ("0", "chosen representation"), ("500", "chosen representation")):
            gain = mean[size, name, step, feature] - mean[size, name, "0", "last layer"]
            assert f"{gain:+.3f}" in answers[size]
