"""The same work on a Ray cluster: two nodes on loopback."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from emosynth import cluster  # noqa: E402
from emosynth.errors import UserError  # noqa: E402
from emosynth.parallel import DEEP, as_done, in_order, remote, rooms, threads_of, use_engine  # noqa: E402
from emosynth.params import Compute  # noqa: E402


@pytest.fixture(scope="module")
def nodes() -> Iterator[Compute]:
    """Start a cluster of two nodes, one core each, and use it through its address; or that at EMOSYNTH_TEST_RAY, started with this folder in PYTHONPATH."""
    if given := os.environ.get("EMOSYNTH_TEST_RAY"):
        yield Compute(engine="ray", address=given)
        ray.shutdown()
        return
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    here = str(Path(__file__).parent)
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(filter(None, [here, str(Path(here).parent / "src"), os.environ.get("PYTHONPATH")])),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "300",  # a machine may be busy
        "RAY_health_check_failure_threshold": "60",
        "RAY_worker_niceness": "0",  # else 15: next to other work it would hardly run
        "EMOSYNTH_API_KEY": "a-key-of-nobody",
    }
    made = Cluster(initialize_head=True, head_node_args=_size())
    try:
        made.add_node(**_size())
        made.wait_for_nodes()
        yield Compute(engine="ray", address=made.address)
    finally:
        ray.shutdown()
        made.shutdown()
        os.environ.clear()
        os.environ |= before


def _size() -> dict[str, Any]:
    with socket.socket() as found:
        found.bind(("", 0))
        # Without its port a node waits 15 seconds for this agent, and then dies: on a busy machine Python takes longer to start.
        return {
            "num_cpus": 1,
            "object_store_memory": 100 * 2**20,
            "include_dashboard": False,
            "runtime_env_agent_port": found.getsockname()[1],
        }


@pytest.fixture
def on_ray(nodes: Compute) -> Iterator[Compute]:
    use_engine(nodes)
    yield nodes
    use_engine(Compute())


_shared: list[int] = []


def _begin(number: int) -> None:
    _shared.append(number)


def _told(task: int, _progress: Callable[[int], None]) -> tuple[int, int, str, str, int]:
    time.sleep(0.3 if task == 0 else 0.0)
    return task, os.getpid(), os.environ.get("EMOSYNTH_THREADS", ""), os.environ.get("EMOSYNTH_API_KEY", ""), len(_shared)


def test_results_come_in_order_from_workers(on_ray: Compute) -> None:
    assert remote() and rooms() == 2 and threads_of(2) == 1
    made = list(in_order(_told, range(20), 2, print, _begin, (7,)))
    assert [task for task, *_ in made] == list(range(20))
    assert os.getpid() not in {process for _, process, *_ in made}
    assert {tuple(rest) for _, _, *rest in made} == {("1", "", 1)}, "one thread, no key, begun once"


def _fails(task: int, _progress: Callable[[int], None]) -> int:
    if task == 2:
        raise UserError("It failed.", where="task 2", remedy="Mend it.")
    return task


def test_an_error_is_the_one_that_was_raised_and_what_came_before_is_kept(on_ray: Compute) -> None:
    kept = []
    with pytest.raises(UserError, match=r"It failed\.") as error:
        for result in in_order(_fails, [0, 1, 2, 3], 2, print):
            kept.append(result)
    assert kept == [0, 1] and error.value.where == "task 2" and error.value.remedy == "Mend it."


class _OddError(Exception):
    def __init__(self, *, why: str) -> None:  # cannot be unpickled
        super().__init__(why)


def _odd(_task: int, _progress: Callable[[int], None]) -> int:
    raise _OddError(why="an odd one")


def test_an_error_that_cannot_be_sent_is_told(on_ray: Compute) -> None:
    with pytest.raises(ray.exceptions.RayError, match="an odd one"):
        list(in_order(_odd, [1], 1, print))


def _dies_once(task: Path, _progress: Callable[[int], None]) -> str:
    with (task.parent / "begun").open("a") as begun:
        begun.write(f"{task.name} ")
    if not task.exists():
        task.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task.name


def _dies(_task: int, _progress: Callable[[int], None]) -> int:
    os._exit(9)


def test_a_worker_that_is_killed_costs_its_units_in_flight_and_nothing_else(on_ray: Compute, tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(12)]
    for name in names:
        if name not in ("03", "08"):
            (tmp_path / name).touch()
    assert list(in_order(_dies_once, [tmp_path / name for name in names], 2, print)) == names
    begun = (tmp_path / "begun").read_text().split()
    assert sorted(set(begun)) == names and len(begun) <= len(names) + 2 * DEEP, "a lost worker held two tasks at most"


def test_work_that_kills_every_worker_ends_with_a_remedy(on_ray: Compute) -> None:
    with pytest.raises(UserError, match="lost with its worker") as error:
        list(in_order(_dies, [1, 2], 2, print))
    assert "memory" in error.value.remedy
    with pytest.raises(UserError, match="before they could begin") as error:
        list(in_order(_told, [1], 1, print, os._exit, (9,)))
    assert "memory" in error.value.remedy


def _big(task: int, _progress: Callable[[int], None]) -> bytes:
    return bytes([task]) * 2**20


def test_tasks_and_results_do_not_pile_up(on_ray: Compute) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(60):
            taken.append(number)
            yield number

    for number, result in enumerate(in_order(_big, tasks(), 2, print)):  # to its end: only then are its workers let go
        assert result[0] == number and len(taken) <= number + 1 + 8 * 2
    assert sorted(result[0] for result in as_done(_big, iter(range(5)), 2)) == list(range(5))


def _path(_folder: Path) -> None:
    pass


def test_a_worker_that_lacks_a_file_says_so(on_ray: Compute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    assert cluster._paths((tmp_path / "model", ["x", tmp_path / "none"])) == {str(tmp_path / "model")}
    monkeypatch.setattr(cluster, "_paths", lambda settings: {str(tmp_path / "elsewhere")})
    with pytest.raises(UserError, match="does not find 1 of the files") as error:
        list(in_order(_told, [1], 1, print, _path, (tmp_path,)))
    assert "EMOSYNTH_CACHE" in error.value.remedy and "elsewhere" in error.value.where


def test_a_worker_with_other_libraries_says_so(on_ray: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cluster._fingerprint() | {"numpy": "0.1"}
    monkeypatch.setattr(cluster, "_fingerprint", lambda: found)
    with pytest.raises(UserError, match=r"another numpy \(.* instead of 0\.1\)"):
        list(in_order(_told, [1], 1, print))


def test_a_cluster_that_is_not_there_and_one_without_room(on_ray: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    use_engine(on_ray.model_copy(update={"cpus_per_worker": 64}))
    with pytest.raises(UserError, match="No node of the cluster has room for a worker of 64 cores"):
        rooms()
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    use_engine(on_ray.model_copy(update={"gpus_per_worker": 1.0, "workers": 1}))
    with pytest.raises(UserError, match="gave no worker"):
        list(in_order(_told, [1], rooms(), print))


def test_texts_and_trials_are_the_bytes_of_one_machine_and_a_row_fails_alone(on_ray: Compute, tmp_path: Path) -> None:
    from emosynth.generation.fill import ask
    from emosynth.models.lm import Request
    from emosynth.models.lm.local import TransformersModel
    from emosynth.params import Decoding
    from emosynth.store import RowStore
    from lm_files import make_tiny_model
    from ray_trials import trained

    folder = make_tiny_model(tmp_path / "m")
    requests = [Request(f"I am so {word}", row) for row, word in enumerate(["sad", "glad", "long " * 40, "mad", "had", "bad"])]

    def texts(name: str, load: bool) -> list[Any]:
        model = TransformersModel(folder, "0" * 64, load=load)
        with RowStore(tmp_path / name) as store:
            made = ask(model, Decoding(max_new_tokens=6), 3, "test", requests, store)
        assert (model.model is None) == (not load), "it was loaded by the workers"
        return made

    far, models = texts("far.sqlite", False), trained(tmp_path / "far", "encoder", 4)
    use_engine(Compute())
    assert far == texts("near.sqlite", True) and models == trained(tmp_path / "near", "encoder", 4)
    assert [value["finish"] == "refused" for value in far] == [False, False, True, False, False, False]
    assert "do not fit the model's 128" in far[2]["error"]
