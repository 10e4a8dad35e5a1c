"""What precision changes in every score of a small cell: the largest and the mean difference from float32.

The cell is fine-tuned, embedded and measured in float32; then its embeddings are stored in float16, computed in bf16
from the same checkpoints, and from checkpoints that were trained in bf16. Beside them stands what two threads in the
place of one change, which is rounding alone. fp16 needs a GPU. Differences are over layers, splits and checkpoints.

    python -m tests.bench.precision --steps 40
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from tests.bench.whole_cell import CELL, make_project, run
from tests.workflow import ROOT, Workflow

BF16 = {"WHICHLAYER_PRECISION": "bf16"}
VARIANTS: dict[str, tuple[str, str, dict[str, str]]] = {  # what is run again, embed.dtype, environment
    "float32": ("finetune", "float32", {}),
    "stored in float16": ("embed", "float16", {}),
    "embedded in bf16": ("embed", "float32", BF16),
    "trained and embedded in bf16": ("finetune", "float32", BF16),
    "trained and embedded with two threads": ("finetune", "float32", {"OMP_NUM_THREADS": "2"}),
}
FOLDERS = {"finetune": ("checkpoints", "training"), "embed": ("embeddings",), "measure": ("measures",)}
KEY = ["step", "split", "layer", "metric"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--images", type=int, nargs=3, default=[60, 20, 40], help="of a class: train, test, unseen")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workflow = make_project(Path(folder), args.steps, args.images)
        measure = YAML(typ="safe").load(ROOT / "params.yaml")["measure"]
        metrics = measure["metrics"] + measure["extra"]["metrics"]
        workflow.edit_params(
            {
                "finetune.steps": [0, args.steps // 2, args.steps],
                "measure.metrics": [name for name in metrics if name != "start_agreement"],  # there is one start
            }
        )
        run_stage(workflow, "prepare", {})
        scores = {name: scores_of(workflow, *variant) for name, variant in VARIANTS.items()}
    print_table(scores)


def scores_of(workflow: Workflow, first: str, dtype: str, environment: dict[str, str]) -> "pd.Series[float]":
    """Run the stages from `first` on, and return every score by `KEY`."""
    workflow.edit_params({"embed.dtype": dtype})
    stages = list(FOLDERS)
    for stage in stages[stages.index(first) :]:
        for folder in FOLDERS[stage]:
            shutil.rmtree(workflow.folder / "data" / folder, ignore_errors=True)
        run_stage(workflow, stage, environment)
    (table,) = (workflow.folder / "data" / "measures").rglob("layers.csv")
    return pd.read_csv(table, comment="#").set_index(KEY)["value"]


def run_stage(workflow: Workflow, stage: str, environment: dict[str, Any]) -> None:
    command = YAML(typ="safe").load(workflow.text("dvc.yaml"))["stages"][stage]["cmd"]
    cell = CELL if stage != "prepare" else "--dataset mine"
    run(workflow, command.replace("${item}", cell), **{"OMP_NUM_THREADS": "1", **environment})
    print(f"{stage} done", file=sys.stderr, flush=True)


def print_table(scores: dict[str, "pd.Series[float]"]) -> None:
    """Print a line of Markdown for every score: largest and mean difference of each variant from float32."""
    reference = scores.pop("float32")
    frame = pd.DataFrame({name: (values - reference).abs() for name, values in scores.items()})
    largest, mean = (frame.groupby("metric", sort=False).agg(how) for how in ("max", "mean"))
    print(f"| score | {' | '.join(scores)} |\n|---|{'--:|' * len(scores)}")
    for metric in largest.index:
        cells = [f"{largest.loc[metric, name]:.4f} ({mean.loc[metric, name]:.4f})" for name in scores]
        print(f"| `{metric}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
