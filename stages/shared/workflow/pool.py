"""Jobs in several processes, each of which makes what its jobs share once: results come in the order of the jobs."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from tempfile import gettempdir
from typing import Any, TypeVar

from ..runtime.errors import UserError

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    make: Callable[..., Shared],
    given: Sequence[Any],
    work: Callable[[Shared, Job], Result],
    jobs: Sequence[Job],
    workers: int,
) -> Iterator[Result]:
    """Carry out jobs.

    Args:
        make: makes of `given`, which each process gets a copy of, what jobs share.
        given: its arguments.
        work: carries out one job.
        jobs: in the order in which they begin.
        workers: number of processes, at most one for each job; 1 works in this one.

    Raises:
        UserError: a process was killed.
    """
    if min(workers, len(jobs)) > 1:
        yield from _in_processes(make, given, work, jobs, workers)
    elif jobs:
        shared = make(*given)
        yield from (work(shared, job) for job in jobs)


def _in_processes(
    make: Callable[..., Shared],
    given: Sequence[Any],
    work: Callable[[Shared, Job], Result],
    jobs: Sequence[Job],
    workers: int,
) -> Iterator[Result]:
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    context.set_forkserver_preload([work.__module__])  # so that workers are forked with the libraries loaded
    workers = min(workers, len(jobs))
    try:
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(make, given))
    except OSError as error:  # semaphores, which they share, need /dev/shm
        print(f"measure: in one process, since several cannot be had here ({error})", file=sys.stderr, flush=True)
        yield from run_jobs(make, given, work, jobs, workers=1)
        return
    try:
        yield from pool.map(partial(_work, work), jobs)
    except (BrokenProcessPool, EOFError, ConnectionError):  # the last two of the server that starts them
        raise UserError(
            f"one of {workers} measuring processes was killed, most likely for want of memory; use fewer with "
            "--workers or WHICHLAYER_WORKERS"
        ) from None
    except OSError as error:
        if "AF_UNIX path too long" not in str(error):
            raise
        raise UserError(
            "TMPDIR must be a path of at most 70 characters, since processes meet at a socket below it, found "
            f"{gettempdir()}; set a shorter one, such as TMPDIR=/tmp"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_shared: list[Any] = []
"""Of a process: what its jobs share."""


def _start(make: Callable[..., Any], given: Sequence[Any]) -> None:
    from ..runtime.startup import keep_freed_memory  # which watches for DVC from its import on

    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback; the stage says that it stopped
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _shared.append(make(*given))


def _work(work: Callable[[Any, Job], Result], job: Job) -> Result:
    return work(_shared[0], job)


def _end_with_parent() -> None:
    """Leave no process behind when the parent itself is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
