"""A first answer for a folder of images: frozen networks, each embedded once, and two waves of what that tells."""

import shlex
import sys
from collections.abc import Mapping, Sequence
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

    FOLDER has a folder of images for each class, or a CSV that --table names. The images are embedded once. A table of
    plain scores comes first, then for each use the layer to take, its gain over the last layer, and how sure that is.
    For retrieval joins of layers compete, too.

    Of several networks, sizes and poolings each is embedded once and all compete. Gains are over the last layer of the
    first.
    """
    if (folder is None) != demo:
        raise UserError("name a folder of images, or take --demo (not both)")
    if use == "detection":
        raise UserError("--use detection needs classes that the network was trained on; take `whichlayer new FOLDER`")
    if out is not None:
        check_new(out, images=folder)
    models, sizes = load(PARAMS)["models"], dict.fromkeys(how["sizes"]) or (None,)
    networks = [
        (name, size, named_network(models, name, size)) for name in dict.fromkeys(how["networks"]) for size in sizes
    ]
    per_class, workers = how["per_class"] or (30 if demo else 100), how["workers"]
    pixels, labels, params = read_all(folder or RAW / DEMO, table, per_class, networks, workers)
    sources = embed_all(pixels, params, tuple(dict.fromkeys(how["poolings"])))
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


def read_all(
    source: Path,
    table: str | None,
    per_class: int,
    networks: Sequence[tuple[str, int | None, NetworkParams]],
    workers: int | None,
) -> tuple[dict[int, Any], list[str], list[tuple[str, NetworkParams]]]:
    """Read the images at the size of each network.

    Args:
        source: the folder of images.
        table: in it; None: it has class folders.
        per_class: images of a class, at most.
        networks: the name, the size that is asked for (None: its own) and the entry of each.
        workers: threads that decode; None: one per processor.

    Returns:
        Size -> (N, S, S, 3) uint8, the classes of the images, and the name and entry of each network, at its size.
    """
    with ExitStack() as resources:
        from .images import choose_images, drop_copies, move_to_front, read_images

        chosen = choose_images(source, table, per_class, resources)
        from ...shared.networks.network import at_trained_size  # after what may be wrong: torch takes seconds

        params = [(name, each if size else at_trained_size(each)) for name, size, each in networks]
        sizes = dict.fromkeys(each.image_size for _, each in params)
        read = {size: read_images(source, chosen, size, workers) for size in sizes}
    images = drop_copies(source, next(iter(read.values()))[1])
    pixels = {size: move_to_front(each, images.index.to_list()) for size, (each, _) in read.items()}
    return pixels, images["label"].tolist(), params


def embed_all(
    pixels: Mapping[int, Any], params: Sequence[tuple[str, NetworkParams]], poolings: Sequence[Pooling]
) -> "dict[str, Layers]":
    """Embed images by each network at its size, once for all poolings.

    Returns:
        The layers of each, by what tells it from the others: network, size and pooling.
    """
    from ...aggregate.words.formatting import plural
    from ...embed.params import TapsParams
    from ...library.embedding import embed_named

    several = [len({name for name, _ in params}) > 1, len(pixels) > 1, len(poolings) > 1]
    sources: dict[str, Layers] = {}
    for name, each in params:
        images = pixels[each.image_size]
        print(f"quick: {plural(len(images), 'image')}, {name} at {each.image_size} px", file=sys.stderr)
        for pooling, layers in embed_named(each, images, TapsParams(), poolings, name=name).items():
            kind = pooling.replace("+", "-")  # in names of layers there is no +
            facts = zip((name, str(each.image_size), kind), several, strict=True)
            sources[" ".join(fact for fact, is_told in facts if is_told) or name] = layers
    return sources
