"""Progress in plain lines, kept out of the notebooks' outputs.

An executed notebook must be the same bytes every time, so rates and times may not be printed
into it. The notebook runner names a file in ``EMOSYNTH_PROGRESS``, follows it, and shows its lines on
the terminal; without a runner (Jupyter, scripts) lines are printed.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from emosynth.escape import terminal
from emosynth.secrets import redact

WARNING = "warning: "
"""How a line begins that the run's summary repeats."""


def say(line: str) -> None:
    """Show one line; what could steer a terminal is spelled out, secrets are taken out."""
    line = terminal(redact(line))
    target = os.environ.get("EMOSYNTH_PROGRESS")
    if target:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    else:
        print(line, file=sys.stderr, flush=True)


def counted(count: int, noun: str) -> str:
    """Return a number of things, of which one has no s: 1 row, 1,000 rows."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def warn(line: str) -> None:
    """Show what a person has to know who did not watch; there is no other way to warn.

    It stands on the terminal, in the stage's log, in the report's record of the run, once more at the end, and in the notebook, there
    without places of this machine. What depends on the results alone must be warned of from the cache too, so that pages stay the same.
    """
    say(WARNING + line)
    if os.environ.get("EMOSYNTH_PROGRESS"):
        print(placeless(WARNING + terminal(redact(line)), Path.cwd()))


def placeless(line: str, root: Path) -> str:
    """Return a line without the project's folder and the user's."""
    return line.replace(f"{root}/", "").replace(str(root), ".").replace(str(Path.home()), "~")


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


def catch_warnings() -> None:
    """Let warnings of this package and of pieces, from ``warnings`` and from ``logging``, be shown as `warn` does; those of libraries stay as they are."""
    log = logging.getLogger("emosynth")
    if any(isinstance(handler, _Warnings) for handler in log.handlers):
        return
    log.addHandler(_Warnings(logging.WARNING))
    # The modules of pieces in files begin with this name too, see `emosynth.pieces.load_files`.
    warnings.filterwarnings("default", category=UserWarning, module="emosynth")
    show = warnings.showwarning

    def shown(message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: Any, **options: Any) -> None:
        if category is UserWarning:
            warn(str(message))
        else:
            show(message, category, filename, lineno, *more, **options)

    warnings.showwarning = shown


WARM_UP, WARM_UP_SECONDS = 0.05, 60.0
"""Share of the work that must be done before a rate means anything, or time since the first unit: before it models are loaded and batches filled."""


ALREADY = "already there"
"""What is said of work that an earlier run did."""
AFTER = "EMOSYNTH_AFTER"
"""Environment variable in which the runner says how many seconds, least and most, the steps after this one will take; not set where nobody knows."""


class Progress:
    """Counts work done and shows rate and time left at most every few seconds; no forecast before the warm-up is over.

    Then there is one for the work under way and, where the runner knows what follows (`emosynth.runner.record.ahead`), one for the whole run.

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
        self._last = time.monotonic()
        self._first: float | None = None
        self._warm: tuple[float, int] | None = None

    def skip(self, count: int) -> None:
        """Count units that were already there: they do not enter the rate."""
        self.done += count
        self.skipped += count
        if count and self.done >= self.total:
            say(f"{self.label}: " + (f"all {self.total} {self.unit} {ALREADY}" if self.skipped >= self.total else self._counts()))

    def advance(self, count: int = 1) -> None:
        """Count units just finished."""
        self.at(self.done + count)

    def at(self, done: int) -> None:
        """Set the number of finished units."""
        self.done = done
        now = time.monotonic()
        made = done - self.skipped
        if made > 0 and self._warm is None:
            self._first = now if self._first is None else self._first
            if made >= WARM_UP * (self.total - self.skipped) or now - self._first >= WARM_UP_SECONDS:
                self._warm = now, made
        if now - self._last >= self.every or self.done >= self.total:
            self._last = now
            say(f"{self.label}: {self._counts()}{self._forecast(now, made)}")

    def _counts(self) -> str:
        return f"{self.done}/{self.total} {self.unit}" + (
            f", {self.skipped} {ALREADY} (from before, or the same as another)" if self.skipped else ""
        )

    def _forecast(self, now: float, made: int) -> str:
        """Return rate and time left, from what was done since the warm-up; nothing until that says something."""
        since, before = self._warm or (now, made)
        if made <= before or now - since < min(self.every, 1.0):
            return ""
        rate = (made - before) / max(now - since, 1e-9)
        left = (self.total - self.done) / rate
        return f", {rate:.1f}/s, {clock(left)} left{_whole(left)}"


def _whole(left: float) -> str:
    """Return the forecast of the run, given that of the work under way; empty if it is not known what follows."""
    after = [float(part) for part in os.environ.get(AFTER, "").split()]
    return f"; with the steps after it {span(left + after[0], left + after[1])}" if len(after) == 2 else ""


def clock(seconds: float) -> str:
    """Return minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def span(least: float, most: float) -> str:
    """Return two times in minutes, one if they are the same minute; seconds would promise too much."""
    low, high = (max(1, round(seconds / 60)) for seconds in (least, most))
    return f"{low} min" if low == high else f"{low} to {high} min"
