"""What is kept in the cache: folders with a manifest of their members, looked at before they are used, made again when they do not fit.

A manifest lies in its folder (``.kept``) and holds the folder's name, what it was made from, and of each member the size and the XXH3-128
checksum. It guards against damage, not against someone who can write the cache: such a person could write the manifest too. What comes
from elsewhere is held against a SHA-256 before it is kept. A folder's contents are read once a process (an eighth of a second for half a
gigabyte), and again when the size, a time stamp or the inode of a member has changed; so a change that left all these as they were is
found in the next process at the latest.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import xxhash

from emosynth.errors import UserError
from emosynth.files import disk_errors, write_text
from emosynth.progress import say

try:
    import fcntl
except ImportError:  # not a POSIX system: there leftovers are not told from work in progress, and stay
    fcntl = None  # type: ignore[assignment]

MANIFEST = ".kept"
MAKING = ".making-"
"""How the name of a folder begins in which something is being made; its maker holds a lock on it."""

_Stamps = dict[str, tuple[int, ...]]
_seen: dict[str, _Stamps] = {}
"""Stamps of the folders that were sound when this process read them."""


def checksum(path: Path) -> str:
    """Return the XXH3-128 checksum of a file."""
    digest, block = xxhash.xxh3_128(), bytearray(1 << 20)
    view = memoryview(block)
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(block):
            digest.update(view[:count])
    return str(digest.hexdigest())


def _stamps(folder: Path, beside: Sequence[str]) -> _Stamps:
    """Return what tells of each file below a folder that it was changed, by its path in the folder; links are not followed."""
    found: _Stamps = {}
    for place, folders, files in os.walk(folder, onerror=_raise):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in [*files, *links]:
            path = Path(place) / name
            relative = path.relative_to(folder).as_posix()
            if not any(fnmatch(relative, pattern) for pattern in beside):
                status = path.lstat()
                found[relative] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return found


def _raise(error: OSError) -> None:
    raise error


def seal(folder: Path, source: Mapping[str, Any] | None = None, beside: Sequence[str] = (), name: str = "") -> None:
    """Write the manifest of a folder whose content is known to be right.

    Parameters
    ----------
    source
        What it was made from; JSON.
    beside
        Patterns of paths that may lie in the folder and are no members.
    name
        Name that the folder will have.
    """
    members = {path: [stamp[1], checksum(folder / path)] for path, stamp in sorted(_stamps(folder, [*beside, MANIFEST]).items())}
    content = {"name": name or folder.name, "source": dict(source or {}), "members": members}
    write_text(folder / MANIFEST, json.dumps(content, indent=1, sort_keys=True) + "\n")


def unfit(folder: Path, source: Mapping[str, Any] | None = None, beside: Sequence[str] = ()) -> str:
    """Say in words why a kept folder cannot be used; empty: it is what its manifest says, made from ``source``."""
    try:
        found = _stamps(folder, beside)
        if strange := next((path for path, stamp in found.items() if not stat.S_ISREG(stamp[0])), ""):
            return f"has {strange}, which is no file"
        key = f"{folder.resolve()}\n{json.dumps(source, sort_keys=True)}"
        if _seen.get(key) == found:
            return ""
        if MANIFEST not in found:
            return "has no manifest"
        manifest = json.loads((folder / MANIFEST).read_bytes())
        members = {str(path): (int(size), str(digest)) for path, (size, digest) in manifest["members"].items()}
        if manifest["name"] != folder.name or (source is not None and manifest["source"] != dict(source)):
            return "was made from something else"
        for path in sorted({*members, *found} - {MANIFEST}):
            if path not in members:
                return f"has {path}, which does not belong to it"
            if path not in found:
                return f"lacks {path}"
            if found[path][1] != members[path][0] or checksum(folder / path) != members[path][1]:
                return f"is damaged: {path} is not what was kept"
    except FileNotFoundError:
        return "is not there"
    except NotADirectoryError:
        return "is no folder"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return "has a damaged manifest"
    _seen[key] = found
    return ""


def check_kept(folder: Path, what: str) -> None:
    """Raise a `UserError` if a folder with a manifest was changed since it was looked at; costs next to nothing if not."""
    if (folder / MANIFEST).exists() and (reason := unfit(folder)):
        raise UserError(f"{what} {reason}. Nothing was written with it.", where=str(folder), remedy="Run again: it is made again.")


def keep(
    target: Path,
    make: Callable[[Path], None],
    what: str,
    *,
    source: Mapping[str, Any] | None = None,
    beside: Sequence[str] = (),
    tell: Callable[[str], None] = say,
) -> Path:
    """Return a kept folder that fits its manifest; it is made if it is not there, and made again, which is said, if it does not fit.

    Parameters
    ----------
    target
        The folder. It appears whole or not at all.
    make
        Fills the empty folder that it is given.
    what
        Name in messages.
    source, beside
        As in `seal`.
    tell
        Called with a line when something is made again.

    Raises
    ------
    UserError
        If it cannot be written; and what ``make`` raises. What was there before stays until the new one is whole.
    """
    reason = unfit(target, source, beside)
    if not reason:
        return target
    if target.is_symlink() or target.is_file() or (target.is_dir() and _holds_something(target, beside)):
        tell(f"{what}: what the cache holds {reason}; it is made again")
    try:
        with disk_errors(target), scratch(target.parent) as room:
            made = room / "made"
            made.mkdir()
            if os.path.lexists(target) and not target.is_dir():  # no folder: what is being made may keep something beside its members there
                target.rename(room / "aside")
            make(made)
            seal(made, source, name=target.name)
            if unfit(target, source, beside):  # otherwise another process was faster
                if os.path.lexists(target):
                    target.rename(room / "old")
                try:
                    made.rename(target)
                except OSError:
                    if unfit(target, source, beside):
                        raise
    except OSError as error:
        raise UserError(
            f"{what} cannot be written: {error.strerror or error}.",
            where=str(target),
            remedy="Make room (a few times its size), or move the cache with EMOSYNTH_CACHE.",
        ) from None
    return target


def _holds_something(folder: Path, beside: Sequence[str]) -> bool:
    try:
        return bool(_stamps(folder, beside))
    except OSError:
        return True


# --- work in progress -----------------------------------------------------------------------------------


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield a new folder that goes when the block ends; if the process is killed, `sweep` takes it away."""
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=MAKING, dir=parent))
            with contextlib.suppress(FileNotFoundError):
                held = os.open(folder, os.O_RDONLY)
                if _lock(held) and folder.is_dir():
                    break
                os.close(held)  # a sweeper came between
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _lock(handle: int) -> bool:
    """Lock an open folder if nobody has; the system frees it when the process ends, however it ends."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sweep(cache: Path) -> int:
    """Take away what killed processes left half made in a cache, and return how many folders; what a living one makes stays."""
    gone = 0
    for folder in [] if fcntl is None else [path for depth in ("", "*/", "*/*/") for path in cache.glob(f"{depth}{MAKING}*")]:
        with contextlib.suppress(OSError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if _lock(held):
                    shutil.rmtree(folder, ignore_errors=True)
                    gone += 1
            finally:
                os.close(held)
    return gone


# --- single files ---------------------------------------------------------------------------------------


def sound_zip(path: Path) -> bool:
    """Tell whether a file is a zip archive each member of which fits its checksum; what torch saves is one, and torch itself does not look."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):  # a pipe would never open
            return False
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        return False


def set_aside(path: Path, what: str, reason: str, tell: Callable[[str], None] = say) -> None:
    """Move a file out of the way under ``<name>.damaged``, which is said."""
    aside = path.with_name(path.name + ".damaged")
    with disk_errors(path):
        if aside.is_dir():
            shutil.rmtree(aside)
        path.replace(aside)
    tell(f"{what} {reason}; it is set aside as {aside.name}")
