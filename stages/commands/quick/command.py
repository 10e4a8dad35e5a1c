"""A first answer for a folder of images: one frozen network, embedded once, and two waves of what that tells."""

import shlex
import sys
from pathlib import Path

import click

from ...shared.runtime.errors import UserError
from ...shared.runtime.package import RAW
from ..project import UserPath, check_new, use_option

DEMO = "handwriting"


@click.command()
@click.argument("folder", required=False, type=UserPath(exists=True))
@click.option("--demo", is_flag=True, help="Without images of your own: words in twenty handwritten fonts.")
@click.option("--table", help="A CSV in FOLDER that lists images (path, label), instead of class folders.")
@click.option(
    "--network",
    default="efficientnet_lite0",
    show_default=True,
    help="A model of our params.yaml, or of timm.",
)
@click.option("--image-size", type=click.IntRange(8), help="In pixels; by default the model's, else 224.")
@click.option("--per-class", default=100, show_default=True, type=click.IntRange(5), help="Images per class, at most.")
@click.option("--out", type=UserPath(), help="Keep the page, the tables and the embeddings in this folder.")
@use_option
def quick(
    folder: Path | None,
    *,
    demo: bool,
    table: str | None,
    network: str,
    image_size: int | None,
    per_class: int,
    out: Path | None,
    use: str | None,
) -> None:
    """Print which layer of a network separates the classes of FOLDER best, without training.

    FOLDER has a folder of images for each class, or a CSV that --table names. The images are embedded once. A table of
    plain scores comes first, then for each use the layer to take, its gain over the last layer, and how sure that is.
    """
    if (folder is None) != demo:
        raise UserError("name a folder of images, or take --demo (not both)")
    if use == "detection":
        raise UserError("--use detection needs classes that the network was trained on; take `whichlayer new FOLDER`")
    if out is not None:
        check_new(out)
    from .images import read_images

    pixels, labels = read_images(folder or RAW / DEMO, table, network, image_size, per_class)
    from ...aggregate.words.formatting import plural  # after what may be wrong: libraries take seconds
    from ...library import embed
    from .waves import answer, plain_name

    images, side = plural(len(labels), "image"), pixels.shape[1]
    larger = " (most networks were trained at 224 px: see --image-size)" if side < 224 and image_size is None else ""
    print(f"quick: {images} of {len({*labels})} classes, {network} at {side} px{larger}", file=sys.stderr)
    layers = embed(network, pixels, image_size=image_size)
    options = {"--table": table, "--network": network, "--image-size": image_size, "--per-class": per_class}
    given = [str(word) for option in options.items() if option[1] is not None for word in option]
    again = shlex.join(["whichlayer", "quick", "--demo" if folder is None else str(folder), *given])
    answer(layers, labels, plain_name(network), DEMO if folder is None else plain_name(folder.name), use, out, again)
    if out:
        print(f"quick: {out / 'report.html'} is the page", file=sys.stderr)
    words = ["FOLDER" if folder is None else str(folder), *(["--table", table] if table else [])]
    further = shlex.join([*words, *(["--use", use] if use else [])])
    print(f"Next: whichlayer new {further}    (a study: more networks, fine-tuning, `dvc repro`)", file=sys.stderr)
