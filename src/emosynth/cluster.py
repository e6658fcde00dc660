"""The same work as `emosynth.parallel` gives to processes, on a Ray cluster (Moritz et al., 2018, OSDI): one actor a worker, few tasks under way.

A worker is an actor that is begun once, with what all tasks share (a model, say), and then takes one task after the other. The driver alone reads
and writes caches and tables. Arrays arrive as they were sent, but read-only: Ray keeps one copy of them a node.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emosynth
from emosynth.errors import UserError
from emosynth.parallel import DEEP, OFTEN, Tasks, cores, lost
from emosynth.params import Compute
from emosynth.progress import say
from emosynth.secrets import KEYS

if TYPE_CHECKING:
    from types import ModuleType

LIVES = 3
"""Times that a task, or a worker's start, may be lost with its worker."""
PATIENCE = 600.0
"""Seconds without any worker after which a run ends: a cluster that grows by itself takes minutes."""
_LIBRARIES = ("numpy", "scikit-learn", "scipy", "xgboost", "xgboost-cpu", "torch", "transformers", "openvino", "openvino-genai", "setfit")
_KEPT = ("HF_HOME", "HF_HUB_DISABLE_TELEMETRY", "OMP_WAIT_POLICY", "TOKENIZERS_PARALLELISM", "TRANSFORMERS_VERBOSITY")
_SAME = "Every node needs the same checkout and environment at the same path: share the folder, or build one image of it."


@cache
def _fingerprint() -> dict[str, str]:
    """Return what must be the same on every node for results to be: hash of this package's code, and versions."""
    root = Path(emosynth.__file__).parent
    code = hashlib.sha256(b"\0".join(file.read_bytes() for file in sorted(root.rglob("*.py")))).hexdigest()
    found = {"emosynth": code}
    for name in _LIBRARIES:
        try:
            found[name] = version(name).split("+")[0]
        except PackageNotFoundError:
            found[name] = ""
    return found


def _paths(value: Any, deep: int = 5) -> set[str]:
    """Return the files and folders of this machine that settings name, or what they are made of: a worker has to find them too."""
    if isinstance(value, Path):
        return {str(value)} if value.exists() else set()
    inner = list(value) if isinstance(value, list | tuple) else [*vars(value).values()] if hasattr(value, "__dict__") else []
    inner += [part for part in (getattr(value, "func", None), getattr(value, "__self__", None)) if part is not None]
    return set().union(*(_paths(part, deep - 1) for part in inner)) if deep else set()


class Worker:
    """What lives in a worker's process."""

    def check(self, given: dict[str, Any]) -> None:
        """Check that this node is like the driver's.

        Raises
        ------
        UserError
            Naming the node, if it has other code, other versions of libraries, or lacks a file.
        """
        import ray.util

        for name in KEYS:
            os.environ.pop(name, None)
        os.environ.update(given["environment"])
        node = f"node {ray.util.get_node_ip_address()}"
        here = _fingerprint()
        for name, wanted in given["fingerprint"].items():
            if here[name] != wanted:
                what = "code of this package" if name == "emosynth" else f"{name} ({here[name] or 'none'} instead of {wanted or 'none'})"
                raise UserError(f"A worker has another {what} than this machine.", where=node, remedy=_SAME)
        missing = [path for path in given["paths"] if not Path(path).exists()]
        if missing:
            raise UserError(
                f"A worker does not find {len(missing)} of the files that it needs.",
                where=f"{node}: {missing[0]}",
                remedy="Put the cache (EMOSYNTH_CACHE) and the models into a folder that all nodes see at the same path.",
            )

    def begin(self, shared: tuple[Callable[..., None] | None, tuple[Any, ...]]) -> None:
        """Do once what all tasks share: load a model, say."""
        start, settings = shared
        if start is not None:
            start(*settings)

    def run(self, work: Callable[..., Any], task: Any) -> Any:
        """Return what a function makes of a task."""
        return work(task, lambda done: None)


class Cluster:
    """A Ray cluster as the parameters name it; it is reached when it is first asked for something.

    Attributes
    ----------
    threads
        Threads of a worker.
    """

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self.threads = compute.cpus_per_worker

    def _ray(self) -> ModuleType:
        """Return the library, connected.

        Raises
        ------
        UserError
            If it is not installed, or there is no such cluster.
        """
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is sent to anybody
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError:
            raise UserError(
                "The engine ray needs the package ray.", where="compute.engine", remedy="Install the extra: pip install -e '.[ray]'."
            ) from None
        if not ray.is_initialized():
            address = self._compute.address
            own: dict[str, Any] = {"num_cpus": cores(), "include_dashboard": False} if address == "local" else {}
            try:
                with _without_keys():
                    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
            except Exception as error:  # many kinds, among them bare RuntimeError
                first = (str(error).splitlines() or [type(error).__name__])[0]
                raise UserError(
                    f"The Ray cluster cannot be reached: {first}",
                    where=f"compute.address: {address}",
                    remedy="Start one (ray start --head), see docs/scale.md; or set compute.address: local, or compute.engine: local.",
                ) from None
        return ray  # type: ignore[no-any-return]

    def rooms(self, each: int) -> int:
        """Return how many workers of so many bytes the cluster holds, one at least; `Compute.workers` says otherwise.

        Raises
        ------
        UserError
            If no node has the cores or accelerators of one worker.
        """
        if self._compute.workers is not None:
            return self._compute.workers
        cpus, gpus = self._compute.cpus_per_worker, self._compute.gpus_per_worker
        by_cores, by_memory = 0, 0
        for node in self._ray().nodes():
            has = node["Resources"] if node["Alive"] else {}
            held = int(has.get("CPU", 0) // cpus)
            held = min(held, int(has.get("GPU", 0) / gpus + 1e-9)) if gpus else held
            by_cores += held
            by_memory += min(held, int(has.get("memory", 0) // max(1, each)))
        if not by_cores:
            raise UserError(
                f"No node of the cluster has room for a worker of {cpus} cores" + (f" and {gpus:g} accelerators." if gpus else "."),
                where="compute.cpus_per_worker, compute.gpus_per_worker",
                remedy="Lower them, or, where the cluster grows by itself, set compute.workers.",
            )
        return max(1, by_memory)  # what fits nowhere is tried alone

    def outcomes(
        self,
        work: Callable[..., Any],
        tasks: Tasks[Any],
        workers: int,
        progress: Callable[[int], None],
        start: Callable[..., None] | None,
        settings: tuple[Any, ...],
    ) -> Iterator[tuple[int, Future[Any]]]:
        """Yield each task's number and outcome as they are done. The tasks of a worker that is lost are given to others."""
        team = _Team(self._ray(), self._compute, workers, start, settings)
        try:
            yield from team.outcomes(work, tasks)
        finally:
            team.end()


@contextmanager
def _without_keys() -> Iterator[None]:
    """Keep keys out of what is started inside: processes of a cluster inherit the environment."""
    held = {name: os.environ.pop(name) for name in KEYS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(held)


class _Team:
    """The workers of one piece of work. One that dies is replaced; none is given a task before it has begun, since it may wait for room."""

    def __init__(self, ray: ModuleType, compute: Compute, workers: int, start: Any, settings: tuple[Any, ...]) -> None:
        self._ray_, self._compute = ray, compute
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"EMOSYNTH_THREADS": str(compute.cpus_per_worker), "HF_HUB_OFFLINE": "1"}
        self._given = {"environment": environment, "fingerprint": _fingerprint(), "paths": sorted(_paths(settings))}
        self._shared = ray.put((start, settings))  # once a node, not once a worker
        options = {
            "num_cpus": compute.cpus_per_worker,
            "num_gpus": compute.gpus_per_worker,
            "max_restarts": 0,
            "scheduling_strategy": "SPREAD",
        }
        self._kind = ray.remote(**options)(Worker)
        self._starting: dict[Any, Any] = {}  # reference -> worker that waits for room
        self._beginning: dict[Any, Any] = {}  # reference -> worker that has it, and loads a model, say: that may take long
        self._ready: dict[Any, int] = {}  # worker -> tasks that it holds
        self._under_way: dict[Any, tuple[Any, int]] = {}  # reference -> worker, task
        self._barren = 0  # workers lost since one has begun
        for _ in range(workers):
            self._hire()

    def _hire(self) -> None:
        worker = self._kind.remote()
        self._starting[worker.check.remote(self._given)] = worker

    def end(self) -> None:
        """Let all workers go."""
        if self._ray_.is_initialized():  # else it has ended with this process, and a call would begin a cluster of its own
            for worker in [*self._starting.values(), *self._beginning.values(), *self._ready]:
                self._ray_.kill(worker)

    def outcomes(self, work: Callable[..., Any], tasks: Tasks[Any]) -> Iterator[tuple[int, Future[Any]]]:
        """See `Cluster.outcomes`."""
        ray, losses, since, told = self._ray_, dict[int, int](), time.monotonic(), False
        while True:
            waits = self._give(work, tasks)
            if not self._under_way and not waits:
                return
            done, _ = ray.wait([*self._under_way, *self._starting, *self._beginning], num_returns=1, timeout=OFTEN)
            if self._ready or self._beginning:
                since = time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                raise UserError(
                    f"The cluster gave no worker within {PATIENCE:.0f} seconds.",
                    where=f"compute.address: {self._compute.address}",
                    remedy="End other work on it, or lower compute.cpus_per_worker and compute.gpus_per_worker.",
                )
            elif not told and time.monotonic() - since > PATIENCE / 10:
                told = True
                say("waiting for the cluster to give a worker")
            for reference in done:
                if reference not in self._under_way:
                    self._begun(reference)
                    continue
                worker, number = self._under_way.pop(reference)
                outcome = self._outcome(reference)
                if outcome is not None:
                    if worker in self._ready:  # else it was lost after this
                        self._ready[worker] -= 1
                    tasks.done(number)
                    yield number, outcome
                    continue
                self._replace(worker)
                losses[number] = losses.get(number, 0) + 1
                if losses[number] >= LIVES:
                    raise lost(f"task {number + 1} was lost with its worker {LIVES} times")
                tasks.again(number)

    def _give(self, work: Callable[..., Any], tasks: Tasks[Any]) -> bool:
        """Give tasks to the workers that hold fewest; returns whether a task may be left for which no worker is ready."""
        for depth in range(DEEP):
            for worker, load in list(self._ready.items()):
                if load > depth:
                    continue
                given = tasks.take()
                if given is None:
                    return False
                self._under_way[worker.run.remote(work, given[1])] = worker, given[0]
                self._ready[worker] += 1
        return True

    def _outcome(self, reference: Any) -> Future[Any] | None:
        """Return what came of a call; None: its worker, or its node with the result, is lost."""
        outcome: Future[Any] = Future()
        try:
            outcome.set_result(self._ray_.get(reference))
        except self._ray_.exceptions.RayTaskError as error:
            outcome.set_exception(error.cause)  # as it was raised
        except self._ray_.exceptions.UnserializableException as error:
            outcome.set_exception(error)
        except self._ray_.exceptions.RayError as error:
            self._why = str(error)
            return None
        return outcome

    def _begun(self, reference: Any) -> None:
        placed = reference in self._starting
        worker, outcome = (self._starting if placed else self._beginning).pop(reference), self._outcome(reference)
        if outcome is not None:
            if placed:
                self._beginning[worker.begin.remote(self._shared)] = worker
            else:
                self._barren, self._ready[worker] = 0, 0
            outcome.result()
            return
        if "No module named" in self._why:
            raise UserError("A worker cannot load this package.", where=f"compute.address: {self._compute.address}", remedy=_SAME)
        self._barren += 1
        if self._barren > LIVES:
            raise lost(f"{self._barren} workers in a row died before they could begin")
        self._hire()

    def _replace(self, worker: Any) -> None:
        if self._ready.pop(worker, None) is not None:  # else another of its tasks has told already
            self._ray_.kill(worker)
            self._hire()
