"""Key-value cache of rows that are dear to make: one SQLite file a namespace, one transaction a unit of work.

The file is in write-ahead mode, so a run that is killed while it writes loses the unit in flight and nothing else, and readers never
wait. Nothing is loaded on opening. ``sqlite3 FILE 'select key, value from rows limit 5'`` looks into it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import sqlite3
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from emosynth.errors import UserError
from emosynth.locks import take
from emosynth.progress import say

# One tree: an index of its own could be damaged and disagree with the table.
_SCHEMA = "CREATE TABLE IF NOT EXISTS rows (key TEXT NOT NULL PRIMARY KEY, value NOT NULL, crc32 INTEGER NOT NULL) WITHOUT ROWID"
_UPSERT = "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, crc32 = excluded.crc32"
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_ROOM = "Make room, or move the cache with EMOSYNTH_CACHE, and run again: it goes on from where it stopped."
_MISSING = object()
_Packed = tuple[str, str | bytes, int]


def _checksum(key: str, value: str | bytes) -> int:
    kind, body = (b"\x00b", value) if isinstance(value, bytes) else (b"\x00j", value.encode("utf-8"))
    return zlib.crc32(body, zlib.crc32(key.encode("utf-8") + kind))


def _pack(key: str, value: Any) -> _Packed:
    if not isinstance(key, str):
        raise TypeError(f"keys are strings, not {type(key).__name__}")
    try:
        packed = value if isinstance(value, bytes) else json.dumps(value, allow_nan=False)
        return key, packed, _checksum(key, packed)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the value of key {key!r} is not JSON: {error}") from None


def _sound(key: Any, value: Any, crc32: Any) -> bool:
    return isinstance(key, str) and isinstance(value, str | bytes) and _checksum(key, value) == crc32


def _corrupt(what: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    # The statements are our own: a column that they do not find was lost from the file's schema.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN or "no such column" in str(error)


def _full(error: Exception, path: Path) -> bool:
    """Whether a disk has no room; SQLite calls it an error of reading and writing where its index does not fit."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_IOERR:
        place = next(folder for folder in path.absolute().parents if folder.exists())
        return shutil.disk_usage(place).free < 1 << 20
    return code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def check_cache(cache: Path) -> None:
    """Say before a run begins what would stop it in the middle: a cache that has no room, or that cannot be written.

    Raises
    ------
    UserError
        With what to do.
    """
    try:
        (cache / "rows").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache / "rows") as file:
            file.write(bytes(1 << 20))
        if closed := [path for path in sorted((cache / "rows").glob("*.sqlite*")) if not os.access(path, os.W_OK)]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(closed[0]))
    except OSError as error:
        raise _unopened(error, Path(os.fsdecode(error.filename or cache / "rows"))) from None


def _unopened(error: Exception, path: Path) -> UserError:
    if _full(error, path):
        return UserError(
            "The disk is full: the row cache cannot be opened. What was written before is kept.",
            where=str(path),
            remedy=_ROOM,
        )
    return UserError(
        f"The row cache cannot be opened: {getattr(error, 'strerror', None) or error}.",
        where=str(path),
        remedy="Make the file and its folder readable and writable, or move the cache with EMOSYNTH_CACHE.",
    )


def _connect(path: Path, options: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=30, isolation_level=None, check_same_thread=False)
    # A damaged text must not raise: its checksum finds it.
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


class RowStore:
    """Key-value cache in one SQLite file.

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
    Every value has a checksum with its key. A value that does not fit it counts as missing, which is said, and is made again. A file that
    SQLite cannot read is set aside (``<name>.damaged``), which is said, and what can still be read of it is taken over.
    The lock lies beside the file (``<name>.lock``) and belongs to the process: the system frees it when the process ends, however it
    ends, so a lock file that was left behind locks nothing.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._writes = False
        self._damaged: set[str] = set()
        self._guard = threading.RLock()
        if read_only:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._open_for_writing()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise _unopened(error, self.path) from None
        except BaseException:
            self.close()
            raise

    # --- opening ------------------------------------------------------------------------------------

    def _take_lock(self) -> None:
        self._lock = take(self.path.with_name(self.path.name + ".lock"), "The row cache is being written by another run")

    def _open_for_writing(self) -> None:
        try:
            self._db = self._prepared()
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise
            self._set_aside()
        self._writes = True

    def _prepared(self) -> sqlite3.Connection:
        db = _connect(self.path, "mode=rwc")
        try:
            db.execute("PRAGMA page_size = 8192")  # an embedding fits into a page with others
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")  # what is committed is on the disk
            db.execute(_SCHEMA)
            db.execute("SELECT key, value, crc32 FROM rows LIMIT 1").fetchall()
            with self.path.open("rb") as file:
                if max(file.read(20)[18:], default=0) > 2:  # a format that SQLite would read, and never write
                    raise _corrupt("its format is none that there is")
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self) -> None:
        """Move a broken file out of the way, and take over what can be read of it."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        names = itertools.chain([".damaged"], (f".damaged-{number}" for number in itertools.count(2)))
        aside = next(place for name in names if not (place := self.path.with_name(self.path.name + name)).exists())
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
        self._db = self._prepared()
        saved = _readable(aside)
        if saved:
            self._write(list(saved.values()))
        self._damaged.clear()
        say(f"{self.path.name}: the row cache was damaged and is set aside as {aside.name}; {len(saved)} rows of it could be read, "
            "what else it held is made again")  # fmt: skip

    def _reader(self) -> sqlite3.Connection | None:
        """Return the connection; a store that is read-only, or closed, gets one that only reads; None: there is no file."""
        if self._db is None and self.path.exists():
            # A folder that cannot be written has no place for the index of a write-ahead log; a file there does not change either.
            for options in ("mode=ro", "mode=ro&immutable=1"):
                try:
                    self._db = _connect(self.path, options)
                    self._db.execute("SELECT name FROM sqlite_master").fetchall()
                    break
                except sqlite3.DatabaseError as error:
                    if _is_broken(error):
                        break
                    if options != "mode=ro":
                        raise _unopened(error, self.path) from None
        return self._db

    # --- reading ------------------------------------------------------------------------------------

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._guard:
            db = self._reader()
            try:
                return [] if db is None else db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                self._explain(error)
                return []

    def _explain(self, error: sqlite3.DatabaseError) -> None:
        """Say that a part cannot be read, or raise what is no damage; a file without the table is an empty store."""
        if _is_broken(error):
            self._say_damaged("")
        elif "no such table" not in str(error):
            raise _unopened(error, self.path) from None

    def _say_damaged(self, key: str) -> None:
        if key not in self._damaged:
            self._damaged.add(key)
            what = f"the row {key[:60]!r} is damaged and counts as missing" if key else "a part of the row cache cannot be read"
            say(f"{self.path.name}: {what}; it is made again")

    def _read(self, key: object) -> Any:
        if not isinstance(key, str):
            return _MISSING
        try:
            found = self._query("SELECT key, value, crc32 FROM rows WHERE key = ?", key)
        except UnicodeEncodeError:  # no key that was ever committed
            return _MISSING
        if not found:
            return _MISSING
        if not _sound(*found[0]):
            self._say_damaged(key)
            return _MISSING
        value = found[0][1]
        return value if isinstance(value, bytes) else json.loads(value)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of ``key``, or ``default``."""
        value = self._read(key)
        return default if value is _MISSING else value

    def __contains__(self, key: object) -> bool:
        return self._read(key) is not _MISSING

    def __len__(self) -> int:
        found = self._query("SELECT count(*) FROM rows")
        return (found[0][0] if found else 0) - len(self._damaged - {""})

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in their order."""
        db = self._reader()
        try:
            for row in [] if db is None else db.execute("SELECT key, value, crc32 FROM rows"):
                if _sound(*row):
                    yield row[0]
                else:
                    self._say_damaged(str(row[0]))
        except sqlite3.DatabaseError as error:
            self._explain(error)

    # --- writing ------------------------------------------------------------------------------------

    def commit(self, rows: Mapping[str, Any]) -> None:
        """Write all rows of one unit of work, or none of them.

        Parameters
        ----------
        rows
            Values by key; values are JSON (no NaN), or bytes. When this returns, they are on the disk. A later value of a key replaces an
            earlier one.

        Raises
        ------
        UserError
            If the rows cannot be written, for instance because the disk is full. The store stays as it was and readable.
        TypeError
            If a key is not a string or a value is neither JSON nor bytes.
        """
        if not self._writes:
            raise ValueError(f"{self.path.name} is closed or was opened read-only")
        unit = [_pack(key, value) for key, value in rows.items()]
        if not unit:
            return
        with self._guard:
            try:
                try:
                    self._write(unit)
                except sqlite3.DatabaseError as error:
                    if not _is_broken(error):
                        raise
                    self._set_aside()
                    self._write(unit)
            except (OSError, sqlite3.Error) as error:
                what = "The disk is full" if _full(error, self.path) else f"Rows cannot be written: {error}"
                raise UserError(
                    f"{what}; {len(rows)} rows of the unit under way are lost, the {len(self)} before them are kept.",
                    where=str(self.path),
                    remedy=_ROOM,
                ) from None
            self._damaged.difference_update(rows)

    def _write(self, unit: list[_Packed]) -> None:
        assert self._db is not None
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_UPSERT, unit)
            # A damaged key misleads the search through the tree: what was just written could not be found again.
            for row in {row[0]: row for row in unit}.values():
                if self._db.execute("SELECT key, value, crc32 FROM rows WHERE key = ?", row[:1]).fetchone() != row:
                    raise _corrupt(f"the row {row[0][:60]!r} cannot be found where it was written")
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file and free the lock. Rows stay readable."""
        with self._guard:
            if self._db is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._db.close()
            if self._lock is not None:
                with contextlib.suppress(OSError):
                    os.close(self._lock)
            self._db = self._lock = None
            self._writes = False

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _readable(path: Path) -> dict[str, _Packed]:
    """Return the sound rows of a broken file: from the front as far as can be read, then from the back."""
    saved: dict[str, _Packed] = {}
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_connect(path, "mode=rw")) as db:
            for row in db.execute(f"SELECT key, value, crc32 FROM rows ORDER BY key {order}"):
                if _sound(*row):
                    saved.setdefault(row[0], row)
    return saved


def kept(
    path: Path,
    keys: Mapping[str, str],
    compute: Callable[[list[list[str]]], Iterable[Iterable[Any]]],
    unit: int,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Return the values of texts by their keys, given by text, from the store at ``path``; those it lacks are computed, in order of length.

    Parameters
    ----------
    compute
        Called with lists of up to ``unit`` texts; yields the values of each list's texts, which are committed at once.
    tell
        Called after each unit with how many of the missing texts are done.
    """
    # Open only as long as needed: the file has one writer, and there may be several models.
    with RowStore(path) as store:
        missing = sorted((text for text, key in keys.items() if key not in store), key=lambda text: (len(text), text))
        parts = [missing[start : start + unit] for start in range(0, len(missing), unit)]
        done = 0
        for part, values in zip(parts, compute(parts), strict=True):
            store.commit({keys[text]: value for text, value in zip(part, values, strict=True)})
            done += len(part)
            if tell:
                tell(f"{done} of {len(missing)} texts")
        return {key: store.get(key) for key in keys.values()}
