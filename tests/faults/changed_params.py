"""Campaign: params.yaml is changed at random, then `whichlayer check`: a plan, or one message."""

import contextlib
import io
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.commands.check import check
from stages.shared.workflow.params import read_yaml
from tests.faults.campaign import Campaign, Place, numbered, seed_of, shuffled
from tests.faults.outcomes import Outcome, attempt
from tests.faults.params import mutated, mutated_text
from tests.workflow import ROOT

FEW = {"handwriting", "calligraphy", "efficientnet_lite0", "swin_small_scratch", "resnet50", "clip_vit_b32"}
"""Entries of tables that are kept: the parser of YAML is slow."""

VALUES, TEXTS = "value", "text"


@cache
def small_params() -> str:
    """The project's params.yaml with all sections, and few entries in the tables."""
    lines = (ROOT / "params.yaml").read_text().splitlines(keepends=True)
    kept, wanted, table = [], True, False
    for line in lines:
        if not line.startswith(" "):
            table, wanted = line.startswith(("datasets:", "models:")), True
        elif table and line.startswith("  ") and line[2] not in " #":
            wanted = line.strip().partition(":")[0] in FEW
        kept += [line] if wanted else []
    return "".join(kept)


def run(trial: str, place: Place) -> Outcome:
    """Change values, keys or text, and check."""
    path = place.scratch / "params.yaml"
    if trial.startswith(TEXTS):
        path.write_bytes(mutated_text(small_params(), seed_of(trial)).encode("utf-8", "surrogatepass"))
    else:
        path.write_text(small_params())
        write_values(mutated(read_yaml(path), seed_of(trial)), path)
    return attempt(lambda: _check(path))


def write_values(content: dict[str, Any], path: Path) -> None:
    """Write plain values as YAML, halves of characters as they come."""
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(content, text)
    path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))


def _check(params: Path) -> None:
    assert check.callback is not None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(ROOT):
        check.callback(params=params, as_json=False)


CAMPAIGN = Campaign(
    "params.yaml changed, then check", shuffled([*numbered(VALUES, 1000), *numbered(TEXTS, 1000)]), run, seconds=60
)
