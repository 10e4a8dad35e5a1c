"""Damage, starve and kill the workflow in every way that is known, and count how each trial ends: `make faults`.

A trial ends as *same result* (the bytes of an undisturbed run; of input that is legal as it was changed, a result of
its own), as *one clear sentence*, or as *failure*: other bytes in silence, a traceback, a hang, foreign code. Where
memory ends inside a library, that may end the process, which is counted apart.

    python -m tests.faults --only kills --trials 6
    python -m tests.faults --trial "inputs: flip embed ..."

Outcomes are kept, a line of JSON for each trial, for the version of the code that they are about: a run that was cut
short goes on, and one of other code begins anew.
"""

import os
import shutil
import sys
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import click
from tabulate import tabulate
from tqdm import tqdm

from tests.faults.bases import make_base
from tests.faults.campaigns import CAMPAIGNS
from tests.faults.outcomes import FAILURE, OUTCOMES
from tests.faults.record import Record, code_hash
from tests.faults.workers import Done, Trial, carry_out
from tests.workflow import ROOT

Found = dict[Trial, Done]


@click.command(help=__doc__)
@click.option("--only", multiple=True, type=click.Choice(list(CAMPAIGNS)), help="These campaigns; by default all.")
@click.option("--trials", type=click.IntRange(1), help="At most so many trials of each.")
@click.option("--trial", multiple=True, metavar="'CAMPAIGN: NAME'", help="These trials alone, again.")
@click.option("--minutes", default=60.0, help="Start no trial after so many; the next run goes on.")
@click.option("--jobs", default=2, help="Trials side by side.")
@click.option("--again", is_flag=True, help="Forget what was kept, and begin anew.")
@click.option("--folder", type=click.Path(path_type=Path), default=ROOT / ".cache" / "faults", help="For what is kept.")
def main(
    only: tuple[str, ...],
    trials: int | None,
    trial: tuple[str, ...],
    minutes: float,
    jobs: int,
    again: bool,
    folder: Path,
) -> None:
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", DVC_NO_ANALYTICS="1", WHICHLAYER_TRUST="1")
    until = time.monotonic() + 60 * minutes
    kept = folder / code_hash()
    if again:
        shutil.rmtree(kept, ignore_errors=True)
    record = Record(kept / "outcomes.jsonl")
    chosen = [parse(name) for name in trial] or list(choose(only or CAMPAIGNS, trials))
    found = record.read()
    todo = [each for each in chosen if trial or each not in found]
    make_bases(kept / "bases", {name for name, _ in todo})
    for done in tqdm(carry_out(todo, kept / "bases", jobs=jobs, until=until), total=len(todo), disable=None):
        record.append(done)
        found[done.campaign, done.trial] = done
    report({each: found[each] for each in chosen if each in found}, chosen)


def choose(names: Iterable[str], most: int | None) -> Iterable[Trial]:
    """The first trials of some campaigns."""
    return ((name, trial) for name in names for trial in CAMPAIGNS[name].trials[:most])


def parse(text: str) -> Trial:
    """Read the name of a trial as a report writes it, `CAMPAIGN: NAME`."""
    campaign, _, trial = text.partition(": ")
    if campaign not in CAMPAIGNS or trial not in CAMPAIGNS[campaign].trials:
        raise click.BadParameter(f"no trial {text!r}; a report names failures as 'CAMPAIGN: NAME'")
    return campaign, trial


def make_bases(folder: Path, campaigns: Collection[str]) -> None:
    """Make the undisturbed projects that campaigns need, two at a time."""
    names = list(dict.fromkeys(base for name in CAMPAIGNS if name in campaigns for base in CAMPAIGNS[name].bases))
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(partial(make_base, folder), names))


def report(found: Found, chosen: Collection[Trial]) -> None:
    """Print failures and the table; exit with 1 if there is a failure."""
    failures = [done for done in found.values() if done.outcome.kind == FAILURE]
    for done in failures:
        print(f"{done.campaign}: {done.trial}\n  " + done.outcome.said.replace("\n", "\n  "))
        print(f"  Again: python -m tests.faults --trial '{done.campaign}: {done.trial}'\n")
    print(table(found, chosen))
    sys.exit(1 if failures else 0)


def table(found: Found, chosen: Collection[Trial]) -> str:
    """How many trials of each campaign ended how, how many are left, and what took more than running again."""
    rows = []
    for name in dict.fromkeys(campaign for campaign, _ in chosen):
        done = [each for each in found.values() if each.campaign == name]
        counts = [sum(each.outcome.kind == kind for each in done) for kind in OUTCOMES]
        left = sum(campaign == name for campaign, _ in chosen) - len(done)
        minutes = sum(each.seconds for each in done) / 60
        rows.append([name, CAMPAIGNS[name].about, len(done), *counts, left, f"{minutes:.1f}"])
    sums = [sum(row[column] for row in rows) for column in range(2, 4 + len(OUTCOMES))]
    rows.append(["all", "", *sums, f"{sum(each.seconds for each in found.values()) / 60:.1f}"])
    lines = [tabulate(rows, ["campaign", "what is done", "trials", *OUTCOMES, "left", "CPU minutes"])]
    for how in sorted({each.outcome.how for each in found.values()} - {""}):
        lines.append(f"{sum(each.outcome.how == how for each in found.values())} of the same results {how}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
