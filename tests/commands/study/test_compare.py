"""A study beside the published numbers: hand-made cells whose means, deviations and maxima are known."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from stages.commands.study.compare import (
    correlations,
    main,
    markdown,
    published_rows,
    read_published,
    read_study,
    study_rows,
)
from stages.shared.console import UserError
from stages.shared.metric_table import COLUMNS, read_records, write_records

ROOT = Path(__file__).parents[3]


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
    assert (a["nmi unseen depth"], a["nmi seen depth"]) == ("l1 (1 of 2)", "l2 (2 of 2)")
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
    assert text.endswith("| l2 (2 of 2) |")
    three = [
        *rows,
        {**rows[1], "accuracy": 1.0, **{f"{m} unseen": 0.1 for m in ("nmi", "knn_purity", "probe_accuracy")}},
    ]
    assert "over 3 networks, ours: NMI -1.00" in correlations(three, "ours")
    assert "NMI undefined" in correlations(rows, "ours")


def test_an_empty_study_is_an_error(tmp_path: Path):
    with pytest.raises(UserError, match="must hold metric tables"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "found no file"),
        ("{", "must be JSON"),
        ('{"g": {}}', "lacks accuracy, best_depth"),
        ("[]", "lacks accuracy"),
    ],
)
def test_published_numbers_that_are_none_are_an_error(tmp_path: Path, text: str | None, found: str):
    if text is not None:
        (tmp_path / "p.json").write_text(text)
    with pytest.raises(UserError, match=found):
        read_published(tmp_path / "p.json")


def test_only_the_main_pooling_of_a_layer_counts(study: Path):
    expected = markdown(study_rows(read_study(study)))
    for path in study.glob("*.csv"):
        records = read_records(path)
        layers = records[records["depth"] >= 0]
        further = layers.assign(layer=layers["layer"] + "@max", pooling="max", value=0.9)
        write_records(path, pd.concat([records, further]))
    assert markdown(study_rows(read_study(study))) == expected


def test_accuracy_is_that_of_clean_images(tmp_path: Path):
    records = cell("a", 0, 0.5, [0.2], [0.1])
    corrupted = records[records["layer"] == "head"].assign(split="blur_1", value=0.1)
    write_records(tmp_path / "cifar100-a-0.csv", pd.concat([records, corrupted]))
    assert study_rows(read_study(tmp_path))[0]["accuracy"] == 0.5


def report(study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["compare", str(study), str(ROOT / "docs" / "paper.json")])
    main()
    return capsys.readouterr().out


def test_a_score_that_the_study_lacks_is_left_out_and_named(tmp_path: Path, monkeypatch, capsys):
    records = cell("a", 0, 0.5, [0.2, 0.5], [0.1, 0.2])
    write_records(tmp_path / "cifar100-a-0.csv", records[records["metric"] != "probe_accuracy"])
    text = report(tmp_path, monkeypatch, capsys)
    header = next(line for line in text.splitlines() if line.startswith("| network"))
    assert header.endswith("| k-NN purity seen | k-NN purity unseen | best depth (NMI) |")
    assert "| a | 1 | 0.50 | 0.20 | 0.50 | 0.20 | 0.50 | l1 (1 of 1) |" in text
    assert "| ViT (published) | 3 | 0.967 ± 0.003 | 0.84 | 0.26 |" in text
    assert "Not measured in this study: linear probe seen, linear probe unseen." in text


def test_what_one_network_lacks_is_a_dash(tmp_path: Path):
    rest = cell("b", 0, 0.9, [0.2], [0.1])
    write_records(tmp_path / "cifar100-a-0.csv", cell("a", 0, 0.5, [0.2], [0.1]))
    write_records(tmp_path / "cifar100-b-0.csv", rest[rest["metric"] == "accuracy"])
    rows = study_rows(read_study(tmp_path))
    assert markdown(rows).endswith("| b | 1 | 0.90 | – | – | – | – | – | – | – |")
    three = [{**rows[0], "accuracy": a, "nmi unseen": a} for a in (0.1, 0.2, 0.3)]
    assert "over 4 networks, ours: NMI +1.00 (over 3), k-NN purity undefined" in correlations([*three, rows[1]], "ours")


def test_a_dataset_without_published_numbers_stands_alone(tmp_path: Path, monkeypatch, capsys):
    write_records(tmp_path / "mine-a-0.csv", cell("a", 0, 0.5, [0.2], [0.1]).assign(dataset="mine"))
    text = report(tmp_path, monkeypatch, capsys)
    assert "No published numbers for this dataset." in text
    assert "| a | 1 | 0.50 |" in text
    assert "(published)" not in text
