"""Work in other processes: of this machine, which end with this one, or on a cluster (`emosynth.cluster`). The one place that decides where."""

from __future__ import annotations

import heapq
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from emosynth.errors import UserError

if TYPE_CHECKING:
    from emosynth.cluster import Cluster
    from emosynth.params import Compute

Task = TypeVar("Task")
Result = TypeVar("Result")

_CONTAINER = Path("/sys/fs/cgroup")
OFTEN = 0.5
"""Seconds between two looks at what workers have done."""
DEEP = 2
"""Tasks that a worker holds at most: the next one is there when one is done."""
_AHEAD = 8
"""Tasks for each worker that may be under way or done before the oldest one is: what is held in memory stays the same however many there are."""

_cluster: Cluster | None = None


def use_engine(compute: Compute) -> None:
    """Let what follows in this process be done where the parameters say; a cluster is reached when the first task is there."""
    global _cluster
    _cluster = None
    if compute.engine == "ray":
        from emosynth.cluster import Cluster

        _cluster = Cluster(compute)


def remote() -> bool:
    """Whether work goes to a cluster."""
    return _cluster is not None


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


def rooms(each: int = 0) -> int:
    """Return how many workers of so many bytes may run side by side: one a core (or as `Compute` says), and no more than the free memory holds."""
    if _cluster is not None:
        return _cluster.rooms(each)
    return max(1, min(cores(), memory()[1] // max(1, each)))


def threads_of(workers: int) -> int:
    """Return the threads that each of so many workers has."""
    return _cluster.threads if _cluster is not None else cores() // workers


def lost(what: str) -> UserError:
    """Return the error of work whose processes end again and again without a result."""
    return UserError(
        f"The work cannot be done: {what}.",
        where="a cluster's worker" if remote() else "a process of this machine",
        remedy="Often the memory was full: close other programs, give workers more memory, or use fewer of them (EMOSYNTH_THREADS=1, or "
        "compute.workers). The same command goes on; finished work is kept.",
    )


class Tasks(Generic[Task]):
    """Tasks on their way: given out in their order, those that were lost first, and never far ahead of the oldest whose result is not yet taken.

    Attributes
    ----------
    first
        Number of the oldest task whose result is not yet taken.
    """

    def __init__(self, tasks: Iterable[Task], ahead: int | None) -> None:
        self._left, self._ahead, self._next, self._more = iter(tasks), ahead, 0, True
        self._open: dict[int, Task] = {}
        self._again: list[int] = []
        self.first = 0

    def take(self) -> tuple[int, Task] | None:
        """Return a task with its number; None: there is none now."""
        if self._again:
            number = heapq.heappop(self._again)
            return number, self._open[number]
        if self._more and (self._ahead is None or self._next - self.first < self._ahead):
            for task in self._left:
                number, self._next = self._next, self._next + 1
                self._open[number] = task
                return number, task
            self._more = False
        return None

    def done(self, number: int) -> None:
        """Forget a task that has a result."""
        del self._open[number]

    def again(self, number: int) -> None:
        """Give a task out once more."""
        heapq.heappush(self._again, number)


# --- this machine ---------------------------------------------------------------------------------------


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
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the one that started this process says what is to be said
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


def _pooled(
    work: Callable[[Task, Callable[[int], None]], Result],
    tasks: Tasks[Task],
    workers: int,
    progress: Callable[[int], None],
    start: Callable[..., None] | None,
    settings: tuple[Any, ...],
) -> Iterator[tuple[int, Future[Result]]]:
    """Yield each task's number and outcome as they are done; a pool of which a process dies is made anew, once without a result in between."""
    failures, held = 0, set[int]()  # numbers of tasks that the pool was given
    while True:
        futures: dict[Future[Result], int] = {}
        told: dict[int, int] = {}
        reports = multiprocessing.get_context("spawn").SimpleQueue()
        try:
            with worker_pool(workers, start, settings, reports) as pool:
                while True:
                    while len(futures) < DEEP * workers and (given := tasks.take()) is not None:
                        number, task = given
                        held.add(number)
                        futures[pool.submit(_run, work, number, task)] = number
                    if not futures:
                        return
                    done = wait(futures, timeout=OFTEN, return_when=FIRST_COMPLETED).done
                    while not reports.empty():
                        place, count = reports.get()
                        told[place] = count
                    progress(sum(count for place, count in told.items() if place >= tasks.first))
                    for future in sorted(done, key=lambda one: isinstance(one.exception(), BrokenProcessPool)):
                        if isinstance(broken := future.exception(), BrokenProcessPool):
                            raise broken
                        number, failures = futures.pop(future), 0
                        held.remove(number)
                        tasks.done(number)
                        yield number, future
        except BrokenProcessPool as error:
            failures += 1
            if failures > 1:
                raise lost(f"a process ended without a result, twice in a row ({error})") from None
            for number in held:
                tasks.again(number)
            held.clear()


# --- the interface --------------------------------------------------------------------------------------


def _outcomes(
    work: Callable[[Task, Callable[[int], None]], Result],
    tasks: Tasks[Task],
    workers: int,
    progress: Callable[[int], None],
    start: Callable[..., None] | None,
    settings: tuple[Any, ...],
) -> Any:
    engine = _pooled if _cluster is None else _cluster.outcomes
    return closing(engine(work, tasks, workers, progress, start, settings))  # type: ignore[arg-type]


def in_order(
    work: Callable[[Task, Callable[[int], None]], Result],
    tasks: Iterable[Task],
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
    tasks
        Taken one by one, as workers are free for them.
    workers
        Processes; fewer than two (on a cluster: none): all is done in this one.
    progress
        Called with the sum of what is done of tasks whose results were not yet yielded. On a cluster it is not called.
    start, settings
        Called first in each process, be it this one, with these arguments: for what all tasks share.

    Raises
    ------
    UserError
        If processes end again and again without a result, be it for want of memory, or a cluster cannot be used.
    """
    if workers < (1 if remote() else 2):
        if start is not None:
            start(*settings)
        for task in tasks:
            yield work(task, progress)
        return
    bag, early = Tasks(tasks, _AHEAD * workers), {}
    with _outcomes(work, bag, workers, progress, start, settings) as made:
        for number, outcome in made:
            early[number] = outcome
            while bag.first in early:
                result = early.pop(bag.first).result()
                bag.first += 1
                yield result


def as_done(
    work: Callable[[Task, Callable[[int], None]], Result],
    tasks: Iterable[Task],
    workers: int,
    start: Callable[..., None] | None = None,
    settings: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Yield what ``work`` makes of tasks as they are done, in whatever order; in processes of their own, be it one. Parameters as of `in_order`."""
    with _outcomes(work, Tasks(tasks, None), workers, lambda _: None, start, settings) as made:
        for _, outcome in made:
            yield outcome.result()
