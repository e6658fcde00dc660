"""As much of Ray as `emosynth.cluster` uses, in this process: an actor's calls are made when they are waited for; SystemExit ends the actor."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any


class RayError(Exception):
    """Of Ray itself."""


class RayTaskError(RayError):
    """Of what was called."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class UnserializableException(RayError):
    """Of what was called, and cannot be sent."""


def _sent(value: Any) -> Any:
    """Return what arrives: a copy, of which arrays are read-only."""
    held: list[pickle.PickleBuffer] = []
    made = pickle.dumps(value, protocol=5, buffer_callback=held.append)
    return pickle.loads(made, buffers=[bytes(part.raw()) for part in held])


class _Actor:
    def __init__(self, kind: type, log: list[str]) -> None:
        self._it, self._dead, self._log = kind(), False, log

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: _Call(self, getattr(self._it, name), given))


class _Call:
    def __init__(self, actor: _Actor, call: Callable[..., Any], given: tuple[Any, ...]) -> None:
        self.actor, self._call, self._given = actor, call, _sent(given)
        self._value: Any = None
        self._done = self.made = False

    def make(self) -> None:
        self.made = True
        if not self.actor._dead:
            try:
                self._value = _sent(self._call(*self._given))
            except SystemExit:
                self.actor._dead = True
                return
            except Exception as error:
                self._value = RayTaskError(_sent(error))
            self._done = True

    def get(self) -> Any:
        if not self._done:
            raise RayError("The actor died.")
        if isinstance(self._value, RayTaskError):
            raise self._value
        return self._value


def fake(nodes: int = 2, cpus: int = 1, memory: int = 10**10) -> ModuleType:
    """Return the module; its ``log`` has what happened to actors, ``options`` what they were asked for with."""
    ray: Any = ModuleType("ray")
    ray.log, ray.options, ray.given = [], [], []
    ray.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError, UnserializableException=UnserializableException)
    ray.is_initialized = lambda: True
    ray.nodes = lambda: [{"Alive": place < nodes, "Resources": {"CPU": float(cpus), "memory": float(memory)}} for place in range(nodes + 1)]
    ray.put = _sent

    def remote(**options: Any) -> Any:
        ray.options.append(options)

        def hire(kind: type) -> _Actor:
            ray.log.append("hired")
            return _Actor(kind, ray.log)

        return lambda kind: SimpleNamespace(remote=lambda: hire(kind))

    def wait(calls: list[_Call], num_returns: int, timeout: float) -> tuple[list[_Call], list[_Call]]:
        assert calls and num_returns == 1
        ray.given.append(len(calls))
        call = calls[-1]  # the last that was given: results come out of order
        call.make()
        return [call], [other for other in calls if other is not call]

    def kill(actor: _Actor) -> None:
        actor._dead = True
        ray.log.append("killed")

    ray.remote, ray.wait, ray.kill, ray.get = remote, wait, kill, lambda call: call.get()
    ray.util = ModuleType("ray.util")
    ray.util.get_node_ip_address = lambda: "192.0.2.7"  # type: ignore[attr-defined]
    return ray  # type: ignore[no-any-return]
