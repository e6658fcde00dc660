"""Progress in plain lines, kept out of the notebooks' outputs.

An executed notebook must be the same bytes every time, so rates and times may not be printed
into it. The notebook runner names a file in ``EMOSYNTH_PROGRESS``, follows it, and shows its lines on
the terminal; without a runner (Jupyter, scripts) lines are printed.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def say(line: str) -> None:
    """Show one line of progress."""
    target = os.environ.get("EMOSYNTH_PROGRESS")
    if target:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    else:
        print(line, file=sys.stderr, flush=True)


class Progress:
    """Counts work done and shows rate and time left at most every few seconds.

    Parameters
    ----------
    total
        Units of work in all.
    label
        What is being done.
    unit
        Name of one unit, plural.
    every
        Seconds between lines.
    """

    def __init__(self, total: int, label: str, unit: str = "rows", every: float = 5.0) -> None:
        self.total, self.label, self.unit, self.every = total, label, unit, every
        self.done = self.skipped = 0
        self._start = self._last = time.monotonic()

    def skip(self, count: int) -> None:
        """Count units that were already there: they do not enter the rate."""
        self.done += count
        self.skipped += count

    def advance(self, count: int = 1) -> None:
        """Count units just finished."""
        self.at(self.done + count)

    def at(self, done: int) -> None:
        """Set the number of finished units."""
        self.done = done
        now = time.monotonic()
        if now - self._last >= self.every or self.done >= self.total:
            self._last = now
            elapsed = max(now - self._start, 1e-9)
            rate = (self.done - self.skipped) / elapsed
            left = (self.total - self.done) / rate if rate > 0 else float("nan")
            known = f", {self.skipped} already there" if self.skipped else ""
            say(f"{self.label}: {self.done}/{self.total} {self.unit}{known}, {rate:.1f}/s, {_clock(left)} left")


def _clock(seconds: float) -> str:
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
