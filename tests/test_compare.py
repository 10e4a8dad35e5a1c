"""A study beside the published numbers: hand-made cells whose means, deviations and maxima are known."""

import json
from pathlib import Path

import pandas as pd
import pytest

from stages.compare import correlations, markdown, published_rows, read_study, study_rows
from stages.shared.console import UserError
from stages.shared.records import COLUMNS, write_records

ROOT = Path(__file__).parents[1]


def cell(model: str, seed: int, accuracy: float, unseen: list[float], seen: list[float]) -> pd.DataFrame:
    rows = [{"metric": "accuracy", "split": "test", "layer": "head", "value": accuracy}]
    for metric in ("nmi", "knn_purity", "probe_accuracy"):
        for split, curve in (("unseen", unseen), ("test", seen)):
            rows += [{"metric": metric, "split": split, "layer": "pixels", "depth": -1, "value": 0.99}]
            rows += [
                {"metric": metric, "split": split, "layer": f"l{d}", "depth": d, "pooling": "mean", "value": v}
                for d, v in enumerate(curve)
            ]
    table = pd.DataFrame(rows).assign(dataset="cifar100", model=model, seed=seed, step=500)
    earlier = table.assign(step=0, value=1.0)
    return pd.concat([earlier, table]).reindex(columns=list(COLUMNS))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_records(tmp_path / "cifar100-a-0.csv", cell("a", 0, 0.5, [0.2, 0.5, 0.1], [0.1, 0.2, 0.4]))
    write_records(tmp_path / "cifar100-a-1.csv", cell("a", 1, 0.7, [0.6, 0.4, 0.1], [0.1, 0.2, 0.6]))
    write_records(tmp_path / "cifar100-b-0.csv", cell("b", 0, 0.9, [0.1, 0.2, 0.3], [0.1, 0.2, 0.4]))
    return tmp_path


def test_the_best_layer_is_chosen_by_the_mean_over_seeds_at_the_last_step(study: Path):
    a, b = study_rows(read_study(study))
    assert (a["model"], a["n"], b["n"]) == ("a", 2, 1)
    assert a["accuracy"] == pytest.approx(0.6)
    assert a["accuracy_sd"] == pytest.approx(0.02**0.5)
    assert a["nmi unseen"] == pytest.approx(0.45)  # depth 1: (0.5 + 0.4) / 2, above depth 0's 0.4
    assert a["nmi unseen_sd"] == pytest.approx(0.005**0.5)
    assert (a["nmi unseen depth"], a["nmi seen depth"]) == ("1 of 2", "2 of 2")
    assert b["nmi unseen"] == pytest.approx(0.3)


def test_published_numbers_are_those_of_the_paper():
    rows = published_rows(json.loads((ROOT / "docs" / "paper.json").read_text()), "cifar100")
    vit = rows[0]
    assert vit["model"] == "ViT (published)"
    assert vit["accuracy"] == pytest.approx((0.9635 + 0.969 + 0.967) / 3)
    assert (vit["nmi seen"], vit["nmi unseen"], vit["probe_accuracy unseen"]) == (0.84, 0.26, 0.90)


def test_the_table_and_the_correlation(study: Path):
    rows = study_rows(read_study(study))
    text = markdown(rows)
    assert "| a | 2 | 0.600 ± 0.141 | 0.500 ± 0.141 | 0.450 ± 0.071 |" in text
    assert "| b | 1 | 0.90 | 0.40 | 0.30 |" in text
    three = [
        *rows,
        {**rows[1], "accuracy": 1.0, **{f"{m} unseen": 0.1 for m in ("nmi", "knn_purity", "probe_accuracy")}},
    ]
    assert "over 3 networks, ours: NMI -1.00" in correlations(three, "ours")
    assert "NMI undefined" in correlations(rows, "ours")


def test_an_empty_study_is_an_error(tmp_path: Path):
    with pytest.raises(UserError, match="must hold metric tables"):
        read_study(tmp_path)
