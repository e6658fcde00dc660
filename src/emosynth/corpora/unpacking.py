"""Bytes of an own file, unpacked: a gzip, or a ZIP archive of one file."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import stat
import zipfile
import zlib
from pathlib import Path

from emosynth.corpora.decoding import AFRESH, BESIDE, EMPTY, UNPACK, Notes, bounded, fault, is_excel, members, undecodable
from emosynth.errors import UserError

_WITHIN = (
    ".csv",
    ".tsv",
    ".txt",
    ".json",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".arrow",
    ".feather",
    ".xlsx",
    ".xlsm",
    ".data",
    ".dat",
    ".tab",
)


def dangling(path: Path) -> UserError | None:
    """Return what is wrong with a link that leads to nothing; None: it is none."""
    if not path.is_symlink() or path.exists():
        return None
    to = path.readlink()
    try:
        path.stat()
    except FileNotFoundError:
        what = f"This is a link to {to}, which is not there."
    except OSError as error:
        own = path.parent.resolve() / to == path.parent.resolve() / path.name
        loop = "to itself" if own else f"to {to}, which leads back to it"
        what = (
            f"This is a link {loop}." if error.errno == errno.ELOOP else f"This is a link to {to}, which cannot be read: {error.strerror}."
        )
    else:
        return None
    return fault(what, path, "Name the file itself, or make the link again.")


def read_bytes(path: Path, notes: Notes) -> bytes:
    """Return the bytes of a file, unpacked if it is a gzip, or a ZIP archive of one file.

    Raises
    ------
    UserError
        If it is missing, unreadable, no file (a pipe, a device), damaged, empty or too large.
    """
    if link := dangling(path):
        raise link
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise fault("This is a pipe or a device, not a file.", path, "Write what it holds to a file, and name that.")
        bounded(found.st_size, path)
        raw = path.read_bytes()
    except FileNotFoundError:
        raise fault("There is no such file.", path, "Correct the path; it is relative to the repository.") from None
    except IsADirectoryError:
        raise fault("This is a folder, not a file.", path, "Name the file itself.") from None
    except (OSError, ValueError) as error:
        raise fault(f"The file cannot be read: {error}.", path, "Check its path and permissions.") from None
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = _gunzipped(raw, path)
        except (OSError, EOFError, zlib.error) as error:
            raise fault(f"The gzip file is damaged: {error}.", path, AFRESH) from None
        if raw[:2] == b"\x1f\x8b":
            raise fault("The gzip file holds another gzip file.", path, "Unpack it once (gunzip), and give what comes out.")
        notes.found("compression", "gzip", "path")
    elif not is_excel(raw) and (held := _only_file(raw)) is not None:
        raw = _unzipped(raw, held, path)
        notes.found("compression", f"ZIP; within it {held}", "path")
    if not raw.strip():
        raise fault(EMPTY, path, AFRESH)
    return raw


def _gunzipped(raw: bytes, path: Path) -> bytes:
    parts, size, packed = [], 0, io.BytesIO(raw)
    with gzip.GzipFile(fileobj=packed) as opened:
        while part := opened.read(8 << 20):
            parts.append(part)
            size += len(part)
            bounded(size, path, packed.tell())
    return b"".join(parts)


def _only_file(raw: bytes) -> str | None:
    """Return the name of the one data file of a ZIP archive, besides what explains it; None: there are others, or it is no such archive."""
    own = [name for name in members(raw) or [] if not BESIDE.search(name)] if raw[:2] == b"PK" else []
    return own[0] if len(own) == 1 and own[0].lower().endswith(_WITHIN) else None


def _unzipped(raw: bytes, name: str, path: Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            bounded(archive.getinfo(name).file_size, path, len(raw))
            return archive.read(name)
    except RuntimeError:
        raise fault(f"The ZIP archive is locked by a password, or packed in a way that is not known: {name}.", path, UNPACK) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise fault(f"The ZIP archive is damaged: {error}.", path, AFRESH) from None


def read_text(path: Path) -> str:
    """Return a published file as text; anything but UTF-8 is an error that names the byte and its line."""
    raw = read_bytes(path, Notes())
    if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise fault("The file is in UTF-16, not UTF-8.", path, "Save it as UTF-8, e.g. iconv -f UTF-16 -t UTF-8 in > out.")
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        remedy = "Save it as UTF-8; if it comes from a Western Windows program: iconv -f WINDOWS-1252 -t UTF-8 in > out."
        raise undecodable(raw, path, error.start, "utf-8", remedy) from None
    if not text.strip():
        raise fault(EMPTY, path, AFRESH)
    return text
