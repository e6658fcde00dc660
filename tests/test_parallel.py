"""Work in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from emosynth import parallel
from emosynth.errors import UserError
from emosynth.parallel import Tasks, as_done, cores, in_order, memory, rooms


def _slow_first(task: int, progress: Callable[[int], None]) -> tuple[int, int]:
    progress(task)
    time.sleep(0.4 if task == 1 else 0)
    return task, os.getpid()


def _fails(task: int, _progress: Callable[[int], None]) -> int:
    if task == 2:
        raise UserError("It failed.", where="task 2", remedy="Mend it.")
    return task


def _first_waits(task: int, _progress: Callable[[int], None]) -> int:
    time.sleep(0 if task else 1)
    return task


def _dies_once(task: Path, _progress: Callable[[int], None]) -> str:
    if not task.exists():
        task.touch()
        os._exit(9)
    return task.name


def _dies(_task: int, _progress: Callable[[int], None]) -> int:
    os._exit(9)


def test_results_come_in_order_from_other_processes():
    told: list[int] = []
    results = list(in_order(_slow_first, [1, 2, 3, 4], 2, told.append))
    assert [task for task, _ in results] == [1, 2, 3, 4] and os.getpid() not in {process for _, process in results}
    assert told and max(told) <= 10
    assert {process for _, process in in_order(_slow_first, [1, 2], 1, told.append)} == {os.getpid()}


def test_an_error_is_the_one_that_was_raised_and_what_came_before_is_kept():
    kept = []
    with pytest.raises(UserError, match=r"It failed\.") as error:
        for result in in_order(_fails, [0, 1, 2, 3], 2, print):
            kept.append(result)
    assert kept == [0, 1] and error.value.where == "task 2" and error.value.remedy == "Mend it."


def test_a_process_that_dies_is_replaced_once(tmp_path):
    (tmp_path / "b").touch()
    assert list(in_order(_dies_once, [tmp_path / "a", tmp_path / "b"], 2, print)) == ["a", "b"]
    with pytest.raises(UserError, match="without a result") as error:
        list(in_order(_dies, [1, 2], 2, print))
    assert "memory" in error.value.remedy and "kept" in error.value.remedy, "whoever asked for the work, here step 08, tells the remedy"


def test_tasks_are_taken_as_workers_are_free_and_no_result_waits_far_ahead():
    taken: list[int] = []

    def tasks():
        for number in range(200):
            taken.append(number)
            yield number

    results = in_order(_first_waits, tasks(), 2, lambda done: None)
    assert next(results) == 0 and len(taken) <= 16, "the first is awaited, the others do not pile up"
    assert list(results) == list(range(1, 200)) == taken[1:]


def test_results_come_as_they_are_done():
    found = list(as_done(_first_waits, range(6), 2))
    assert sorted(found) == list(range(6)) and found[0] != 0
    assert sorted(as_done(_first_waits, [1], 1)) == [1]


def test_tasks_that_were_lost_come_first_and_none_is_far_ahead():
    tasks = Tasks(iter("abcdef"), ahead=3)
    assert [tasks.take() for _ in range(4)] == [(0, "a"), (1, "b"), (2, "c"), None]
    tasks.again(2)
    tasks.again(0)
    assert [tasks.take(), tasks.take(), tasks.take()] == [(0, "a"), (2, "c"), None]
    tasks.done(0)
    tasks.first = 1
    assert [tasks.take(), tasks.take()] == [(3, "d"), None]


def test_threads_are_those_that_are_granted(monkeypatch):
    monkeypatch.setenv("EMOSYNTH_THREADS", "3")
    assert cores() == 3
    monkeypatch.delenv("EMOSYNTH_THREADS")
    assert cores() == len(os.sched_getaffinity(0))


_ORPHANS = """
import sys
from emosynth.parallel import worker_pool
import time

if __name__ == "__main__":
    with worker_pool(2) as pool:
        futures = [pool.submit(time.sleep, 60) for _ in range(2)]
        import multiprocessing
        while len(multiprocessing.active_children()) < 2 or not all(future.running() for future in futures):
            time.sleep(0.05)
        time.sleep(1)
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        time.sleep(60)
"""


def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = tmp_path / "orphans.py"
    script.write_text(_ORPHANS)
    source = str(Path(parallel.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source}
    ) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 2 and all(psutil.pid_exists(child) for child in children)
        parent.kill()
    _, alive = psutil.wait_procs([psutil.Process(child) for child in children if psutil.pid_exists(child)], timeout=10)
    assert not alive


def test_processes_are_bounded_by_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOSYNTH_THREADS", "8")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 * 10**9, available=10 * 10**9))
    monkeypatch.setattr("emosynth.parallel._CONTAINER", tmp_path)
    assert memory() == (16 * 10**9, 10 * 10**9) and rooms(3 * 10**9) == 3 and rooms(10**8) == 8
    assert rooms(10**12) == 1, "what fits nowhere is tried alone"
    for name, text in (
        ("memory.max", "4000000000"),
        ("memory.current", "2000000000"),
        ("memory.stat", "anon 1\ninactive_file 500000000\n"),
    ):
        (tmp_path / name).write_text(text)
    assert memory() == (4 * 10**9, 25 * 10**8), "files that are only kept for speed do not count"
    (tmp_path / "memory.max").write_text("max")
    assert rooms(3 * 10**9) == 3, "a container without a bound has its machine's"
