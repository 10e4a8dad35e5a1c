"""What a larger input, a layer and a representation gain: cells by hand, the tables by other code, the picture."""

import csv
import re
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from docs.study import by_axis, kinds
from docs.study import embeddings as embeddings_script
from docs.tools import steps
from tests.reference.regions import DOCS


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """Sixteen classes of ten images, which the first of two layers separates at 224 px and no layer at 64 px."""
    random = np.random.default_rng(0)
    labels = np.repeat([f"{c:02d}" for c in range(16)], 10)
    for size in (64, 224):
        noise = random.standard_normal((2, 160, 24)).astype(np.float32)
        noise[0, :, :16] += 40 * (size == 224) * np.repeat(np.eye(16, dtype=np.float32), 10, axis=0)
        layers = {"layer_00_a": noise[0], "layer_01_b": noise[1]}
        np.savez(tmp_path / f"textures-efficientnet_lite0-{size}.npz", labels=labels, groups=np.full(160, ""), **layers)  # type: ignore[arg-type]
    return tmp_path


def test_a_cell_has_what_choosing_among_more_and_more_reaches(embeddings: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("TABLE", "CANDIDATES"):
        monkeypatch.setattr(by_axis, name, embeddings / "out" / name)
    by_axis.run(embeddings, embeddings / "out")
    rows = pd.read_csv(by_axis.TABLE).set_index(["size", "score"])
    large = rows.loc[(224, "map_at_r")]
    assert large[["layer", "join", "whitened", "representation"]].to_numpy(float) == pytest.approx(1)
    assert large["habit"] < 0.4
    assert rows.loc[(64, "map_at_r"), "representation"] < 0.4
    assert rows.loc[(224, "probe_accuracy"), "layer"] == pytest.approx(1)
    assert rows["classes"].unique().tolist() == [16]
    candidates = pd.read_csv(by_axis.CANDIDATES).query("size == 224")
    assert candidates.query("layer == 'layer_00_a'")["map_at_r"].to_numpy() == pytest.approx(1)


def test_finished_cells_are_not_judged_again(embeddings: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("TABLE", "CANDIDATES"):
        monkeypatch.setattr(by_axis, name, embeddings / "out" / name)
    by_axis.run(embeddings, embeddings / "out")
    first = by_axis.TABLE.read_bytes()
    for path in embeddings.glob("*.npz"):
        path.write_bytes(b"")  # cannot be read again
    by_axis.run(embeddings, embeddings / "out")
    assert by_axis.TABLE.read_bytes() == first


def read_cells(score: str) -> dict[tuple[str, str, str], dict[str, float]]:
    """Rows of the table as text, by dataset, network and size."""
    with (kinds.HERE / "by_axis.csv").open() as file:
        return {
            (row["dataset"], row["network"], row["size"]): {
                step: float(row[step]) for step in ("habit", "layer", "representation")
            }
            for row in csv.DictReader(file)
            if row["score"] == score and row["network"] in kinds.NETWORKS
        }


@pytest.mark.parametrize("score", by_axis.SCORES)
def test_the_table_of_kinds_by_plain_loops(score: str):
    cells = read_cells(score)
    values = defaultdict[tuple[str, str], list[tuple[float, ...]]](list)
    for kind, datasets in kinds.KINDS.items():
        for dataset in datasets:
            for name, network, size in cells:
                if (name, size) == (dataset, "224"):
                    own = cells[name, network, size]
                    small = cells[name, network, "64"]["habit"]
                    values[kind, network].append((small, own["habit"], own["layer"], own["representation"]))
    lines = {line.split(" | ")[0].strip("| "): line for line in kinds.kinds_table(score).splitlines()}
    for kind in kinds.KINDS:
        means = [np.mean(each, axis=0) for (name, _), each in values.items() if name == kind]
        ends = np.column_stack([np.min(means, axis=0), np.max(means, axis=0)])
        cells = [cell.strip().split("–") for cell in lines[kind].split("|")[3:-1]]
        found = np.array([[float(cell[0]), float(cell[-1])] for cell in cells])
        np.testing.assert_allclose(found[:4], ends, atol=0.00051)
        np.testing.assert_allclose(found[4:, 0], np.diff(np.mean(means, axis=0)), atol=0.00051)


def test_the_last_layer_within_by_plain_loops():
    last: dict[tuple[str, str], tuple[str, float]] = {}
    with (kinds.HERE / "by_axis_candidates.csv").open() as file:
        for row in csv.DictReader(file):
            if (row["size"], row["join"], row["recipe"]) == ("224", "single", "within") and "@" not in row["layer"]:
                key = (row["dataset"], row["network"])
                last[key] = max(last.get(key, ("", 0.0)), (row["layer"], float(row["map_at_r"])))
    own = [last[dataset, network][1] for dataset in kinds.KINDS["strokes"] for network in kinds.NETWORKS]
    line = next(line for line in kinds.short_table().splitlines() if line.startswith("| last layer, whitened"))
    assert line.split(" | ")[1] == f"{np.mean(own):.3f}"


def test_every_dataset_and_kind_is_there_once():
    named = [dataset for datasets in kinds.KINDS.values() for dataset in datasets]
    assert sorted(named) == sorted(by_axis.DATASETS)
    both = kinds.steps("map_at_r")
    assert {*both["dataset"]} == {*named}
    assert both.groupby("dataset")["network"].nunique().unique().tolist() == [2]


def test_a_rule_is_made_on_the_other_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [
        {"dataset": dataset, "network": "Lite0", "size": 224, "join": "single", "recipe": recipe, "layer": "layer_00_a",
         "map_at_r": value}
        for dataset in (name for names in kinds.KINDS.values() for name in names)
        for recipe, value in (("plain", 0.5), ("centred", 0.4), ("whitened", 0.9 if dataset == "textures" else 0.45))
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "by_axis_candidates.csv", index=False)
    monkeypatch.setattr(kinds, "HERE", tmp_path)
    found = kinds.rule_rows().query("rule == 'best of other kinds'").set_index("dataset")
    assert found.loc["textures", "value"] == 0.5  # the others like it plain
    assert found.loc["cifar100", "value"] == 0.45  # seven kinds: (0.9 + 6 x 0.45) / 7 > 0.5


def test_the_picture_is_drawn_by_its_script_and_says_what_the_table_does():
    for name, colors in steps.COLORS.items():
        assert (DOCS / "images" / f"{name}.svg").read_text() == steps.draw(colors)
    gains = kinds.kind_gains("map_at_r").mean()
    assert f"gains {gains['enlarging']:+.3f} MAP@R" in steps.draw(steps.COLORS["steps"])


def test_fewer_images_are_as_many_of_each_class_and_spread_over_it():
    labels = np.repeat([f"{c:02d}" for c in range(80)], 30)
    paths, kept, _, pixels = embeddings_script.thin_out(
        ([f"{i}" for i in range(2400)], labels.tolist(), [""] * 2400, np.arange(2400, dtype=np.uint16))
    )
    assert np.unique(kept, return_counts=True)[1].tolist() == [10] * 80
    assert [int(path) for path in paths] == pixels.tolist()
    assert pixels[:10].tolist() == [0, 3, 6, 10, 13, 16, 19, 23, 26, 29]


def test_photos_gain_by_centring_and_textures_by_joins():
    chosen = kinds.steps("map_at_r").groupby("kind", observed=True)["chosen"].agg(list)
    assert {name.split()[-1] for name in chosen["photos"]} == {"centred"}
    assert {name.split()[0] for name in chosen["textures"]} == {"last_4"}
    page = " ".join((DOCS / "study" / "README.md").read_text().split())
    assert "The gain comes from centring on photos, and from joining layers on textures." in page


def test_small_inputs_by_plain_loops():
    columns = kinds.small_table().splitlines()[0].split(" | ")
    line = next(line for line in kinds.small_table().splitlines() if line.startswith("| strokes"))
    with (kinds.HERE / "by_axis.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] in kinds.KINDS["strokes"]]
    for network, size in (("Lite0", "64"), ("Lite0", "128"), ("MobileNetV2", "64"), ("ViT-S", "56")):
        own = [row for row in rows if (row["network"], row["size"], row["score"]) == (network, size, "map_at_r")]
        assert len(own) == 3
        means = [np.mean([float(row[step]) for row in own]) for step in ("habit", "layer", "representation")]
        found = line.split(" | ")[[name.strip(" |") for name in columns].index(f"{network}, {size} px")].strip(" |")
        assert found == " → ".join(f"{mean:.3f}" for mean in means)


@pytest.mark.parametrize("size", ["64", "224"])
def test_random_weights_by_plain_loops(size: str):
    (part,) = (part for part in kinds.random_answer().split("At ") if part.startswith(size))
    with (kinds.HERE / "by_axis.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if (row["size"], row["score"]) == (size, "map_at_r")]
    above = re.search("one on (.+), its last layer on (.+)[.]", part)
    assert above
    for (kind, datasets), (step, words) in product(
        kinds.KINDS.items(), zip(("representation", "habit"), above.groups(), strict=True)
    ):
        random, trained = (
            np.mean([float(r[name]) for r in rows if r["network"] == network and r["dataset"] in datasets])
            for network, name in (("Lite0, random weights", "representation"), ("Lite0", step))
        )
        assert (kind in words) == bool(random > trained)


def test_on_every_kind_a_layer_gains_less_than_a_larger_input():
    for score in by_axis.SCORES:
        gains = kinds.kind_gains(score)
        assert (gains["layer"] < gains["enlarging"]).all()
    page = " ".join((DOCS / "paper.md").read_text().split())
    assert "gain less by choosing a layer than by the larger input, on every kind of images" in page
