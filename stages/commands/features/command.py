"""Embed new images with a finished network: one file of features, with the images' paths."""

import csv
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from ...shared.runtime.errors import UserError
from ..cut.command import check_only_representation, layer_options, representation_option
from ..project import ProjectCommand, ProjectPath, check_new, params_option, workers_option


@click.command(cls=ProjectCommand)
@click.argument("images", type=ProjectPath(exists=True))
@click.option(
    "--from", "origin", type=ProjectPath(), help="A cell, or a cut's folder; by default the best network's cell."
)
@representation_option
@layer_options
@click.option("--out", type=ProjectPath(), required=True, help="The file to write: .parquet or .npz.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out files that are no images, and list them.")
@workers_option
@params_option
def features(
    images: Path,
    origin: Path | None,
    representation: Path | None,
    out: Path,
    skip_unreadable: bool,
    workers: int | None,
    params: Path,
    **wanted: Any,
) -> None:
    """Embed new images with a finished network, at one layer: a vector per image, with its path.

    IMAGES is a folder, with all folders in it; an archive (.zip, .tar, ...); a list (.txt, or .csv with a column
    `path`); or one image. It needs no labels. --from accepts a finished cell, dataset/model/fold/seed or its folder, or
    a cut's folder, whose layer is used. By default it is the best network's cell for the use. With --representation the
    vectors are those that it makes from its network's layers.

    After a stop, repeat the command: it continues.
    """
    from ...aggregate.words.formatting import plural  # libraries take seconds
    from ...prepare.params import PrepareParams
    from ...shared.runtime.console import Stopwatch
    from ...shared.runtime.scratch import remove
    from ...shared.workflow.kept_work import claim_work
    from ...shared.workflow.params import read_section
    from ...shared.workflow.stage_run import StageRun
    from . import image_files
    from .writers import WRITERS

    watch = Stopwatch("features", "", None)
    if out.suffix not in WRITERS:
        raise UserError(f"--out must end in {', '.join(WRITERS)}, found {out.name!r}")
    check_new(out, folder=False, draws=False, images=images)
    if representation:
        check_only_representation(origin, wanted)
    max_pixels = read_section(params, "prepare", PrepareParams).max_pixels
    with ExitStack() as resources:
        files = image_files.list_images(images, resources)
        from ..cut.source import Wanted  # after what may be wrong: torch takes seconds
        from .extraction import Shards, from_representation, open_extractor

        if representation:
            extractor = from_representation(representation, resources)
        else:
            extractor = open_extractor(params, origin, Wanted(**wanted), resources)
        run = StageRun("features", params, keys=[], reads=[extractor.weights], writes=[out], resumable=True)
        shards = Shards(claim_work(resources.enter_context(run), {}, watch.say), files, extractor, max_pixels, workers)
        shards.fill(skip=skip_unreadable)
        unreadable = {path: why for shard in shards for path, why in shard.unreadable.items()}
        count = len(files.paths) - len(unreadable)
        if not count:
            remove(run.work)  # nothing to go on from
            raise UserError(f"{images}: must hold images, found none that can be read; name their folder or archive")
        WRITERS[out.suffix](run.scratch(out), shards, extractor.width, extractor.about)
    list_unreadable(out.with_name(f"{out.name}.unreadable.csv"), unreadable)
    of = extractor.about
    kind = f"width {extractor.width}, step {of['step']}, scale {of['scale']}"
    watch.done(f"{plural(count, 'image')} at layer {of['layer']} ({kind}) in {out}")


def list_unreadable(listing: Path, unreadable: dict[str, str]) -> None:
    """Write which files were left out and why, if any were, and say so; what an earlier run left out is forgotten."""
    from . import image_files

    listing.unlink(missing_ok=True)
    if unreadable:
        with listing.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("path", "reason"), *unreadable.items()])
        print(f"features: left out {image_files.describe(unreadable)}; all: {listing}", file=sys.stderr)
