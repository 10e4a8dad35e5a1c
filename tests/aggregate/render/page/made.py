"""A page of a made-up grid, with names that would do harm if they were taken for anything but text."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.aggregate.compute import compute
from stages.aggregate.params import read_asked
from stages.aggregate.read import read_all_thumbnails, read_galleries, read_tables
from stages.aggregate.render.page.provenance import Study, describe_run
from stages.shared.tables.gallery import write_thumbnails
from tests.aggregate.synthetic import freeze, thumbnail_rows, write_cells, write_params
from tests.sealed import seal_all

HOSTILE = "<script>alert(1)</script>"
FORMULA = "=1+1"
DATASETS, MODELS, FOLDS = ["handwriting"], ["small", "small_scratch"], ["0", "1", "2"]
METRICS = ("nmi", "knn_purity", "nn1_accuracy", "ami")
LAYERS = ("stem", FORMULA, "blocks.1", "blocks.2", "head_conv")


def made_study(root: Path, *, frozen: bool = False) -> Study:
    """Two networks of five layers over three folds; a class is called HOSTILE, and a layer FORMULA."""
    write_cells(root, DATASETS, MODELS, [0], folds=FOLDS, analyses=True, metrics=METRICS, layers=LAYERS)
    for model in MODELS if frozen else ():
        freeze(root, model)
    rename_class(root / "measures", "class 0", HOSTILE)
    renamed = thumbnail_rows().replace({"label": {"class 0": HOSTILE}})
    write_thumbnails(root / "thumbnails/handwriting", "handwriting", renamed)
    params = root / "params.yaml"
    analyses = ["layer_pairs"]
    write_params(params, DATASETS, MODELS, [0], folds=f"[{', '.join(FOLDS)}]", analyses=analyses)
    asked = read_asked(params)
    thumbnails = read_all_thumbnails(root / "thumbnails", asked.grid)
    galleries = read_galleries(root / "measures", asked.grid)
    run = describe_run(params, asked.grid, root / "prepared")
    tables = read_tables(root / "measures", root / "training", asked.grid, analyses)
    return Study(compute(tables, asked), run, thumbnails, galleries)


def rename_class(measures: Path, old: str, new: str) -> None:
    """Give a class another name in every file of the cells."""
    for path in measures.rglob("*.parquet"):
        table = pq.read_table(path)
        renamed = table.to_pandas()
        for name in {"label", "part"} & set(renamed.columns):
            renamed[name] = renamed[name].replace(old, new)
        pq.write_table(pa.Table.from_pandas(renamed, schema=table.schema, preserve_index=False), path)
    seal_all(measures)
