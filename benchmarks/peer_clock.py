"""Seconds of a peer's run, in its own environment: the standard library alone."""

from __future__ import annotations

import os
import resource
import time


class Clock:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), sum(os.times()[:4])

    def read(self) -> dict[str, float]:
        """Return wall and CPU seconds since the start, of ended children too, and the largest process's peak memory in MB."""
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e3
        wall, cpu = time.perf_counter() - self._wall, sum(os.times()[:4]) - self._cpu
        return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "peak_mb": round(peak, 1)}
