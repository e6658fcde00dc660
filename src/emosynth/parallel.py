"""Work in processes of their own, which end with this one."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_CONTAINER = Path("/sys/fs/cgroup")
_OFTEN = 0.5
"""Seconds between two looks at what workers have done."""


def cores() -> int:
    """Return the processor cores that this process may use: EMOSYNTH_THREADS, else all that the system grants it."""
    given = os.environ.get("EMOSYNTH_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> tuple[int, int]:
    """Return the bytes of memory that there are and that are free, of the machine or of the container that this process lives in."""
    import psutil

    there = psutil.virtual_memory()
    total, free = int(there.total), int(there.available)
    with suppress(OSError, ValueError):  # no container, or one without a bound
        bound, used = (int((_CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        files = dict(line.split() for line in (_CONTAINER / "memory.stat").read_text().splitlines())[
            "inactive_file"
        ]  # given back on demand
        total, free = min(total, bound), min(free, max(0, bound - used + int(files)))
    return total, free


def rooms(each: int) -> int:
    """Return how many processes of so many bytes may run side by side: one a core, and no more than the memory that is free holds."""
    return max(1, min(cores(), memory()[1] // max(1, each)))


def _end_with_parent() -> None:
    """End this process when the one that started it has gone, even by ``kill -9``: nobody else would."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


_reports: Any = None


def _begin(reports: Any, start: Callable[..., None] | None, settings: tuple[Any, ...]) -> None:
    global _reports
    _reports = reports
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start(*settings)


@contextmanager
def worker_pool(
    workers: int, start: Callable[..., None] | None = None, settings: tuple[Any, ...] = (), reports: Any = None
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes; if what is done with it fails or is stopped, they are killed and not waited for.

    Parameters
    ----------
    start, settings
        Called first in each process, with these arguments.
    """
    # Not forked: this process may hold threads of torch, and a fork of these hangs.
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(reports, start, settings))
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _run(work: Callable[[Task, Callable[[int], None]], Result], number: int, task: Task) -> Result:
    return work(task, lambda done: _reports.put((number, done)))


def in_order(
    work: Callable[[Task, Callable[[int], None]], Result],
    tasks: Sequence[Task],
    workers: int,
    progress: Callable[[int], None],
    start: Callable[..., None] | None = None,
    settings: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Yield what ``work`` makes of each task, in their order; several are worked on at once.

    Parameters
    ----------
    work
        A function of a module, called with a task and a function that takes how much of the task is done.
    progress
        Called with the sum of what is done of tasks whose results were not yet yielded.
    start, settings
        Called first in each process, be it this one, with these arguments: for what all tasks share.

    Raises
    ------
    ChildProcessError
        If processes ended without a result twice in a row, be it for want of memory.
    """
    if workers < 2:
        if start is not None:
            start(*settings)
        for task in tasks:
            yield work(task, progress)
        return
    first, failures = 0, 0
    while first < len(tasks):
        try:
            for result in _all(work, tasks[first:], workers, progress, start, settings):
                first, failures = first + 1, 0
                yield result
        except BrokenProcessPool as error:
            failures += 1
            if failures > 1:
                raise ChildProcessError(f"a process ended without a result ({error})") from None


def _all(
    work: Callable[[Task, Callable[[int], None]], Result],
    tasks: Sequence[Task],
    workers: int,
    progress: Callable[[int], None],
    start: Callable[..., None] | None,
    settings: tuple[Any, ...],
) -> Iterator[Result]:
    reports = multiprocessing.get_context("spawn").SimpleQueue()
    done: dict[int, int] = {}
    with worker_pool(min(workers, len(tasks)), start, settings, reports) as pool:
        futures: list[Future[Result]] = [pool.submit(_run, work, number, task) for number, task in enumerate(tasks)]
        for number, future in enumerate(futures):
            while not future.done():
                wait([future], timeout=_OFTEN)
                while not reports.empty():
                    place, count = reports.get()
                    done[place] = count
                progress(sum(count for place, count in done.items() if place >= number))
            yield future.result()
