"""Print the verdict of a finished workflow, without running anything.

python -m stages.commands.verdict data/results
"""

import argparse
from pathlib import Path

from stages.aggregate.report.verdict import verdict
from stages.shared.console import run_main


def main() -> None:
    """Parse the one argument and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="the folder that the aggregate stage wrote")
    print(verdict(parser.parse_args().results))


if __name__ == "__main__":
    run_main(main)
