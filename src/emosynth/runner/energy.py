"""Energy of a stage: read from the processor's own counters where Linux shows them, else estimated from the time that cores were busy.

The counters are RAPL's, by the kernel's power capping interface (https://docs.kernel.org/power/powercap/powercap.html): packages, and memory where it
counts apart. They count all that the machine does, and most machines let root alone read them. Nothing else is asked, and nothing is written.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emosynth.errors import UserError

ZONES = Path("/sys/class/powercap")
WATTS = 10.0
"""Of a busy core where nothing is measured: an assumption. EMOSYNTH_WATTS says better: the processor's thermal design power over its cores."""
_EVERY = 5.0  # seconds between looks
_running: Meter | None = None


@contextlib.contextmanager
def metered() -> Iterator[None]:
    """Meter this process while the block runs, for `spent`.

    Raises
    ------
    UserError
        If EMOSYNTH_WATTS is no number above 0.
    """
    global _running
    _watts()
    _running, finished = Meter(), threading.Event()
    thread = threading.Thread(target=_follow, args=(_running, finished), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join(timeout=_EVERY)
        _running = None


def spent() -> dict[str, Any]:
    """Return what the block that is `metered` has taken so far, see `Meter.spent`; nothing outside of one."""
    return {} if _running is None else _running.spent(_watts())


def _follow(meter: Meter, finished: threading.Event) -> None:
    while not finished.wait(_EVERY):
        meter.look()


def _watts() -> float:
    given = os.environ.get("EMOSYNTH_WATTS", "").strip() or str(WATTS)
    try:
        watts = float(given)
    except ValueError:
        watts = math.nan
    if not 0 < watts < math.inf:
        raise UserError(
            f"EMOSYNTH_WATTS is {given!r}, and no power.",
            where="EMOSYNTH_WATTS",
            remedy="Give the watts of one busy core, as 7.5, or unset it.",
        )
    return watts


class Meter:
    """What a stage takes from here on; look at it more often than the counters go round, which takes minutes."""

    def __init__(self, zones: Path | None = None) -> None:
        zones = ZONES if zones is None else zones
        self._lock = threading.Lock()
        self._limits = {zone: _number(zone / "max_energy_range_uj") for zone in sorted(zones.glob("intel-rapl:*")) if _counts(zone)}
        self._last = {zone: _number(zone / "energy_uj") for zone in self._limits}
        self._microjoules = 0
        self._busy = _busy()

    def look(self) -> None:
        """Add what the counters say since the last look."""
        with self._lock:
            self._look()

    def _look(self) -> None:
        for zone, limit in self._limits.items():
            now, last = _number(zone / "energy_uj"), self._last[zone]
            if now is None or last is None or (now < last and not limit):
                self._last[zone] = None  # a counter that fails once is no measurement
                continue
            self._microjoules += now - last if now >= last else now - last + int(limit or 0)
            self._last[zone] = now

    def spent(self, watts_per_core: float) -> dict[str, Any]:
        """Return ``core_seconds`` (of this process and of those that it waited for), ``energy_wh``, and ``energy``: measured, or estimated by what."""
        self.look()
        busy = None if self._busy is None else (_busy() or 0.0) - self._busy
        found: dict[str, Any] = {} if busy is None else {"core_seconds": round(busy, 1)}
        if self._last and None not in self._last.values():
            return found | {"energy_wh": round(self._microjoules / 3.6e9, 3), "energy": "measured"}
        if busy is None:
            return found
        return found | {"energy_wh": round(busy * watts_per_core / 3600, 3), "energy": f"estimated at {watts_per_core:g} W a busy core"}


def _busy() -> float | None:
    """Return the seconds that cores were busy for this process and for its children that have ended; None where they are not counted."""
    return None if os.name == "nt" else sum(os.times()[:4])


def _counts(zone: Path) -> bool:
    """Whether a zone is a package, or memory; the others are parts of a package, or hold it."""
    try:
        return (zone / "name").read_text(encoding="utf-8").strip().startswith(("package", "dram"))
    except OSError:
        return False


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
