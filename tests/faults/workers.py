"""Run trials in processes of their own, which are killed with all that they started if one hangs."""

import multiprocessing
import os
import queue
import resource
import shutil
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from tests.faults.campaign import Campaign, Place
from tests.faults.outcomes import FAILURE, Outcome, failure

REGISTRY = "tests.faults.campaigns"
MOST_MEMORY = 1 << 20
"""Kilobytes by which a trial within one process may raise the most that the process had in memory."""

Trial = tuple[str, str]
"""Names of a campaign and of a trial of it."""


@dataclass(frozen=True)
class Done:
    """A trial that was carried out: how it ended, and the seconds of processor time that it took."""

    campaign: str
    trial: str
    outcome: Outcome
    seconds: float


def carry_out(
    trials: Sequence[Trial], bases: Path, *, jobs: int, until: float, registry: str = REGISTRY
) -> Iterator[Done]:
    """Carry out trials side by side, as they come to an end.

    Args:
        trials: which.
        bases: the folder of the undisturbed projects.
        jobs: how many at a time.
        until: reading of `time.monotonic` after which none is started.
        registry: the module that has the campaigns.
    """
    todo, done = iter(trials), queue.SimpleQueue[Done | BaseException | None]()
    lock, stop = threading.Lock(), threading.Event()

    def take() -> Trial | None:
        with lock:
            return None if stop.is_set() or time.monotonic() > until else next(todo, None)

    def work() -> None:
        try:
            with closing(Worker(bases, registry)) as worker:
                while trial := take():
                    done.put(worker.run(*trial))
        except BaseException as error:
            done.put(error)
        finally:
            done.put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        running = jobs
        while running:
            each = done.get()
            if isinstance(each, BaseException):
                raise each
            running -= each is None
            if each is not None:
                yield each
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Worker:
    """A process that carries out trials, one after another."""

    def __init__(self, bases: Path, registry: str = REGISTRY) -> None:
        self._bases, self._registry = bases, registry
        self._start()

    def run(self, campaign: str, trial: str) -> Done:
        """Carry out one trial; it fails if it hangs, or ends the process."""
        seconds, took = campaigns_of(self._registry)[campaign].seconds, 0.0
        self._ends.send((campaign, trial))
        try:
            if any(self._ends.poll(1) for _ in range(int(seconds))):  # while all is suspended, no time counts
                outcome, took = self._ends.recv()
            else:
                outcome = failure(f"it hangs for more than {seconds} s")
        except (EOFError, ConnectionError):
            self._process.join()
            outcome = failure(f"it ends the process ({self._process.exitcode})")
        if outcome.kind == FAILURE:  # whatever it left is gone, too
            self.close()
            self._start()
        return Done(campaign, trial, outcome, took)

    def close(self) -> None:
        """End the process, and all below it."""
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for each in below:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        self._process.join()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._scratch = tempfile.mkdtemp(prefix="whichlayer-faults-")
        self._ends, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._registry, self._bases, Path(self._scratch)))
        self._process.start()
        theirs.close()
        self._ends.recv()  # it has imported what it needs


def campaigns_of(registry: str) -> dict[str, Campaign]:
    """Import the campaigns: late, since some import networks."""
    found: dict[str, Campaign] = import_module(registry).CAMPAIGNS
    return found


def serve(requests: Connection, registry: str, bases: Path, folder: Path) -> None:
    """Carry out the trials that are asked for, until nobody asks any more."""
    campaigns = campaigns_of(registry)
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C ends the campaign; what a trial starts heeds it again
    os.environ["DVC_SITE_CACHE_DIR"] = str(folder / "site")
    warnings.simplefilter("ignore")
    requests.send("ready")
    with suppress(EOFError):
        while True:
            campaign, trial = requests.recv()
            scratch = folder / "scratch"
            scratch.mkdir()
            began = processor_seconds()
            outcome = within_memory(partial(campaigns[campaign].run, trial, Place(bases, scratch)))
            requests.send((outcome, processor_seconds() - began))
            shutil.rmtree(scratch, ignore_errors=True)


def processor_seconds() -> float:
    """Processor time of this process and of those below it that have ended."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def within_memory(run: Callable[[], Outcome]) -> Outcome:
    """Carry out a trial; it fails if it takes much memory in this process, or raises an error."""
    before = peak_kilobytes()
    try:
        outcome = run()
    except Exception:
        return failure("an error of the trial", traceback.format_exc())
    took = peak_kilobytes() - before
    return failure(f"it takes {took >> 10} MB of memory") if took > MOST_MEMORY else outcome


def peak_kilobytes() -> int:
    """Memory at its peak; on Linux of this program alone, where `ru_maxrss` begins with that of the one before exec."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
