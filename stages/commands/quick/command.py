"""A first answer for a folder of images: frozen networks, each embedded once, and two waves of what that tells."""

import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from ...embed.params import Pooling
from ...shared.networks.params import NetworkParams, named_network
from ...shared.runtime.errors import UserError
from ...shared.runtime.package import PARAMS, RAW
from ...shared.workflow.params import load
from ..project import DEMO, UserPath, check_new, use_option, workers_option

if TYPE_CHECKING:
    from ...library.checks import Layers
    from .images import FolderImages

NETWORK = "efficientnet_lite0"

POOLINGS = [pooling for pooling in get_args(Pooling) if pooling != "paper"]  # which depends on the network


@click.command()
@click.argument("folder", required=False, type=UserPath(exists=True))
@click.option("--demo", is_flag=True, help="Without images of your own: words in twenty fonts, in about a minute.")
@click.option("--table", help="A CSV in FOLDER that lists images (path, label), instead of class folders.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    default=[NETWORK],
    show_default=True,
    help="A model of our params.yaml, or of timm; may be repeated.",
)
@click.option(
    "--image-size",
    "sizes",
    multiple=True,
    type=click.IntRange(8),
    help="In pixels; by default the network's own; may be repeated.",
)
@click.option(
    "--pooling",
    "poolings",
    multiple=True,
    default=["auto"],
    show_default=True,
    type=click.Choice(POOLINGS),
    help="How a layer's output becomes a vector; may be repeated.",
)
@click.option("--per-class", type=click.IntRange(5), help="Images per class, at most: by default 100, 30 of --demo's.")
@click.option(
    "--dimensions", type=click.IntRange(1), help="Of the representation that --out keeps; also prints what fewer cost."
)
@click.option("--out", type=UserPath(), help="Keep the page, the tables and the embeddings in this folder.")
@workers_option
@use_option
def quick(folder: Path | None, *, demo: bool, table: str | None, out: Path | None, use: str | None, **how: Any) -> None:
    """Print which layer of a network separates the classes of FOLDER best, without training.

    FOLDER has a folder of images for each class, or a CSV for --table. The images are embedded once. A table of plain
    scores comes first, followed by the recommended layer for each use, its gain over the last layer, and how sure that
    is. A second table compares joins of layers, too.

    Several networks, sizes and poolings are embedded once each, and all compete. Gains are over the first one's last
    layer.
    """
    if (folder is None) != demo:
        raise UserError("give a folder of images, or use --demo (not both)")
    if use == "detection":
        raise UserError("--use detection needs classes that the network was trained on; use `whichlayer new FOLDER`")
    if out is not None:
        check_new(out, images=folder)
    models, sizes = load(PARAMS)["models"], dict.fromkeys(how["sizes"]) or (None,)
    networks = [
        (name, size, named_network(models, name, size)) for name in dict.fromkeys(how["networks"]) for size in sizes
    ]
    per_class, workers = how["per_class"] or (30 if demo else 100), how["workers"]
    poolings = tuple(dict.fromkeys(how["poolings"]))
    source = folder or RAW / DEMO
    sources, labels = embed_folder(source, table, per_class, networks, poolings, workers, how["dimensions"])
    from .waves import answer, plain_name  # after what may be wrong: libraries take seconds

    model, dataset = plain_name(how["networks"][0]), DEMO if folder is None else plain_name(folder.name)
    answer(sources, labels, model, dataset, use, out, words_of(folder, table, **how), how["dimensions"])
    if out:
        print(f"quick: {out / 'report.html'} is the page", file=sys.stderr)
    words = ["FOLDER" if folder is None else str(folder), *(["--table", table] if table else [])]
    further = shlex.join([*words, *(["--use", use] if use else [])])
    print(f"Next: whichlayer new {further}    (a study: more networks, fine-tuning, `dvc repro`)", file=sys.stderr)


def words_of(folder: Path | None, table: str | None, **how: Any) -> str:
    """Return the command that does the same."""
    options = {"--table": [table], "--network": how["networks"], "--image-size": how["sizes"]}
    options |= {"--pooling": how["poolings"], "--per-class": [how["per_class"]], "--dimensions": [how["dimensions"]]}
    given = [(name, str(each)) for name, values in options.items() for each in values if each is not None]
    words = ["whichlayer", "quick", "--demo" if folder is None else str(folder)]
    return shlex.join([*words, *(word for pair in given for word in pair)])


def embed_folder(
    source: Path,
    table: str | None,
    per_class: int,
    networks: Sequence[tuple[str, int | None, NetworkParams]],
    poolings: Sequence[Pooling],
    workers: int | None,
    dimensions: int | None = None,
) -> "tuple[dict[str, Layers], list[str]]":
    """Choose images, and embed them by each network at its size.

    Args:
        source: the folder of images.
        table: in it; None: it has class folders.
        per_class: images of a class, at most.
        networks: the name, the size that is asked for (None: its own) and the entry of each.
        poolings: all in one pass.
        workers: threads that decode; None: one per processor.
        dimensions: that a representation is to keep; None: all.

    Returns:
        The layers of each, by what tells it from the others: network, size and pooling; and the classes of the images.

    Raises:
        UserError: there are fewer images than dimensions.
    """
    with ExitStack() as resources:
        from .images import FolderImages, choose_images, drop_copies, keep_rows

        chosen = choose_images(source, table, per_class, resources)
        if dimensions is not None and dimensions > len(chosen):
            raise UserError(
                f"--dimensions must be at most the number of images, {len(chosen)} of {source}, found {dimensions}; "
                "give fewer dimensions or more images"
            )
        from ...shared.networks.network import at_trained_size  # after what may be wrong: torch takes seconds

        params = [(name, each if size else at_trained_size(each)) for name, size, each in networks]
        images = FolderImages(source, chosen, workers)
        sources = embed_all(images, params, poolings)
    kept = drop_copies(source, images.facts)
    keep_rows(sources.values(), kept.index.to_list())
    return sources, kept["label"].tolist()


def embed_all(
    images: "FolderImages", params: Sequence[tuple[str, NetworkParams]], poolings: Sequence[Pooling]
) -> "dict[str, Layers]":
    """Embed images by each network at its size, once for all poolings; the images are decoded again for each.

    Returns:
        The layers of each, by what tells it from the others: network, size and pooling.
    """
    from ...aggregate.words.formatting import plural
    from ...embed.params import TapsParams
    from ...library.embedding import embed_named

    sizes = {each.image_size for _, each in params}
    several = [len({name for name, _ in params}) > 1, len(sizes) > 1, len(poolings) > 1]
    sources: dict[str, Layers] = {}
    for name, each in params:
        print(f"quick: {plural(len(images), 'image')}, {name} at {each.image_size} px", file=sys.stderr)
        pixels = images.pixels(each.image_size)
        for pooling, layers in embed_named(each, pixels, len(images), TapsParams(), poolings, name=name).items():
            kind = pooling.replace("+", "-")  # in names of layers there is no +
            facts = zip((name, str(each.image_size), kind), several, strict=True)
            sources[" ".join(fact for fact, is_told in facts if is_told) or name] = layers
    return sources
