"""Bytes of a file as text: encoding, NUL characters, and what holds no rows at all. What is found in an own file is said."""

from __future__ import annotations

import codecs
import io
import re
import string
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from emosynth.corpora.encodings import proposal
from emosynth.errors import UserError

READ = "CSV, TSV, JSON, JSONL, Parquet or Excel (.xlsx)"
NO_ROWS = ("The file has no rows.", "Give a file with a header and at least a few rows of each class.")

_SAVE = f"Open it in the program that wrote it and save its table as {READ}."
UNPACK = "Unpack it and give the file within; gzip is read as it is."
_AGAIN = "Download the file itself again: "
AFRESH = "Fetch or write it again."
MOST_BYTES, MOST_ROWS, MOST_VALUES = 1 << 30, 5_000_000, 50_000_000
"""What is read of one file, unpacked: all of it stands in memory, several times over. Values are cells, and what stands in them."""
_MOST_RATIO, _UNSUSPECTED = 100, 64 << 20
"""Times its packed size that a file may unpack to, and bytes up to which nobody asks. Text packs to a third, or a tenth."""
_PART = "Give a part of it: a few thousand rows of each class are more than a run takes."
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xd0\xcf\x11\xe0", "an old Excel file (.xls) or an old Word file (.doc)", _SAVE),
    (rb"%pdf", "a PDF", "Ask its author for the table, or copy it into a spreadsheet and save it as CSV."),
    (rb"\{\\rtf", "a formatted text (RTF)", _SAVE),
    (rb"bzh[1-9]|\xfd7zxz|\x28\xb5\x2f\xfd|7z\xbc\xaf|rar!", "a packed file (bzip2, xz, zstd, 7z or RAR)", UNPACK),
    (rb"sqlite format", "a database (SQLite)", "Export its table as CSV."),
    (rb"\x80[\x02-\x05]|\x93numpy|\x89hdf|rdx|fea1|\$fl2|<stata_dta|[lnopq-u][\x01\x02]\x01\0|obj\x01|orc", "a binary file of a program (pickle, NumPy, HDF5, ORC, R, SPSS, Stata)", _SAVE),
    (rb"\x89png|\xff\xd8\xff|gif8", "a picture", f"Give the table as text: {READ}."),
    (rb"version https://git-lfs", "a pointer of Git LFS; the content was not fetched", "In its repository run: git lfs install && git lfs pull"),
    (rb"(\.\./)*(\.git)?/annex/objects/", "a pointer of git-annex; the content was not fetched", "In its repository run: git annex get FILE"),
    (rb"<!doctype html|<html|<head|<body|<table|<script|<!--",
     "an HTML page", f"{_AGAIN}on GitHub by “Raw”, elsewhere after signing in; a table that a program saved so, open in a spreadsheet and save it as CSV."),
    (rb"<\?xml|<[a-z]+:?[a-z]*( [^>]*)?>\s*<", "an XML file", _SAVE),
    (rb"\{\s*\"(error|message|detail)\"\s*:\s*\"[^\"]*\"[^\[{]{0,300}\}$|(http/\d\S* )?(40[0-9]|50[0-9])\b[^\n,;\t]{0,80}$|(entry |page |file )?not found\.?$|access denied\.?$|unauthorized\.?$|forbidden\.?$",
     "a server's message that the file could not be had", f"{_AGAIN}check its address, and sign in if it asks for that."),
)  # fmt: skip
"""First bytes (lower case, without white space and marks before them), what begins so, and what to do about it."""
_ZIPPED = {"word/": "a Word file", "ppt/": "a PowerPoint file", "xl/": "a binary Excel file (.xlsb)", "content.xml": "an OpenDocument file",
           "Index/Document.iwa": "a Numbers or Pages file"}  # fmt: skip

BESIDE = re.compile(r"(^|/)(__MACOSX|\.|readme|licen)", re.IGNORECASE)
"""Members of an archive that are no data: what explains them, and what a system adds."""
# UTF-32 before UTF-16, whose mark it begins with
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_MANY_NULS = 0.1
"""Share of NUL bytes from which a file is no UTF-8 with stray NULs."""

# What Western European text holds beside ASCII. Other code pages put other letters there (ł is ³, ş is þ, р is ð), the Macintosh's é is Ž.
_WESTERN = set("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿŒœ€‘’“”–—…•™©®°«»¿¡£§´·½¼¾ªº\xa0‚„¢")
_OUT_OF_PLACE = re.compile("[a-zà-ÿ][À-ÞŒ]|[^\\W\\d_][‚„¿¡¼½¾][^\\W\\d_]")
_BEYOND = re.compile("[^\x00-\x7f]")
_CONTROLS = re.compile("[\x01-\x08\x0e-\x1a\x1c-\x1f]")
EMPTY = "The file is empty."
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_MOJIBAKE = re.compile("â€[™œ\x9d˜“”¦]|Ã[©¨¡¤¶¼±§ª]|Â[ £©°»«]")


@dataclass
class Notes:
    """What was found in a file (what, value, parameter that overrides it), and what a person should know of it; each once."""

    guesses: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def found(self, what: str, value: str, parameter: str) -> None:
        """Add a finding."""
        if (what, value, parameter) not in self.guesses:
            self.guesses.append((what, value, parameter))

    def warn(self, line: str) -> None:
        """Add a warning."""
        if line not in self.warnings:
            self.warnings.append(line)


def some(items: Iterable[object], limit: int = 5) -> str:
    """Return the first items as a list in words."""
    items = list(items)
    return ", ".join(map(str, items[:limit])) + (f" and {len(items) - limit} more" if len(items) > limit else "")


def fault(what: str, where: object, remedy: str) -> UserError:
    """Return the error for a file, or a place in it."""
    return UserError(what, where=str(where), remedy=remedy)


def broken(what: str, path: Path, line: int, remedy: str = "Fetch the file again from its source.") -> UserError:
    """Return the error for one line of a file."""
    return fault(what, f"{path}: line {line}", remedy)


def bounded(size: int, path: Path, packed: int | None = None, rows: int = 0, values: int = 0) -> None:
    """Refuse what would not fit into memory.

    Parameters
    ----------
    size, packed
        Bytes of the content, and of the file that it is packed in.

    Raises
    ------
    UserError
        If there are too many bytes, rows or values, or far more of them than packed text unpacks to.
    """
    if packed is not None and size > max(_UNSUSPECTED, _MOST_RATIO * packed):
        raise fault(
            f"The file unpacks to more than {_MOST_RATIO} times its size; text does not.", path, "Do not trust it, or unpack it and look."
        )
    if size > MOST_BYTES:
        raise fault(f"The file holds more than {MOST_BYTES >> 30} GiB.", path, _PART)
    if rows > MOST_ROWS:
        raise fault(f"The file holds {rows:,} rows; at most {MOST_ROWS:,} are read.", path, _PART)
    if values > MOST_VALUES:
        raise fault(f"The file holds {values:,} values in its rows and columns; at most {MOST_VALUES:,} are read.", path, _PART)


def decode(raw: bytes, path: Path, encoding: str | None, notes: Notes) -> tuple[str, str]:
    """Return a file as text without byte order mark and NULs, and its encoding.

    Found are UTF-8, UTF-16 and UTF-32 with or without a mark, and Western single bytes (Windows-1252, of which Latin-1 is a part); anything
    else is an error that proposes an encoding.

    Raises
    ------
    UserError
        If the bytes are not text, or not of the encoding that was named.
    """
    given = encoding
    encoding = encoding or next((name for mark, name in _MARKS if raw.startswith(mark)), None) or _unmarked(raw, path, notes)
    try:
        text = raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        remedy = "Save it again, or name its encoding (encoding)." if given is None else "Correct the parameter encoding, or leave it out."
        mark = len(raw) - len(error.object)  # a codec that takes a mark away counts from behind it
        raise undecodable(raw, path, mark + error.start, encoding, remedy) from None
    except (LookupError, ValueError) as error:
        raise fault(f"No such encoding of text: {error}.", f"{path}: encoding", "Name one, e.g. utf-8 or cp1252.") from None
    if given is None and encoding != "utf-8":
        notes.found("encoding", encoding, "encoding")
    if len(controls := _CONTROLS.findall(text)) > max(2, len(text) // 100):
        line = text.count("\n", 0, text.index(controls[0])) + 1
        what = f"This is not a text file: {len(controls):,} control characters stand in it, the first (U+{ord(controls[0]):04X}) in line {line}."
        raise fault(what, path, f"Take them out, or give {READ}.")
    if "\0" in text:
        first = text.count("\n", 0, text.index("\0")) + 1
        notes.warn(f"{text.count(chr(0)):,} NUL characters were taken out (the first in line {first}); encoding says how bytes are read.")
        text = text.replace("\0", "")
    if "\ufffd" in text:
        notes.warn(f"{text.count(chr(0xFFFD)):,} replacement characters (U+FFFD) stand where letters were lost before.")
    if not text.isascii() and len(_MOJIBAKE.findall(text)) > max(2, len(text) // 5000):
        notes.warn("Letters look like UTF-8 that was read as Windows-1252 (Ã©, â€™) before the file was saved: mend it (encoding cannot).")
    if not text.strip():
        raise fault(EMPTY, path, AFRESH)
    return text, encoding


def _unmarked(raw: bytes, path: Path, notes: Notes) -> str:
    nuls, start = raw.count(0), -1
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start
    if nuls and (start >= 0 or nuls > _MANY_NULS * len(raw)):
        score, name = max((_reads_as(raw, name), name) for name in _WIDE)
        if score > 0:
            return name
        remedy = "Give a text file, Parquet or Excel; if it is text, name its encoding (encoding)."
        raise fault(f"{nuls:,} bytes are NUL and the rest is no text of UTF-16.", path, remedy)
    if start < 0:
        return "utf-8"
    high = len(raw.translate(None, bytes(range(128))))
    if sum(map(len, _MULTIBYTE.findall(raw))) >= high / 2:
        remedy = "Nearly all of it is UTF-8: mend this line, or name another encoding (encoding)."
        raise undecodable(raw, path, start, "utf-8", remedy)
    if _western(raw):
        line, letter = raw.count(b"\n", 0, start) + 1, raw[start : start + 1].decode("cp1252")
        notes.warn(f"Read as Windows-1252, since it is not UTF-8: byte 0x{raw[start]:02x} in line {line} is {letter!r} (encoding).")
        return "cp1252"
    raise undecodable(raw, path, start, "utf-8", proposal(raw))


def _reads_as(raw: bytes, name: str) -> float:
    """Return how much the bytes look like lines of text in a wide encoding: share of white space and separators; 0: they are none."""
    try:
        text = raw.decode(name)
    except UnicodeDecodeError:
        return 0.0
    sample = text[:20_000]
    odd = sum(unicodedata.category(char) in ("Cn", "Co", "Cs") or (char < " " and char not in "\t\r\n\0") for char in sample)
    if odd > len(sample) / 100 or "\0" in sample[:200] or not ("\n" in text or "\r" in text):
        return 0.0
    return sum(char in " \t\r\n,;|" for char in sample) / len(sample)


def _western(raw: bytes) -> bool:
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        return False
    strange = Counter(_BEYOND.findall(text))
    foreign = sum(count for char, count in strange.items() if char.isalpha())
    plain = len(raw) - len(raw.translate(None, string.ascii_letters.encode()))
    own = {char.lower() for char in strange if char.isalpha()}
    if own <= set("áéíóöõúüû") and own & set("õû") and own & set("öü"):
        return False  # Hungarian, whose ő and ű stand there in its own code page
    return set(strange) <= _WESTERN and foreign <= (foreign + plain) / 4 and not _OUT_OF_PLACE.search(text)


def undecodable(raw: bytes, path: Path, start: int, encoding: str, remedy: str) -> UserError:
    """Return the error for a byte that is not of the encoding."""
    name = "UTF-8" if encoding in ("utf-8", "utf-8-sig") else encoding
    return broken(f"The file is not {name}: byte 0x{raw[start]:02x} at offset {start}.", path, raw.count(b"\n", 0, start) + 1, remedy)


def cut(text: str) -> list[str]:
    """Return the lines of a text; only line feeds separate, since tweets hold other separators of Unicode."""
    found = [line.removesuffix("\r") for line in text.split("\n")]
    while found and not found[-1].strip():
        found.pop()
    return found


# --- what holds no rows ------------------------------------------------------------------------------------


def refuse(raw: bytes, path: Path) -> None:
    """Look whether bytes are of a kind that holds no rows: told by the first of them, never by the name of the file.

    Raises
    ------
    UserError
        If they are; says what it is and what to do.
    """
    head = raw[:2000].replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").strip().lower()
    for mark, what, remedy in _KINDS:
        if re.match(mark, raw[:2000].lower() if mark.startswith(rb"\x") else head):
            raise fault(f"This is {what}.", path, remedy)
    if raw[257:262] == b"ustar":
        raise fault("This is a tar archive.", path, UNPACK)
    if head.startswith(b"{") and re.search(rb'"nbformat"\s*:', raw):
        raise fault("This is a notebook.", path, "Let it write its table as CSV, and give that.")
    if raw[:2] != b"PK":
        return
    names = members(raw)
    if names is None:
        raise fault("This is a ZIP archive, and it is damaged.", path, "Fetch it again, and unpack it.")
    for start, what in _ZIPPED.items():
        if any(name.startswith(start) for name in names):
            raise fault(f"This is {what}.", path, _SAVE)
    own = [name for name in names if not BESIDE.search(name)]
    remedy = "Unpack it, and give the file within that holds texts and labels (or the folder)."
    raise fault(f"This is a ZIP archive of {len(names)} files: {some(own or names)}.", path, remedy)


def is_excel(raw: bytes) -> bool:
    """Return whether bytes are a workbook as Excel writes since 2007."""
    return raw[:2] == b"PK" and ("xl/workbook.xml" in names if (names := members(raw)) is not None else b"xl/" in raw)


def unpacked_size(raw: bytes) -> int:
    """Return how many bytes the members of an archive say that they unpack to; readers take no more than they say."""
    try:
        return sum(item.file_size for item in zipfile.ZipFile(io.BytesIO(raw)).infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return 0


def members(raw: bytes) -> list[str] | None:
    """Return the names of the files in an archive; None: it is damaged."""
    try:
        return [name for name in zipfile.ZipFile(io.BytesIO(raw)).namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return None
