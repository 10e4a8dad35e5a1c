"""Start a study of your own images: the grid and an entry in params.yaml, and a link to the images below data/raw."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from fcntl import LOCK_EX, flock
from functools import reduce
from io import StringIO
from math import ceil
from operator import getitem
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from ..prepare.bits import fewest_bits
from ..prepare.candidates import Candidate, class_counts, describe_counts
from ..prepare.class_folders import TABLE_INSTEAD
from ..prepare.params import DatasetParams, parse_dataset
from ..prepare.splits import FoldPlan, plan_folds
from ..shared.networks.params import NetworkParams
from ..shared.runtime.errors import UserError, check_known, prefix_errors
from .check import check_config
from .config import Config, parse_config, read_config
from .project import PARAMS, RAW, ROOT, OwnProjectCommand, ProjectPath, use_option

MODEL = "efficientnet_lite0_frozen"
READ = 64
"""Images, or a few more, from which `bits` is proposed."""

UNSEEN_CLASSES = 5
MIN_FOLDED_CLASSES = 12
"""Below which three folds, of four unseen classes each, cannot be made, as intervals over other classes take."""

MAX_WIDTH = 4096
"""Of a line of params.yaml; longer ones are broken."""

TEST_FRACTION = 0.2
Changes = dict[tuple[str, ...], Any]
"""Keys of params.yaml, from a section down, and their values."""

LIMITS = {"train": 120, "test": 40, "unseen": 100}
"""Images of a class at most, so that a first run takes minutes."""


@click.command(cls=OwnProjectCommand)
@click.argument("folder", type=ProjectPath(exists=True))
@click.option("--name", default="mine", show_default=True, help="The dataset's name.")
@click.option(
    "--model", "models", multiple=True, default=[MODEL], show_default=True, help="In params.yaml; may be repeated."
)
@click.option("--table", help="A CSV in FOLDER that lists images (path, label), rather than class folders.")
@click.option("--image-size", type=click.IntRange(8), help="In pixels; by default as in each network's pre-training.")
@use_option
def new(
    folder: Path, name: str, models: tuple[str, ...], table: str | None, image_size: int | None, use: str | None
) -> None:
    """Start a study on your own images: write the grid and the dataset to params.yaml, and link the images.

    FOLDER has an image folder per class, directly or below train/ and test/, or a CSV that --table names. It may be
    an archive (.zip, .tar, ...) with such folders. For fine-tuning, each fold leaves some classes out. For frozen
    networks there is one fold. Its classes are scored in sets if at least twelve have 23 images (5 if FOLDER has train/
    and test/), else all at once.

    If something is wrong, nothing is written. Comments in params.yaml stay, and git undoes the changes.
    """
    config, link = read_config(PARAMS), RAW / name
    check_free(config, name, folder, models)
    frozen = all(config.models[model].network.frozen for model in models)
    sizes = {model: image_size or own_size(config.models[model].network) for model in models}
    entry: dict[str, Any] = {"source": "table", "table": table} if table else {"source": "folder"}
    entry |= {"image_size": max(sizes.values()), "on_short_class": "keep"}
    candidates, bits = list_candidates(config, folder, parse_dataset(entry, name))
    entry |= choose_splits(candidates, frozen=frozen, probe_folds=config.measure.probe.folds)
    entry |= {"bits": bits} if bits else {}
    with prefix_errors(str(folder)):
        plan = plan_folds(candidates, parse_dataset(entry, name), config.prepare.seed)
    folds = [int(fold) for fold in plan.splits if fold.isdecimal()]
    changes: Changes = {("run", "datasets"): [name], ("run", "models"): [*models]}
    own = {model: size for model, size in sizes.items() if size != config.models[model].network.image_size}
    changes |= {("models", model, "network", "image_size"): size for model, size in own.items()}
    changes |= {("run", "folds"): folds} | ({("aggregate", "use"): use} if use else {})
    changes |= {} if frozen else longer_schedule(config, plan)
    with PARAMS.open("r+b") as file:
        flock(file, LOCK_EX)  # until the file is closed, while another `new` waits
        check_free(read_config(PARAMS), name, folder, models)  # again: another one may have ended meanwhile
        linked = not link.exists()
        notes = write_study(changes, name, entry, folder)
    undo = f"git checkout -p {PARAMS.name}" + (f" && rm {link.relative_to(ROOT)}" if linked else "")
    training = "measured as it is" if frozen else f"fine-tuned on at most {entry['train']} images per class"
    what, count = ("set", len(plan.sets)) if plan.sets else ("fold", len(folds))
    unseen = len(plan.sets[0] if plan.sets else plan.folds[0][0].unseen)
    for line in [
        f"wrote {', '.join('.'.join(key) for key in changes)} and datasets.{name} to {PARAMS.name}; undo: {undo}",
        f"{' and '.join(models)}: {training}; {count} {what}{'s' * (count > 1)} with {unseen} unseen classes",
        *(f"{model}: {size} px images; smaller ones are enlarged; see --image-size" for model, size in sizes.items()),
        *([f"bits: {bits}, as images that were read have it; prepare refuses larger values"] if bits else []),
        *notes,
        "next: `whichlayer plan` estimates the time, `dvc repro` runs it",
    ]:
        print(f"new: {line}")


def write_study(changes: Changes, name: str, entry: Mapping[str, Any], folder: Path) -> list[str]:
    """Write changes and a dataset to params.yaml and link its images, or neither if they do not pass `check`.

    Returns:
        What a user should know of the datasets, a sentence each.
    """
    text, content = edited(PARAMS.read_text(encoding="utf-8"), changes, name, entry)
    link, ends = RAW / name, "\r\n" if b"\r\n" in PARAMS.read_bytes() else "\n"
    with ExitStack() as rollback:
        if not link.exists():
            link.symlink_to(folder.absolute())
            rollback.callback(link.unlink)
        notes = check_config(parse_config(content), RAW)
        PARAMS.write_text(text, encoding="utf-8", newline=ends)
        rollback.pop_all()
    return notes


def check_free(config: Config, name: str, folder: Path, models: Sequence[str]) -> None:
    """Check that the name is free and the networks known.

    Raises:
        UserError: naming what is not.
    """
    for model in models:
        check_known(model, config.models, f"--model: {model!r} must be an entry in `models`")
    if not re.fullmatch(r"\w{1,100}", name, re.ASCII):
        raise UserError(f"--name: must have letters, digits and underscores alone, found {name!r}; choose another name")
    link = RAW / name
    if name in config.datasets or ((link.is_symlink() or link.exists()) and not link == ROOT / folder):
        raise UserError(f"--name: {name!r} must be free, found it in `datasets` or {link}; choose another name")


def own_size(network: NetworkParams) -> int:
    """Return the size of images that a network's weights were trained at."""
    from ..shared.networks.network import at_trained_size  # torch takes seconds to import

    return at_trained_size(network).image_size


def list_candidates(config: Config, folder: Path, params: DatasetParams) -> tuple[list[Candidate], int | None]:
    """List the images of a folder or archive, with their classes; read some of them to see how many `bits` they use.

    Raises:
        UserError: they cannot be listed, or are of one class.
    """
    from ..prepare.decode import decode_many
    from ..prepare.sources import list_images  # takes a second to import

    with ExitStack() as resources:
        candidates = list_images(folder, params, config.prepare.seed, resources).candidates
        if len(counts := class_counts(candidates)) < 2:
            found = describe_counts(counts)
            raise UserError(f"{folder}: must have two classes or more, found {found}; {TABLE_INSTEAD}")
        some = candidates[:: max(1, len(candidates) // READ)]
        how = params.decode | {"max_pixels": config.prepare.max_pixels}
        decoded = [image for _, image in decode_many([each.content for each in some], **how)]
    return candidates, fewest_bits(image.depth for image in decoded if not isinstance(image, str))


def choose_splits(candidates: Sequence[Candidate], *, frozen: bool, probe_folds: int) -> dict[str, Any]:
    """Choose the splits of a dataset: folds of unseen classes, or without training all unseen, in sets unless few.

    Args:
        candidates: its images.
        frozen: whether no network is trained.
        probe_folds: images that each class needs in every split.

    Raises:
        UserError: there are too few classes to train on some and leave others out.
    """
    counts, splits = class_counts(candidates), {candidate.split for candidate in candidates}
    divided = splits == {None}
    tested = next(n for n in range(probe_folds, 100 * probe_folds) if round(TEST_FRACTION * n) >= probe_folds)
    least = tested if divided else probe_folds
    classes = sum(count >= least for count in counts.values())
    all_unseen, few = frozen and "unseen" not in splits, classes < MIN_FOLDED_CLASSES
    least = probe_folds if all_unseen and few else least
    entry: dict[str, Any] = {"min_images": least} if min(counts.values()) < least else {}
    entry |= {"unseen_classes": "all", "unseen": LIMITS["unseen"]} if all_unseen else LIMITS
    if all_unseen and few:
        return entry
    entry |= {"test_fraction": TEST_FRACTION} if divided else {}
    if "unseen" in splits:
        return entry
    unseen = max(2, min(UNSEEN_CLASSES, classes // 3))
    if classes < unseen + 2:
        raise UserError(
            f"fine-tuning needs two seen and two unseen classes, found {classes} with at least {least} images; add "
            f"classes or images, or measure a network as it is (--model {MODEL})"
        )
    return entry | {"unseen_count": unseen}


def longer_schedule(config: Config, plan: FoldPlan) -> Changes:
    """Return the change that makes the schedule as long as the training, where images are few."""
    tuned = config.finetune
    images = min(len(splits["train"]) for _, splits in plan.folds)
    epochs = ceil(tuned.steps[-1] / ceil(images / tuned.batch_size))
    short = tuned.schedule_steps is None and (tuned.schedule_epochs or 0) < epochs
    return {("finetune", "schedule_epochs"): epochs} if short else {}


class _WithNull(RoundTripRepresenter):  # type: ignore[misc]
    """Write null as DVC's parser and people read it, not as nothing."""


_WithNull.add_representer(type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null"))


def edited(text: str, changes: Changes, dataset: str, entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Change values in the text of a params file, and put a dataset before the others.

    Args:
        text: the file.
        changes: keys from a section down -> value.
        dataset: the entry's id.
        entry: what it has.

    Returns:
        The new text, and its plain values.
    """
    yaml, written = YAML(), StringIO()
    yaml.Representer, yaml.preserve_quotes, yaml.width = _WithNull, True, MAX_WIDTH
    content = yaml.load(text)
    for (*path, key), value in changes.items():
        section = reduce(getitem, path, content)
        if isinstance(value, list):
            section[key][:] = value  # which keeps its layout
        else:
            section[key] = value
    content["datasets"].insert(0, dataset, dict(entry))
    yaml.dump(content, written)
    return written.getvalue(), YAML(typ="safe", pure=True).load(written.getvalue())
