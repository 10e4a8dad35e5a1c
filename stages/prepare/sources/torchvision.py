"""Any classification dataset of torchvision, by the name of its class; torchvision downloads and checks it.

The one place of this stage that needs torch: it is imported only when such a dataset is prepared.
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from ...shared.runtime.errors import UserError, prefix_errors
from ..candidates import Candidate, Listing, Split
from ..download import cache_folder
from ..params import TORCHVISION_DATASETS, Keywords, TorchvisionParams

CONVENTIONS: dict[str, tuple[bool | str, bool | str]] = {"train": (True, False), "split": ("train", "test")}
"""Arguments by which torchvision's classes choose their train and test images, with the two values."""


def list_torchvision(raw: Path, params: TorchvisionParams, seed: int, resources: ExitStack) -> Listing:
    """List a torchvision dataset's images.

    Raises:
        UserError: its arguments are wrong, it cannot be downloaded or read, or it has no classes.
    """
    from torchvision import datasets

    factory: type = getattr(datasets, params.name)
    candidates: list[Candidate] = []
    for split, arguments in split_arguments(params).items():
        with prefix_errors(f"torchvision dataset {params.name}"):
            dataset = _build(factory, {**params.kwargs, **arguments}, params.name)
            candidates += _candidates(dataset, None if split == "all" else split, params.name)  # type: ignore[arg-type]
    return Listing(candidates)


def split_arguments(params: TorchvisionParams) -> dict[str, Keywords]:
    """Return the arguments for the splits `train` and `test`, or for `all` where a dataset has no splits."""
    if params.train_kwargs is not None:
        train, test = params.train_kwargs, params.test_kwargs
        return {"all": train} if test is None else {"train": train, "test": test}
    for argument, values in CONVENTIONS.items():
        if argument in TORCHVISION_DATASETS[params.name] and argument not in params.kwargs:
            return {"train": {argument: values[0]}, "test": {argument: values[1]}}
    return {"all": {}}


def accepted_arguments(factory: type) -> set[str]:
    """Return the names of a class's arguments, those of the classes that it hands them on to included."""
    accepted = set(inspect.signature(factory).parameters)
    if "kwargs" in accepted:  # passed on to the class it extends
        accepted |= accepted_arguments(factory.__mro__[1])
    return accepted - {"kwargs"}


def _build(factory: type, arguments: Mapping[str, Any], name: str) -> Any:
    root = cache_folder() / "torchvision" / name
    root.mkdir(parents=True, exist_ok=True)
    accepted = accepted_arguments(factory)
    own = {argument: value for argument, value in (("root", str(root)), ("download", True)) if argument in accepted}
    try:
        return factory(**own, **arguments)
    except Exception as error:  # of any kind, by the dataset
        raise UserError(
            f"cannot be loaded, downloaded or given the arguments {dict(arguments)} ({error}); it accepts "
            f"{', '.join(TORCHVISION_DATASETS[name]) or 'none'} (`kwargs`, `train_kwargs`, `test_kwargs`); without a "
            f"network put its files into {root}, as torchvision lays them out"
        ) from None


def _candidates(dataset: Any, split: Split | None, name: str) -> Iterator[Candidate]:
    folder = split or "all"
    names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None) or []
    labels = [name if isinstance(name, str) else " ".join(map(str, name)) for name in names]
    for index, target in enumerate(_targets(dataset)):
        label = labels[target] if labels else str(target)
        sample_id = f"{folder}/{index:06d}"
        yield Candidate(sample_id, label, split, f"torchvision/{name}/{sample_id}", partial(_image, dataset, index))


def _targets(dataset: Any) -> list[int]:
    """Return every image's class, from a list that the dataset keeps, else by reading it item by item."""
    lists = (getattr(dataset, attribute, None) for attribute in ("targets", "labels", "_labels", "y"))
    kept = next((each for each in lists if each is not None and len(each) == len(dataset)), None)
    try:
        return [int(target) for target in (kept if kept is not None else (dataset[i][1] for i in range(len(dataset))))]
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"must be a classification dataset that can be read, found: {error}") from None


def _image(dataset: Any, index: int) -> Image.Image:
    image = dataset[index][0]
    if not isinstance(image, Image.Image):
        raise OSError(f"torchvision gives {type(image).__name__}, not an image")
    return image
