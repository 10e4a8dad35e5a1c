"""Draw a finished study in one picture: the method, from images over layers to planes, and what came out."""

from pathlib import Path

import click
import matplotlib as mpl

from stages.aggregate.figures import style
from stages.commands.project import ProjectCommand, ProjectPath, stage_path
from stages.commands.study.hero.contents import Cell, collect_hero, typical_fold
from stages.commands.study.hero.layout import DPI
from stages.commands.study.hero.picture import hero_figure
from stages.shared.runtime.errors import UserError


@click.command(cls=ProjectCommand)
@click.option("--dataset", required=True, help="A dataset of the study.")
@click.option("--model", required=True, help="A network of the study.")
@click.option("--fold", help="The fold whose unseen classes are shown; by default the one nearest to the mean.")
@click.option("--seed", default=0, show_default=True, help="The seed of the embeddings that are shown.")
@click.option("--out", type=ProjectPath(), required=True, help="The picture: a path that ends in .png or .svg.")
@click.option(
    "--results",
    type=ProjectPath(),
    default=lambda: stage_path("aggregate", "--out"),
    help="What the aggregate stage wrote; by default where dvc.yaml has it.",
)
def hero(dataset: str, model: str, fold: str | None, seed: int, out: Path, results: Path) -> None:
    """Draw a finished study in one picture, 1,660 pixels wide.

    Above, the method: images of seen and unseen classes, the layers, and where an early, the best and the last layer
    put the unseen images (principal components). Below, the main score against layers with its interval, and by how
    much an earlier layer beats the last.
    """
    if out.suffix not in (".png", ".svg"):
        raise UserError(f"--out: must end in .png or .svg, found {out.name!r}")
    fold = fold or typical_fold(results, dataset, model)
    where = {"dataset": dataset, "model": model, "fold": fold, "seed": str(seed)}
    prepared, embeddings = stage_path("embed", "--prepared", **where), stage_path("embed", "--out", **where)
    contents = collect_hero(Cell(dataset, model, fold, seed), results, prepared, embeddings)
    out.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(style.RC | {"savefig.dpi": DPI}):
        figure = hero_figure(contents)
        metadata = {"Software": None} if out.suffix == ".png" else {"Date": None, "Creator": None}
        figure.savefig(out, metadata=metadata)
    print(f"hero: wrote {out}")
