"""What a page is about: what was found, and what was run, for whom wants to do it again."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from ....shared.images.image_store import MANIFEST, open_prepared, read_manifest
from ....shared.workflow.digests import Digests
from ....shared.workflow.params import SECTIONS, Cell, RunParams
from ...compute import Results
from ...words.formatting import plural

MAX_NAMED = 4
"""Datasets or networks that are named in a sentence; more are counted."""


@dataclass(frozen=True)
class Run:
    """What was run; nothing of it holds a date, a path or the name of a machine.

    Attributes:
        models: every model of the grid, in order.
        grid: the cells, in a sentence.
        command: what computes it again.
        params: the parameters as YAML, of datasets and models those of the grid alone.
        datasets: of each dataset, its name and what is known of it.
    """

    models: list[str]
    grid: str
    command: str
    params: str
    datasets: list[tuple[str, str]]


@dataclass(frozen=True)
class Study:
    """What the page is about.

    Attributes:
        results: what was found.
        run: what was run; the order of its models fixes their colours.
        thumbnails: of each dataset (stages.shared.tables.gallery); none where images are not shown.
        galleries: of each cell, in the order of the grid (stages.shared.tables.gallery).
    """

    results: Results
    run: Run
    thumbnails: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    galleries: Mapping[Cell, pd.DataFrame] = field(default_factory=dict)


def describe_run(params: Path, grid: RunParams, prepared: Path) -> Run:
    """Describe a run of the workflow.

    Args:
        params: the params file.
        grid: its grid.
        prepared: holds `<dataset>/manifest.csv`.

    Raises:
        UserError: a manifest is not as the prepare stage wrote it.
    """
    known: dict[str, Any] = YAML(typ="safe", pure=True).load(params)
    kept = {"datasets": grid.datasets, "models": grid.models}
    shown = {
        section: {name: known[section][name] for name in kept[section]} if section in kept else known[section]
        for section in SECTIONS
    }
    datasets = [(dataset, _dataset(open_prepared(prepared / dataset, dataset))) for dataset in grid.datasets]
    return Run(grid.models, _grid(grid), "dvc repro", _as_yaml(shown), datasets)


def describe_scoring(params: Mapping[str, Any], grid: RunParams, command: str) -> Run:
    """Describe how embeddings from files were scored.

    Args:
        params: what stands in the place of sections of the params file.
        grid: which cells.
        command: what scores them again.
    """
    return Run(grid.models, _grid(grid), command, _as_yaml(params), [])


def _dataset(digests: Digests) -> str:
    """Count a dataset's images and classes, and name the manifest, which names every image, by its content."""
    labels = read_manifest(digests)["label"]
    fingerprint = hashlib.sha256((digests.folder / MANIFEST).read_bytes()).hexdigest()
    return f"{len(labels):,} images in {labels.nunique():,} classes; {MANIFEST} has SHA-256 {fingerprint}"


def _grid(grid: RunParams) -> str:
    axes: dict[str, Sequence[object]] = {"dataset": grid.datasets, "network": grid.models}
    axes |= {"fold": grid.folds, "seed": grid.seeds}
    named = {what: plural(len(names), what) for what, names in axes.items()}
    for what in ("dataset", "network"):
        named[what] += f" ({', '.join(map(str, axes[what]))})" if len(axes[what]) <= MAX_NAMED else ""
    return f"{', '.join(named.values())}."


def _as_yaml(params: Mapping[str, Any]) -> str:
    text, yaml = StringIO(), YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.dump(dict(params), text)
    return text.getvalue().rstrip()
