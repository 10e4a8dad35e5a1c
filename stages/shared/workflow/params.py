"""params.yaml -> frozen, validated models, and every configuration error message.

Each stage owns the model of its section (`stages/<stage>/params.py`), so that a change to one stage's
parameters invalidates that stage alone; what they share is here: the file, read as DVC reads it, the base class,
the grid, and how a wrong value is reported.
"""

import copy
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise, product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator
from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.error import MarkedYAMLError

from ..runtime.errors import UserError, check_known, irregular, prefix_errors, short_repr
from .models import ALL as ALL
from .models import Cell as Cell
from .models import P
from .models import Params as Params
from .models import parse as parse

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError)
"""What the parser raises beside its own errors, for example for a date, number or boolean that is none."""


def read_yaml(path: Path) -> Any:
    """Read a params file; nothing in it is executed.

    Raises:
        UserError: it cannot be read, or is no YAML.
    """
    return copy.deepcopy(_parsed(path, _content(path)))


@lru_cache(maxsize=1)  # a stage reads several sections
def _parsed(path: Path, content: bytes) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(content)  # the parser DVC uses: both see the same values
    except (YAMLError, *UNREADABLE) as error:
        raise UserError(f"{path}: not valid YAML{_explained(error)}") from None


def _content(path: Path) -> bytes:
    try:
        if kind := irregular(path.stat().st_mode):  # a pipe would be waited for, and a device has no end
            raise UserError(f"{path}: must be a regular file, found {kind}; give one with --params")
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the repository's root, or give it with --params") from None
    except OSError as error:
        raise UserError(
            f"{path}: must be a file that can be read, found: {error.strerror}; give it with --params"
        ) from None
    try:
        content.decode()
    except UnicodeDecodeError:
        raise UserError(f"{path}: must be text in UTF-8, which DVC reads, found another; save it as UTF-8") from None
    return content


def _explained(error: Exception) -> str:
    """Return the line, if it is known, and the problem, without the parser's advice."""
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        return f"{line}: {error.problem or error.context}"
    if isinstance(error, RecursionError):
        return ": nested too deep"
    if isinstance(error, KeyError):
        return f": {error} is not of the type that its tag says"
    return f": {(str(error) or type(error).__name__).splitlines()[0].partition('; use ')[0]}"


SECTIONS = ("run", "datasets", "models", "prepare", "finetune", "embed", "measure", "aggregate")

MAX_STEPS = 10_000_000
"""Optimizer steps of a training; that many take weeks."""


def _fold_name(value: Any) -> str:
    if value == ALL or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return str(value)
    raise ValueError(
        f"a fold must be a whole number >= 0, or `{ALL}`, found {short_repr(value)} ({type(value).__name__})"
    )


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=100)]
Fold = Annotated[str, BeforeValidator(_fold_name)]
"""A fold's name in tables and paths: `0`, `1`, ..., or `all`."""

FOLD_SCHEMA: Any = {"items": {"anyOf": [{"type": "integer", "minimum": 0}, {"const": ALL}]}}


class RunParams(Params):
    """The grid: every dataset is combined with every model, every fold and every seed.

    Attributes:
        datasets: ids of entries of `datasets`; an id that has only digits needs quotes.
        models: ids of entries of `models`.
        folds: choices of the unseen classes, by number (`datasets.<id>.folds` is how many there are), and `all`, which
            leaves no class out, for the network that you use in the end. At least one number; intervals over classes
            need three.
        seeds: seeds of training; all that is random in training is drawn anew for each fold and seed.
    """

    datasets: Annotated[list[Id], Field(min_length=1)]
    models: Annotated[list[Id], Field(min_length=1)]
    folds: Annotated[list[Fold], Field(min_length=1, json_schema_extra=FOLD_SCHEMA)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1)]  # tables hold int64

    @field_validator("folds", mode="before")
    @classmethod
    def _list_of_folds(cls, value: Any) -> Any:
        if isinstance(value, str | int):
            raise ValueError(f"must be a list, found {value!r}; write `folds: [{value}]`")
        return value

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        for name in ("datasets", "models", "folds", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must not repeat an entry, found {values}")
        if not self.numbered:
            raise ValueError(
                f"folds must name a number beside `{ALL}`, which has no unseen classes, found {self.folds}"
            )
        return self

    @property
    def numbered(self) -> list[str]:
        """The folds that have unseen classes: all but `all`."""
        return [fold for fold in self.folds if fold != ALL]

    def cells(self) -> Iterator[Cell]:
        """Yield every cell, in the order of the lists."""
        return product(self.datasets, self.models, self.folds, self.seeds)


def check_as_many_sets(counts: Mapping[str, int]) -> None:
    """Check that the classes of all datasets of a grid are scored in as many sets, which stand for its folds.

    Args:
        counts: number of sets by dataset; 0: all classes at once.

    Raises:
        UserError: naming two datasets that differ.
    """
    fewest, most = (choose(counts, key=counts.__getitem__, default="") for choose in (min, max))
    if counts and counts[fewest] != counts[most]:
        raise UserError(
            f"run.datasets: all must have as many sets of classes (`unseen_classes: all` with `unseen_count`), found "
            f"{counts[most]} of {most} and {counts[fewest]} of {fewest}; set `folds` of the first to fewer, or run one "
            "without the other"
        )


class ModelEntry(Params):
    """An entry of `models`, whose parts have models of their own."""

    network: Any
    taps: Any


def read_section(path: Path, section: str, model: type[P]) -> P:
    """Read and validate one section of params.yaml.

    Args:
        path: the params file.
        section: a top-level key, for example `measure`.
        model: the section's parameter model.

    Raises:
        UserError: the file cannot be read, or a value is unknown, missing or impossible.
    """
    return parse(load(path)[section], model, where=section)


def read_model_part(path: Path, key: str, part: Literal["network", "taps"], model: type[P]) -> P:
    """Read and validate one part of an entry of `models`.

    Args:
        path: the params file.
        key: the entry's id.
        part: which.
        model: its parameter model.

    Raises:
        UserError: the entry does not exist (nearest names listed), holds an unknown key, or a value in it is wrong.
    """
    entry = parse(load_entry(path, "models", key), ModelEntry, where=f"models.{key}")
    return parse(getattr(entry, part), model, where=f"models.{key}.{part}")


def read_run(path: Path) -> RunParams:
    """Read the grid, and check that its datasets and models exist.

    Raises:
        UserError: naming the entry that does not exist and the nearest that do.
    """
    return parse_run(load(path))


def parse_run(content: dict[str, Any]) -> RunParams:
    """Validate the grid of a params file's content, and check that its datasets and models exist.

    Raises:
        UserError: naming the entry that does not exist and the nearest that do.
    """
    run = parse(content["run"], RunParams, where="run")
    for table in ("datasets", "models"):
        for key in getattr(run, table):
            check_known(key, content[table], f"params: run.{table} names {key!r}, which is not in `{table}`")
    return run


def load_entry(path: Path, table: str, key: str) -> Any:
    """Read one entry of `datasets` or `models` as plain values.

    Raises:
        UserError: the file cannot be read, or has no such entry (nearest names listed).
    """
    entries = load(path)[table]
    check_known(key, entries, f"{path}: {table}.{key} does not exist")
    return entries[key]


def load(path: Path) -> dict[str, Any]:
    """Read a params file as plain values: every section is there and a mapping, none is unknown, ids are text.

    Raises:
        UserError: it cannot be read, is no YAML, or does not have these sections.
    """
    return checked(read_yaml(path), path)


def checked(content: Any, path: Path) -> dict[str, Any]:
    """Return the plain values of a params file, if they are its sections."""
    with prefix_errors(str(path)):
        check_values(content)
        if not isinstance(content, dict):
            raise UserError(f"must hold the sections {', '.join(SECTIONS)}, found {type(content).__name__}")
        for key in content:
            check_known(str(key), SECTIONS, f"unknown section {short_repr(key)}")
        for key in SECTIONS:
            if not isinstance(content.get(key), dict):
                raise UserError(f"section `{key}` is missing or not a mapping")
        for table in ("datasets", "models"):
            for key in content[table]:
                if not isinstance(key, str):
                    found = f"{short_repr(key)} ({type(key).__name__})"
                    raise UserError(f"an id in `{table}` must be text, found {found}; quote it")
        return content


def check_values(content: Any) -> None:
    """Check that no text is one that `dvc exp run -S` replaces.

    Raises:
        UserError: naming the text: DVC would put what it refers to, such as a variable of the environment, into
            params.yaml and git.
    """
    waiting, met = [("", content)], set[int]()
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, str) and "${" in value:
            raise UserError(
                f"{name or 'a key'} must not contain ${{, found {short_repr(value)}: `dvc exp run -S` would "
                "replace it by what it refers to, and write that down; write the value itself"
            )
        if id(value) in met:  # of what aliases repeat
            continue
        if isinstance(value, dict):
            waiting += [("", key) for key in value]
            waiting += [(f"{name}.{key}" if name else str(key), below) for key, below in value.items()]
            met.add(id(value))
        elif isinstance(value, list):
            waiting += [(name, below) for below in value]
            met.add(id(value))


class CheckpointSteps(Params):
    """The part of the `finetune` section that says which checkpoints there are; aggregate reads this part alone.

    Attributes:
        steps: optimizer steps after which the network is saved, tested and later embedded; training ends at the last.
            `[0]`: no training, and a random head (for a frozen network set `frozen`, docs/models.md).
        keep: which checkpoints stay on disk: `all`, or `last` (accuracies of all are still recorded).
    """

    model_config = ConfigDict(extra="ignore")

    steps: Annotated[list[Annotated[int, Field(ge=0, le=MAX_STEPS)]], Field(min_length=1)]
    keep: Literal["all", "last"]

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: list[int]) -> list[int]:
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError("must ascend, without repeats")
        return steps

    def kept(self, *, frozen: bool) -> tuple[int, ...]:
        """Steps of the checkpoints on disk, ascending; of a frozen network, step 0 alone."""
        if frozen:
            return (0,)
        return tuple(self.steps if self.keep == "all" else self.steps[-1:])
