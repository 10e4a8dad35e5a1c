"""A first answer for a folder of images: one frozen network, embedded once, and two waves of what that tells."""

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from ...shared.networks.params import named_network
from ...shared.runtime.errors import UserError
from ...shared.runtime.package import PARAMS, RAW
from ...shared.workflow.params import load
from ..project import DEMO, UserPath, check_new, use_option


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
@click.option("--image-size", type=click.IntRange(8), help="In pixels; by default the network's own.")
@click.option("--per-class", type=click.IntRange(5), help="Images per class, at most: by default 100, 30 of --demo's.")
@click.option("--out", type=UserPath(), help="Keep the page, the tables and the embeddings in this folder.")
@use_option
def quick(
    folder: Path | None,
    *,
    demo: bool,
    table: str | None,
    network: str,
    image_size: int | None,
    per_class: int | None,
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
    source = folder or RAW / DEMO
    params = named_network(load(PARAMS)["models"], network, image_size)
    with ExitStack() as resources:
        from .images import choose_images, drop_copies, read_images

        chosen = choose_images(source, table, per_class or (30 if demo else 100), resources)
        if image_size is None:
            from ...shared.networks.network import at_trained_size  # after what may be wrong: torch takes seconds

            params = at_trained_size(params)
        pixels, images = read_images(source, chosen, params.image_size)
    images = drop_copies(source, images)
    pixels, labels = pixels[images.index], images["label"].tolist()
    from ...aggregate.words.formatting import plural  # after what may be wrong: libraries take seconds
    from ...library import embed
    from .waves import answer, plain_name

    count, size = plural(len(labels), "image"), params.image_size
    print(f"quick: {count} of {len({*labels})} classes, {network} at {size} px", file=sys.stderr)
    layers = embed(network, pixels, image_size=size)
    options = {"--table": table, "--network": network, "--image-size": image_size, "--per-class": per_class}
    given = [str(word) for option in options.items() if option[1] is not None for word in option]
    again = shlex.join(["whichlayer", "quick", "--demo" if folder is None else str(folder), *given])
    answer(layers, labels, plain_name(network), DEMO if folder is None else plain_name(folder.name), use, out, again)
    if out:
        print(f"quick: {out / 'report.html'} is the page", file=sys.stderr)
    words = ["FOLDER" if folder is None else str(folder), *(["--table", table] if table else [])]
    further = shlex.join([*words, *(["--use", use] if use else [])])
    print(f"Next: whichlayer new {further}    (a study: more networks, fine-tuning, `dvc repro`)", file=sys.stderr)
