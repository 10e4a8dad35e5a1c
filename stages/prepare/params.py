"""Parameters of the prepare stage: section `prepare`, and an entry of `datasets`, whose fields depend on its source."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from ..shared.runtime.errors import check_known, did_you_mean, short_repr
from ..shared.workflow.params import Params, load_entry, parse
from .bits import FULL, Bits
from .names import inside

Count = Annotated[int, Field(ge=1)]
Label = Annotated[str, Field(min_length=1)]
Labels = Annotated[list[Label], Field(min_length=1)]
All = Literal["all"]
MAX_GENERATED = 10_000
"""Images of a class that are made and not found, so that nothing else bounds their number."""

DEFAULT_MAX_PIXELS = 50_000_000

Keywords = dict[str, str | bool | int | float]

CALLIGRAPHY_UNSEEN = ("csl", "hy", "mf", "shz", "wzm")
CIFAR100_UNSEEN = ("orchid", "poppy", "rose", "sunflower", "tulip")
CIFAR100_SEEN = (  # fine labels 0 to 19
    *("apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle"),
    *("bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle"),
)


class PrepareParams(Params):
    """Section `prepare`.

    Attributes:
        seed: root seed of every random choice of images and classes; a dataset may have its own `seed`.
        max_pixels: most pixels of one image, before it is resized.
    """

    seed: Annotated[int, Field(ge=0)]
    max_pixels: Annotated[int, Field(ge=1, lt=2**40)] = DEFAULT_MAX_PIXELS


class DatasetParams(Params):
    """What every entry of `datasets` has; each source adds its own fields and defaults.

    Attributes:
        source: where the images come from.
        image_size: height and width of the packed images in pixels.
        fit: how an image becomes square: `crop` (scale the shorter side to image_size, cut out the centre), `pad`
            (scale the longer side, fill the rest with `fill`) or `squash` (scale both sides).
        fill: grey level 0 to 255 behind transparent pixels, in padding, and where later transforms uncover a border.
        bits: number of bits that files of 16 bits per sample really use, 8 to 16; with 12 bits, 4095 is white. `null`:
            16, with an error if the largest value of all such files fits in fewer bits. Larger values are refused.
        on_bad_image: a file that cannot be decoded is an `error`, or is left out, counted and listed (`skip`).
        on_duplicate: for exact copies that falsify a score, since they are in two splits or classes: `error`; `drop`
            (remove all copies that have two classes, and all but one of the others) or `keep` (only count them). Copies
            within a split and class are always kept and counted, except under `drop`.
        on_short_class: a class with fewer images than a limit is an `error`, or keeps the images that it has (`keep`).
        min_images: classes with fewer images in all are left out, counted and listed; `null`: no class is.
        train, test: images per seen class; `null`: all.
        unseen: images per unseen class; `null`: all.
        train_total, test_total: images over all seen classes together, drawn at random; instead of `train`, `test`.
        test_fraction: share of each seen class that becomes test images, for data without a test split.
        unseen_classes: names of the unseen classes, or `all`, for frozen networks; `null`: `unseen_count` classes are
            drawn. If both are given, the names count. One of the two is required, unless the data or the source name
            their unseen classes.
        unseen_count: number of classes that are drawn at random to be unseen; with `unseen_classes: all`, the size of
            the sets in which classes are scored, which are the unseen classes of folds 0, 1, ...
        unseen_seed: seed of the draws of unseen classes, in fold 0 and further folds; `null`: the dataset's seed.
        seen_classes: names; `null`: all other classes.
        folds: number of disjoint choices of unseen classes (with `unseen_classes: all` and `unseen_count`: of sets);
            `null`: as many as possible, at most 4. The first is the choice that is named or drawn above.
        group: which images stay together in splits and halves, such as those of a writer, patient or video: a regular
            expression with one pair of parentheses, searched in the path; for the source `table` the name of a column.
        seed: root seed of this dataset; `null`: `prepare.seed`.
    """

    source: str
    image_size: Annotated[int, Field(ge=8, le=2048)]
    fit: Literal["crop", "pad", "squash"] = "crop"
    fill: Annotated[int, Field(ge=0, le=255)] = 255
    bits: Bits | None = None
    on_bad_image: Literal["error", "skip"] = "error"
    on_duplicate: Literal["error", "drop", "keep"] = "error"
    on_short_class: Literal["error", "keep"] = "error"
    min_images: Count | None = None
    train: Count | None = None
    test: Annotated[int, Field(ge=2)] | None = None
    unseen: Annotated[int, Field(ge=2)] | None = None
    train_total: Count | None = None
    test_total: Count | None = None
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    unseen_count: Annotated[int, Field(ge=2)] | None = None
    unseen_seed: Annotated[int, Field(ge=0)] | None = None
    unseen_classes: Labels | All | None = None
    seen_classes: Labels | None = None
    folds: Count | None = None
    group: Annotated[str, Field(min_length=1)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for split in ("train", "test"):
            if getattr(self, split) is not None and getattr(self, f"{split}_total") is not None:
                raise ValueError(f"give `{split}` (per class) or `{split}_total` (over all classes), not both")
        for name in ("unseen_classes", "seen_classes"):
            names = getattr(self, name)
            if isinstance(names, list) and len(set(names)) < len(names):
                raise ValueError(f"`{name}` must not repeat a class, found {names}")
        if self.all_unseen and self.seen_classes is not None:
            raise ValueError("with `unseen_classes: all` no class is seen; set `seen_classes: null`")
        if overlap := sorted(set(self.unseen_classes or ()) & set(self.seen_classes or ())):
            raise ValueError(f"a class must be seen or unseen, not both; found in both lists: {', '.join(overlap)}")
        return self

    @property
    def decode(self) -> dict[str, Any]:
        """How images are decoded, as `read_pixels` takes it."""
        return {"size": self.image_size, "fit": self.fit, "fill": self.fill, "bits": self.bits or FULL}

    @property
    def all_unseen(self) -> bool:
        """Whether every class is unseen, so that there are no train and test images."""
        return self.unseen_classes == "all"

    @property
    def in_sets(self) -> bool:
        """Whether every class is unseen, and the classes are scored in sets."""
        return self.all_unseen and self.unseen_count is not None

    def root_seed(self, default: int) -> int:
        """Return this dataset's own root seed, or else the default."""
        return default if self.seed is None else self.seed

    def draw_seed(self, root_seed: int) -> int:
        """Return the seed of the draw of unseen classes: its own, or else the dataset's."""
        return root_seed if self.unseen_seed is None else self.unseen_seed


class HandwritingParams(DatasetParams):
    """Words rendered in fonts after a written or drawn hand; the numbers of images must be given."""

    source: Literal["handwriting"]
    train: Annotated[int, Field(ge=1, le=MAX_GENERATED)]
    test: Annotated[int, Field(ge=2, le=MAX_GENERATED)]
    unseen: Annotated[int, Field(ge=2, le=MAX_GENERATED)]


class FolderParams(DatasetParams):
    """A folder or archive with one folder per class, below split folders or not."""

    source: Literal["folder"]


class TableParams(DatasetParams):
    """Images listed in a CSV.

    Attributes:
        table: the CSV's path, relative to the raw folder; its columns are path, label and, optionally, split.
    """

    source: Literal["table"]
    table: Annotated[str, Field(min_length=1)]

    @field_validator("table")
    @classmethod
    def _inside(cls, table: str) -> str:
        path = inside(table)
        if path is None:
            raise ValueError("must be relative to the raw folder and inside it: DVC notices changes there alone")
        return path


def unless_drawn(names: Sequence[str]) -> Callable[[dict[str, Any]], list[str] | None]:
    """Make a source's own unseen classes the default, for entries that do not ask for a draw."""
    return lambda entry: list(names) if entry.get("unseen_count") is None else None


class CalligraphyParams(DatasetParams):
    """The paper's calligraphers, from a local folder or from GitHub at a pinned commit."""

    source: Literal["calligraphy"]
    on_duplicate: Literal["error", "drop", "keep"] = "keep"
    unseen_classes: Labels | All | None = Field(default_factory=unless_drawn(CALLIGRAPHY_UNSEEN))


class Cifar100Params(DatasetParams):
    """CIFAR-100 with the paper's 25 classes by default, from a local folder or downloaded."""

    source: Literal["cifar100"]
    on_duplicate: Literal["error", "drop", "keep"] = "keep"
    unseen_classes: Labels | All | None = Field(default_factory=unless_drawn(CIFAR100_UNSEEN))
    seen_classes: Labels | None = Field(
        default_factory=lambda entry: None if entry.get("unseen_classes") == "all" else list(CIFAR100_SEEN)
    )


TORCHVISION_DATASETS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("CIFAR10", "CIFAR100", "FashionMNIST", "KMNIST", "MNIST", "USPS"), ("train",)),
    **dict.fromkeys(("Caltech101", "Caltech256", "EuroSAT", "SEMEION", "SUN397"), ()),
    **dict.fromkeys(("CLEVRClassification", "Country211", "FER2013", "Flowers102", "Food101", "GTSRB"), ("split",)),
    **dict.fromkeys(("ImageNet", "PCAM", "RenderedSST2", "SVHN"), ("split",)),
    "CelebA": ("split", "target_type"),
    "DTD": ("split", "partition"),
    "EMNIST": ("split", "train"),
    "FakeData": ("size", "num_classes", "random_offset"),
    "INaturalist": ("version", "target_type"),
    "Imagenette": ("split", "size"),
    "LFWPeople": ("split", "image_set"),
    "Omniglot": ("background",),
    "OxfordIIITPet": ("split", "target_types"),
    "Places365": ("split", "small"),
    "QMNIST": ("what", "train"),
    "STL10": ("split", "folds"),
}
"""torchvision's classes that classify images, compare their files with a checksum of torchvision's own and read nothing
outside their folder; of their arguments those that choose images or labels."""


class TorchvisionParams(DatasetParams):
    """A classification dataset of torchvision.

    Attributes:
        name: the dataset's class in `torchvision.datasets`.
        kwargs: further arguments of its constructor, for example `{split: letters}` for `EMNIST`.
        train_kwargs, test_kwargs: arguments that choose the train and the test images (`OxfordIIITPet`: `{split:
            trainval}` and `{split: test}`); by default `train=True/False` or `split="train"/"test"`, whichever the
            class has. Without `test_kwargs`, `train_kwargs` gives all images, without splits.
    """

    source: Literal["torchvision"]
    name: str
    on_duplicate: Literal["error", "drop", "keep"] = "keep"
    kwargs: Keywords = Field(default_factory=dict)
    train_kwargs: Keywords | None = None
    test_kwargs: Keywords | None = None

    @model_validator(mode="after")
    def _harmless(self) -> Self:
        if self.name not in TORCHVISION_DATASETS:
            raise ValueError(
                f"`name`: must be a dataset of torchvision that may be used, found {short_repr(self.name)}: "
                f"{did_you_mean(self.name, TORCHVISION_DATASETS)}; put the images of others into a folder (source: "
                "folder)"
            )
        if self.train_kwargs is None and self.test_kwargs is not None:
            raise ValueError("`test_kwargs` needs `train_kwargs` beside it")
        if self.name == "EMNIST" and "split" not in {**self.kwargs, **(self.train_kwargs or {})}:
            raise ValueError("`kwargs`: EMNIST must have a split, found none; give {split: letters}, or another")
        for field in ("kwargs", "train_kwargs", "test_kwargs"):
            for argument, value in (getattr(self, field) or {}).items():
                if argument not in (accepted := TORCHVISION_DATASETS[self.name]):
                    takes = ", ".join(accepted) or "none"
                    raise ValueError(f"`{field}`: {self.name} takes {takes}, found {short_repr(argument)}")
                if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", value):  # no path
                    raise ValueError(f"`{field}`: {argument} must be a word, found {short_repr(value)}")
        return self


DATASET_PARAMS: dict[str, type[DatasetParams]] = {
    "handwriting": HandwritingParams,
    "folder": FolderParams,
    "table": TableParams,
    "calligraphy": CalligraphyParams,
    "cifar100": Cifar100Params,
    "torchvision": TorchvisionParams,
}


class _SourceOnly(Params):
    model_config = ConfigDict(extra="ignore")

    source: str


def read_dataset(path: Path, dataset: str) -> DatasetParams:
    """Read and validate one entry of `datasets`, as the parameters of its source.

    Raises:
        UserError: the entry or its source does not exist (nearest names listed), or a value in it is wrong.
    """
    return parse_dataset(load_entry(path, "datasets", dataset), dataset)


def parse_dataset(values: Any, dataset: str) -> DatasetParams:
    """Validate the plain values of one entry of `datasets`, as the parameters of its source.

    Raises:
        UserError: the source does not exist (nearest names listed), or a value is wrong.
    """
    where = f"datasets.{dataset}"
    source = parse(values, _SourceOnly, where=where).source
    check_known(source, DATASET_PARAMS, f"params: {where}.source: unknown source {source!r}")
    return parse(values, DATASET_PARAMS[source], where=where)
