"""Check params.yaml and the raw data of the grid before `dvc repro`, in a second, importing no network library.

DVC itself reports a missing raw folder as a bare `[Errno 2]` and a missing entry of params.yaml by its key alone; this
says what must hold and what to do.

    python -m stages.check
"""

import argparse
from pathlib import Path

from stages.aggregate.params import AggregateParams
from stages.embed.params import EmbedParams
from stages.embed.taps.params import TapsParams
from stages.finetune.params import FinetuneParams
from stages.measure.params import MeasureParams
from stages.prepare.params import PrepareParams, read_dataset
from stages.shared.console import UserError, nearest, run_door
from stages.shared.networks.params import NetworkParams
from stages.shared.params import Params, RunParams, read_row, read_run, read_section, row_ids

SECTIONS: dict[str, type[Params]] = {
    "prepare": PrepareParams,
    "finetune": FinetuneParams,
    "embed": EmbedParams,
    "measure": MeasureParams,
    "aggregate": AggregateParams,
}


def main() -> None:
    """Validate every section and entry, then look for the raw folder of every dataset in the grid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="the folder that holds data/raw/<dataset>")
    args = parser.parse_args()
    run = check_params(args.params)
    check_raw(args.raw, run)
    cells = len(run.datasets) * len(run.models) * len(run.seeds)
    print(
        f"check: {args.params} is valid; {cells} cells: datasets {', '.join(run.datasets)}; "
        f"models {', '.join(run.models)}; seeds {', '.join(map(str, run.seeds))}"
    )


def check_params(path: Path) -> RunParams:
    """Validate a whole params file, including entries that the grid does not use.

    Returns:
        The grid.

    Raises:
        UserError: at the first section or entry that does not hold.
    """
    run = read_run(path)
    for section, model in SECTIONS.items():
        read_section(path, section, model)
    check_main_metric(path)
    for dataset in row_ids(path, "datasets"):
        read_dataset(path, dataset)
    for name in row_ids(path, "models"):
        read_row(path, "models", name, NetworkParams, half="network")
        read_row(path, "models", name, TapsParams, half="taps")
    return run


def check_main_metric(path: Path) -> None:
    """Check that the score of the verdict is among those that are measured.

    Raises:
        UserError: it is not; the nearest that are.
    """
    wanted = read_section(path, "aggregate", AggregateParams).main_metric
    measured = read_section(path, "measure", MeasureParams).metrics
    if wanted not in measured:
        raise UserError(f"aggregate.main_metric: {wanted!r} must be in measure.metrics: {nearest(wanted, measured)}")


def check_raw(raw: Path, run: RunParams) -> None:
    """Check that every dataset of the grid has its raw folder (or a link to one).

    Raises:
        UserError: naming the dataset and how to provide it.
    """
    for dataset in run.datasets:
        folder = raw / dataset
        if folder.is_symlink() and not folder.exists():
            raise UserError(
                f"{folder}: is a link to {folder.readlink()}, which does not exist; point it at your images"
            )
        if not folder.exists():
            raise UserError(
                f"{folder}: must exist, since run.datasets names {dataset!r}; copy your images there, or link to them: "
                f"ln -s /path/to/images {folder}"
            )


if __name__ == "__main__":
    run_door(main)
