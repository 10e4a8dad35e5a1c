"""Metric tables and training curves as the measure and finetune stages write them, from formulas."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import normalized_mutual_info_score

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.tables.uncertainty import UNCERTAINTY
from stages.shared.tables.gallery import write_gallery, write_thumbnails
from stages.shared.tables.metric_table import (
    ALL_BUT_ONE_CLASS,
    ANALYSIS_TABLES,
    HALF,
    HEAD,
    write_layer_scores,
    write_refits,
)
from tests.sealed import seal, seal_prepared, seal_training

METRICS = ("nmi", "knn_purity", "nn1_accuracy", "probe_accuracy")
NAMES = ("bn1", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4", "blocks.5", "blocks.6", "bn2")


def uncertain(scores: Scores, **known: object) -> Scores:
    """Put `UNCERTAINTY` beside means: what is known of the points of the curves, and nothing else."""
    columns = dict.fromkeys(UNCERTAINTY, np.nan) | dict.fromkeys(("tied_classes", "tied_images"), pd.NA) | known
    return replace(scores, curves=scores.curves.assign(**columns).astype(UNCERTAINTY))


def only_means(scores: Scores) -> Scores:
    """Leave out single folds."""
    return replace(scores, curves=scores.curves[scores.curves["fold"] == MEAN].reset_index(drop=True))


def metric_rows(
    dataset: str,
    model: str,
    seed: int,
    *,
    fold: str = "0",
    steps: Sequence[int] = (0, 50, 100),
    layers: Sequence[str] = NAMES,
    poolings: Sequence[str] | None = None,
    metrics: Sequence[str] = METRICS,
    height: float = 0.5,
    peak: float = 0.6,
) -> pd.DataFrame:
    """Unseen scores peak at the relative depth `peak`, seen ones at the end; both grow with the step."""
    further = [int(fold)] if fold not in ("0", "all") else []
    noise = np.random.default_rng([seed, len(model), len(dataset), *further])
    rows = []
    for step in steps:
        cell = {"dataset": dataset, "model": model, "fold": fold, "seed": seed, "step": step}
        growth = 1 - 0.4 * np.exp(-step / 40)
        for metric in metrics:
            if metric == "probe_accuracy" and step not in (steps[0], steps[-1]):
                continue
            lift, chance = {"nmi": (0, 0.01)}.get(metric, (0.25, 0.2))
            for split in ("test", "unseen"):
                common = cell | {
                    "split": split,
                    "metric": metric,
                    "n_images": 500,
                    "n_classes": 5,
                    "chance": chance if split == "unseen" else chance / 3,
                    "ceiling": 1.0,
                }
                rows.append(
                    dict(
                        common,
                        layer="pixels",
                        depth=-1,
                        pooling="none",
                        value=lift + 0.12,
                        parameters=0,
                        operations=0,
                        width=192,
                    )
                )
                for depth, layer in enumerate(layers):
                    x = depth / max(len(layers) - 1, 1)
                    shape = 0.35 + 0.65 * x if split == "test" else 1 - 2.2 * (x - peak * growth) ** 2
                    value = lift + height * growth * max(shape, 0.1) + noise.normal(0, 0.012)
                    pooling = poolings[depth] if poolings else "mean"
                    rows.append(dict(common, layer=layer, depth=depth, pooling=pooling, value=value))
                    rows[-1] |= {
                        "parameters": 1000 * (depth + 1) ** 3,
                        "operations": 10**6 * (depth + 1),
                        "width": 16 * (depth + 1),
                    }
        head = cell | {"split": "test", "metric": "accuracy", "layer": HEAD}
        rows.append(
            dict(head, value=0.05 + 0.8 * (1 - np.exp(-step / 40)) + noise.normal(0, 0.01), chance=1 / 15, ceiling=1.0)
        )
    table = pd.DataFrame(rows)
    return table.assign(better="higher")


def training_rows(
    dataset: str, model: str, seed: int, *, fold: str = "0", steps: Sequence[int] = (0, 50, 100)
) -> pd.DataFrame:
    """A loss at every tenth step, an accuracy at the checkpoints."""
    every = np.arange(0, steps[-1] + 1, 10)
    return pd.DataFrame(
        {
            "dataset": dataset,
            "model": model,
            "fold": fold,
            "seed": seed,
            "step": every,
            "loss": 2.7 * np.exp(-every / (40 + len(model)) - seed / 20),
        }
        | {"accuracy": [0.9 - 0.8 * np.exp(-s / 60) if s in steps else np.nan for s in every], "learning_rate": 2e-4}
    )


def write_cells(
    root: Path,
    datasets: Sequence[str],
    models: Sequence[str],
    seeds: Sequence[int],
    *,
    folds: Sequence[str] = ("0",),
    analyses: bool = False,
    **shape: object,
) -> None:
    """Write measures/, training/ and thumbnails/ for a whole grid; `analyses`: with everything a cell may hold."""
    steps = shape.get("steps", (0, 50, 100))
    for dataset in datasets:
        write_thumbnails(root / "thumbnails" / dataset, dataset, thumbnail_rows())
        write_manifest(root / "prepared" / dataset / "manifest.csv")
        seal_prepared(root / "prepared" / dataset)
    for dataset, model, fold, seed in product(datasets, models, folds, seeds):
        cell = Path(dataset) / model / fold / str(seed)
        rows = metric_rows(dataset, model, seed, fold=fold, **shape)
        if fold == "all":
            rows = rows[rows["split"] != "unseen"]
        images = image_rows(rows[rows["step"] == rows["step"].max()], seed)
        (root / "measures" / cell).mkdir(parents=True, exist_ok=True)
        images.to_parquet(root / "measures" / cell / "images.parquet", index=False)
        if analyses:
            rows = with_analyses(root / "measures" / cell, rows, images, seed)
        write_layer_scores(root / "measures" / cell / "layers.csv", rows)
        write_gallery(root / "measures" / cell, (dataset, model, fold, seed), gallery_rows(rows))
        seal(root / "measures" / cell)
        path = root / "training" / cell / "training.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        training_rows(dataset, model, seed, fold=fold, steps=steps).to_csv(path, index=False)
        seal_training(path)


def write_manifest(path: Path) -> None:
    """Name 40 images of each of 5 classes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [f"class {i}/{n}" for i in range(5) for n in range(40)]
    pd.DataFrame({"sample_id": names, "label": [name.split("/")[0] for name in names]}).to_csv(path, index=False)


def freeze(grid: Path, model: str) -> None:
    """Leave of one model what a frozen network has: step 0 without an accuracy."""
    for path in (grid / "training/handwriting" / model).rglob("training.csv"):
        table = pd.read_csv(path)
        table[table["step"] == 0].assign(accuracy=None).to_csv(path, index=False)
        seal_training(path)
    for path in (grid / "measures/handwriting" / model).rglob("layers.csv"):
        table = pd.read_csv(path)
        table[(table["step"] == 0) & (table["layer"] != HEAD)].to_csv(path, index=False)
        seal(path.parent)


def with_analyses(folder: Path, rows: pd.DataFrame, images: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Write the further files of one cell; returns its rows with the NMI of the clusters."""
    last = rows[rows["step"] == rows["step"].max()]
    if "unseen" in set(rows["split"]):
        write_refits(folder, refit_rows(rows[rows["split"] == "unseen"], seed))
    of = {
        where: normalized_mutual_info_score(block["label"], block["cluster"])
        for where, block in images.dropna(subset="cluster").groupby(["split", "layer"])
    }
    at = last[last["metric"] == "nmi"].index
    rows.loc[at, "value"] = [of[where] for where in zip(rows.loc[at, "split"], rows.loc[at, "layer"], strict=True)]
    columns = ["step", "split", "layer", "depth", "pooling"]
    nmi = last[(last["metric"] == "nmi") & (last["depth"] >= 0)]
    around = nmi.merge(pd.DataFrame({"clusters": [3, 5, 10]}), how="cross").assign(nmi=0.5, ami=0.4)
    around[[*columns, "clusters", "nmi", "ami"]].to_csv(folder / "k_sensitivity.csv", index=False)
    scaled = nmi[[*columns, "metric", "value"]].merge(
        pd.DataFrame({"scaling": ["none", "l2", "standard"]}), how="cross"
    )
    scaled[[*columns, "scaling", "metric", "value"]].to_csv(folder / "scalings.csv", index=False)
    write_pairs(folder, nmi[nmi["split"] == "unseen"][columns])
    return rows.assign(better="higher")


def thumbnail_rows(each: int = 4) -> pd.DataFrame:
    """Pictures of one colour for the first images of each class, with the names that `image_rows` gives them."""
    rows = []
    for number in range(5):
        file = BytesIO()
        Image.new("RGB", (16, 16), (50 * number, 90, 200)).save(file, "WEBP")
        names = [f"unseen/{8 * number + i}" for i in range(each)]
        picture = {"label": f"class {number}", "width": 16, "height": 16, "image": file.getvalue()}
        rows += [{"sample_id": name} | picture for name in names]
    return pd.DataFrame(rows)


def gallery_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Put the pictured images of the last step's layers on a spiral, the next five around it being the nearest."""
    last = rows[(rows["step"] == rows["step"].max()) & (rows["split"] == "unseen") & rows["depth"].notna()]
    names = thumbnail_rows()[["sample_id", "label"]]
    turn, ids = np.arange(len(names)), names["sample_id"].tolist()
    spiral = names.assign(
        x=turn * np.cos(turn), y=turn * np.sin(turn), explained=0.5,
        neighbours=[[ids[(i + k) % len(ids)] for k in range(1, 6)] for i in turn],
    )  # fmt: skip
    return last[["layer", "depth", "pooling"]].drop_duplicates().merge(spiral, how="cross")


def refit_rows(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Scores without each of five classes and on four halves, of the first and the last step, around the score."""
    rows = rows[rows["step"].isin([rows["step"].min(), rows["step"].max()]) & (rows["metric"] != "probe_accuracy")]
    parts = [(ALL_BUT_ONE_CLASS, f"class {i}") for i in range(5)] + [(HALF, str(i)) for i in range(4)]
    table = rows.merge(pd.DataFrame(parts, columns=["kind", "part"]), how="cross")
    return table.assign(value=table["value"] + np.random.default_rng(seed).normal(0, 0.02, len(table)))


def image_rows(last: pd.DataFrame, seed: int, each: int = 8) -> pd.DataFrame:
    """Contributions whose mean is the score, and clusters that follow the classes the more, the higher the NMI."""
    noise, blocks = np.random.default_rng(seed), []
    labels = np.repeat([f"class {i}" for i in range(5)], each)
    for (split, layer), rows in last.groupby(["split", "layer"], sort=False):
        first = rows.iloc[0]
        pooling = first["pooling"] if layer != HEAD else ""
        place = {"step": first["step"], "split": split, "layer": layer, "depth": first["depth"], "pooling": pooling}
        block = pd.DataFrame({"sample_id": [f"{split}/{i}" for i in range(40)], "label": labels, "group": ""}).assign(
            **place
        )
        for metric, value in zip(rows["metric"], rows["value"], strict=True):
            if metric == "nmi":
                strays = noise.random(len(labels)) > value
                block["cluster"] = np.where(strays, noise.integers(5, size=40), np.repeat(range(5), each))
            else:
                deviations = noise.normal(0, 0.1, 40)
                block[metric] = value + deviations - deviations.mean()
        blocks.append(block)
    return pd.concat(blocks, ignore_index=True)


def write_pairs(folder: Path, places: pd.DataFrame) -> None:
    """Write a CKA that falls with the distance in depth, for all pairs a <= b."""
    pairs = places.merge(places, on=["step", "split"], suffixes=("_a", "_b"))
    pairs = pairs[pairs["depth_a"] <= pairs["depth_b"]]
    ends = [f"{name}_{end}" for end in "ab" for name in ("layer", "depth", "pooling")]
    pairs = pairs.assign(cka=1 / (1 + pairs["depth_b"] - pairs["depth_a"]))
    columns = ANALYSIS_TABLES["representations"]
    pd.DataFrame(columns=[*columns]).to_csv(folder / "representations.csv", index=False)  # of single folds
    pairs[["step", "split", *ends, "cka"]].to_csv(folder / "layer_pairs.csv", index=False)


def write_params(
    path: Path,
    datasets: Sequence[str],
    models: Sequence[str],
    seeds: Sequence[int],
    metric: str = "nmi",
    *,
    folds: str = "[0]",
    analyses: Sequence[str] = (),
) -> None:
    """Write a params file whose grid is this one."""
    path.write_text(
        f"run: {{datasets: {list(datasets)}, models: {list(models)}, folds: {folds}, seeds: {list(seeds)}}}\n"
        "prepare: {}\nembed: {}\nfinetune: {steps: [0, 50, 100], keep: all}\n"
        f"measure: {{analyses: {list(analyses)}}}\n"
        f"aggregate: {{main_metric: {metric}, accuracy_margin: 0.05}}\n"
        f"datasets: {{{', '.join(f'{d}: {{}}' for d in datasets)}}}\n"
        f"models: {{{', '.join(f'{m}: {{}}' for m in models)}}}\n"
    )
