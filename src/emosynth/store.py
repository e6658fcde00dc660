"""Append-only key-value cache of rows that are dear to make.

One file holds one namespace. It is a JSON Lines file of *units*: the rows that were committed together, then an end marker that
counts them and holds their checksum::

    {"key": "…", "value": …}
    {"key": "…", "value": …}
    {"end": 2, "crc32": 3735928559}

A unit counts only with its marker, so a run that is killed while it writes loses that unit and nothing else. Nothing is ever
rewritten; of several rows with one key the last holds.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from emosynth.errors import UserError

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing guards against a second writer there
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_MARKER = b'{"end": '
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _row(key: str, value: Any) -> bytes:
    try:
        return json.dumps({"key": key, "value": value}, allow_nan=False).encode("ascii") + b"\n"
    except (TypeError, ValueError) as error:
        raise TypeError(f"the value of key {key!r} is not JSON: {error}") from None


def _marker(count: int, body: bytes) -> bytes:
    return _MARKER + f'{count}, "crc32": {zlib.crc32(body)}}}\n'.encode("ascii")


def _complete_units(content: bytes) -> tuple[dict[str, Any], int, int]:
    """Return the rows of all complete units, the offset where the last of them ends, and how many lines before it belong to none."""
    rows: dict[str, Any] = {}
    end = 0  # where the last complete unit ends
    stray = 0  # lines before ``end`` that no marker vouches for: damage in the middle of the file
    pending: list[bytes] = []
    offset = 0
    for line in content.splitlines(keepends=True):
        offset += len(line)
        if not line.endswith(b"\n"):
            break
        if not line.startswith(_MARKER):
            pending.append(line)
            continue
        with contextlib.suppress(ValueError, KeyError, TypeError):
            count = int(json.loads(line)["end"])
            unit = pending[len(pending) - count :] if 0 < count <= len(pending) else []
            if unit and line == _marker(count, b"".join(unit)):
                rows.update((row["key"], row["value"]) for row in map(json.loads, unit))
                stray += len(pending) - count
                pending, end = [], offset
                continue
        pending.append(line)
    return rows, end, stray


class RowStore:
    """Key-value cache in one append-only file.

    Parameters
    ----------
    path
        The file; it and its folder are made when they do not exist.
    read_only
        Open without taking the lock and without mending the file. ``commit`` is then an error.

    Raises
    ------
    UserError
        If another process has the store open for writing, or the file cannot be opened.

    Notes
    -----
    On opening, what follows the last complete unit (a torn write) is cut off. Rows in the middle of the file whose checksum is
    wrong are left out with a warning; as this is a cache, they are made again.
    The lock lies beside the file (``<name>.lock``) and belongs to the process: the system frees it when the process ends, however
    it ends, so a lock file that was left behind locks nothing.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._rows: dict[str, Any] = {}
        self._file: int | None = None
        self._lock: int | None = None
        self._size = 0
        try:
            if read_only:
                if self.path.exists():
                    self._rows, _, _ = _complete_units(self.path.read_bytes())
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            content = self.path.read_bytes()
            self._rows, self._size, stray = _complete_units(content)
            if stray:
                log.warning("%s: %d damaged lines are left out; what they held will be made again", self.path.name, stray)
            if self._size < len(content):
                log.info("%s: cut off %d bytes of an unfinished write", self.path.name, len(content) - self._size)
                os.ftruncate(self._file, self._size)
        except OSError as error:
            self.close()
            raise UserError(
                f"The row cache cannot be opened: {error.strerror}.",
                where=str(self.path),
                remedy="Make the file and its folder readable and writable, or move the cache with EMOSYNTH_CACHE.",
            ) from None
        except BaseException:
            self.close()
            raise

    def _take_lock(self) -> None:
        lock = self.path.with_name(self.path.name + ".lock")
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        if fcntl is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 200, 0).decode("utf-8", "replace").strip() or "an unknown process"
            raise UserError(
                f"The row cache is being written by another run ({holder}).",
                where=str(self.path),
                remedy="Wait until that run has ended, or stop it.",
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"process {os.getpid()}\n".encode(), 0)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of ``key``, or ``default``."""
        return self._rows.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def commit(self, rows: Mapping[str, Any]) -> None:
        """Append all rows of one unit of work, or none of them.

        Parameters
        ----------
        rows
            Values by key; values are JSON (no NaN). When this returns, they are on the disk.

        Raises
        ------
        UserError
            If the rows cannot be written, for instance because the disk is full. The store stays as it was and readable.
        TypeError
            If a key is not a string or a value is not JSON.
        """
        if self._file is None:
            raise ValueError(f"{self.path.name} is closed or was opened read-only")
        if not rows:
            return
        for key in rows:
            if not isinstance(key, str):
                raise TypeError(f"keys are strings, not {type(key).__name__}")
        lines = [_row(key, value) for key, value in rows.items()]
        body = b"".join(lines)
        unit = memoryview(body + _marker(len(lines), body))
        try:
            if os.fstat(self._file).st_size != self._size:  # a failed commit that could not be taken back then
                os.ftruncate(self._file, self._size)
            written = 0
            while written < len(unit):
                written += os.write(self._file, unit[written:])
            os.fsync(self._file)
        except OSError as error:
            self._take_back()
            what = "The disk is full" if error.errno in _FULL else f"Rows cannot be written: {error.strerror}"
            raise UserError(
                f"{what}; {len(rows)} rows of the unit under way are lost, the {len(self)} before them are kept.",
                where=str(self.path),
                remedy="Make room, or move the cache with EMOSYNTH_CACHE, and run again: it goes on from where it stopped.",
            ) from None
        except BaseException:
            self._take_back()
            raise
        self._size += len(unit)
        # Values as they will be read the next time (a tuple is a list by then).
        self._rows.update((row["key"], row["value"]) for row in map(json.loads, lines))

    def _take_back(self) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None:
                os.ftruncate(self._file, self._size)

    def close(self) -> None:
        """Close the file and free the lock. Rows stay readable."""
        for handle in (self._file, self._lock):
            if handle is not None:
                with contextlib.suppress(OSError):
                    os.close(handle)
        self._file = self._lock = None

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
