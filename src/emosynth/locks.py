"""Locks that belong to a process: the system frees them when it ends, however it ends, so a file left behind locks nothing."""

from __future__ import annotations

import os
from pathlib import Path

from emosynth.errors import UserError

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing guards against a second run there
    fcntl = None  # type: ignore[assignment]


def take(path: Path, what: str) -> int:
    """Take a lock for this process; returns the open file, whose closing frees it.

    Parameters
    ----------
    what
        What another run does that holds it, in the words of an error: "The row cache is being written by another run".

    Raises
    ------
    UserError
        If another process holds it; it names the process.
    OSError
        If the file cannot be opened.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if fcntl is None:
        return lock
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 200, 0).decode("utf-8", "replace").strip() or "an unknown process"
        os.close(lock)
        raise UserError(f"{what} ({holder}).", where=str(path), remedy="Wait until that run has ended, or stop it.") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()}\n".encode(), 0)
    return lock
