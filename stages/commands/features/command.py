"""Embed new images with a finished network: one file of features, with the images' paths."""

import csv
import sys
from pathlib import Path
from typing import Any

import click

from stages.commands.cut.cell import Wanted
from stages.commands.cut.command import layer_options
from stages.commands.features import image_files
from stages.commands.features.output import writer_of
from stages.commands.features.shards import Shards, unfinished_folder
from stages.commands.features.sources import open_extractor
from stages.commands.outputs import check_new, new_output
from stages.commands.project import ProjectCommand, ProjectPath, params_option
from stages.prepare.decode import pixel_limit
from stages.prepare.limits import Resources
from stages.prepare.params import PrepareParams
from stages.shared.runtime.console import Stopwatch
from stages.shared.settings.params import read_section


@click.command(cls=ProjectCommand)
@click.argument("images", type=ProjectPath())
@click.option(
    "--from",
    "origin",
    type=ProjectPath(),
    help="A finished cell, or the folder of a cut; by default the cell of the best network for the use.",
)
@layer_options
@click.option("--out", type=ProjectPath(), required=True, help="What to write: .parquet, .npz or .zarr.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out files that are no images, and list them.")
@params_option
def features(images: Path, origin: Path | None, out: Path, skip_unreadable: bool, params: Path, **wanted: Any) -> None:
    """Embed new images with a finished network, at one layer: a vector for each, with its path.

    IMAGES is any folder, with all folders in it; an archive (.zip, .tar, ...); a list (.txt, or .csv with a column
    `path`); or one image. No labels are needed. A cell is dataset/model/fold/seed, or its folder; of a folder that
    `whichlayer cut` made, its own layer is taken.

    A run that was cut short goes on where it was when it is started again.
    """
    watch = Stopwatch("features", "", None)
    write = writer_of(out)
    check_new(out)
    limits = read_section(params, "prepare", PrepareParams).limits
    with Resources(limits) as resources, pixel_limit(limits.pixels):
        files, unreadable = image_files.without_other_files(image_files.list_images(images, resources))
        if not skip_unreadable:
            image_files.refuse_unreadable(images, unreadable)
        image_files.check_any(images, files.paths)
        extractor = open_extractor(params, origin, Wanted(**wanted))
        if extractor.note:
            print(f"features: {extractor.note}", file=sys.stderr)
        shards = Shards(resources.enter_context(unfinished_folder(out)), files, extractor)
        shards.fill(skip=skip_unreadable)
        for shard in shards:
            unreadable |= shard.unreadable
        paths = [path for shard in shards for path in shard.paths]
        image_files.check_any(images, paths)
        with new_output(out) as scratch:
            write(scratch, shards, len(paths), extractor.width, extractor.about)
            _list_unreadable(out, unreadable)
    of = extractor.about
    kind = f"width {extractor.width}, step {of['step']}, scale {of['scale']}"
    watch.done(f"{len(paths)} images at layer {of['layer']} ({kind}) in {out}")


def _list_unreadable(out: Path, unreadable: dict[str, str]) -> None:
    """Print which files have no features, and list all of them beside the output."""
    listing = out.with_name(f"{out.name}.unreadable.csv")
    listing.unlink(missing_ok=True)
    if not unreadable:
        return
    with listing.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "reason"), *unreadable.items()])
    print(f"features: left out {image_files.describe(unreadable)}; all of them: {listing}", file=sys.stderr)
