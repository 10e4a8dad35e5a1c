"""dvc.lock: a worker begins with the part that its cell needs, and what it computed enters the whole at once.

DVC reads and writes the whole file for every stage that it runs or takes from the cache. In a grid of many cells that
takes longer than the stages.
"""

import shutil
from collections.abc import Mapping
from functools import reduce
from typing import Any

from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from stages.commands.fleet.source import run_dvc
from stages.commands.project import ROOT
from stages.shared.runtime.errors import UserError

Locked = Mapping[str, Mapping[str, Any]]
"""What dvc.lock says of stages, by their names."""


def read_locked() -> Locked:
    """Read what dvc.lock says of every stage."""
    path = ROOT / "dvc.lock"
    content = YAML(typ="safe", pure=True).load(path) if path.is_file() else None
    found: Locked = (content or {}).get("stages", {})
    return found


def check_prepared(locked: Locked, dataset: str, *, remote: bool) -> None:
    """Refuse cells of a dataset that was never prepared: workers take its images from DVC's cache or remote.

    Raises:
        UserError: dvc.lock knows of no prepared images, or of such that other parameters made.
    """
    stage = f"prepare@{dataset}"
    remedy = f"run `dvc repro {stage}`{f' and `dvc push --run-cache {stage}`' if remote else ''}"
    if stage not in locked:
        raise UserError(f"{stage} must have run before the cells of {dataset}; {remedy}")
    params = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    for name, value in locked[stage].get("params", {}).get("params.yaml", {}).items():
        now = reduce(lambda node, key: node.get(key) if isinstance(node, dict) else None, name.split("."), params)
        if now != value:
            raise UserError(
                f"{stage} must have run with the parameters that params.yaml has, found others of {name}; {remedy}"
            )


def enter(computed: Locked, *, remote: bool) -> None:
    """Enter what workers computed to dvc.lock, and put its files into this workspace.

    Args:
        computed: stages that lie in DVC's cache or remote, in the order in which DVC would have run them.
        remote: whether they lie in the remote.
    """
    if not computed:
        return
    path = ROOT / "dvc.lock"
    beside = ROOT / ".dvc" / "tmp" / "dvc.lock"
    with Repo(str(ROOT), _wait_for_lock=True) as repo, repo.lock:
        shutil.copyfile(path, beside)
        with modify_yaml(beside) as content:
            content["stages"].update(computed)
        beside.replace(path)
    kinds = dict.fromkeys(name.partition("@")[0] for name in computed)  # given every name, DVC takes minutes
    # As `dvc repro`, replace what is there (--force); a cell that failed has no entry (--allow-missing).
    run_dvc("pull" if remote else "checkout", "--force", "--allow-missing", *kinds)
