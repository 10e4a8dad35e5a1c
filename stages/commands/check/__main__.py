"""Check params.yaml and the raw data of the grid before `dvc repro`, importing no network library.

DVC itself reports a missing raw folder as a bare `[Errno 2]` and a missing entry of params.yaml by its key alone; this
says what must hold and what to do. What one section asks of another, the classes of your own images, files of weights
and layers that are named are checked here as well, since their own stage would find out only after others have run.
It takes a second, and longer for what only work can tell: your own images are listed (none is read), and networks whose
layers are named are built, without weights.

    python -m stages.commands.check
"""

import argparse
from pathlib import Path

from stages.commands.check.datasets import check_classes, check_raw
from stages.commands.check.models import check_layers, check_weights
from stages.commands.check.sections import check_params
from stages.shared.console import run_main


def main() -> None:
    """Validate every section and entry, then look at the grid's raw data, weights and named layers."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.commands.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="the folder that holds data/raw/<dataset>")
    args = parser.parse_args()
    run = check_params(args.params)
    check_raw(args.raw, run)
    check_classes(args.params, args.raw, run)
    check_weights(args.params, run)
    check_layers(args.params, run)
    cells = len(run.datasets) * len(run.models) * len(run.seeds)
    print(
        f"check: {args.params} is valid; {cells} cells: datasets {', '.join(run.datasets)}; "
        f"models {', '.join(run.models)}; seeds {', '.join(map(str, run.seeds))}"
    )


if __name__ == "__main__":
    run_main(main)
