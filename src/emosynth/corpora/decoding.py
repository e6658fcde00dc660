"""Bytes of an own file as text: compression, encoding, NUL characters. What is found is said, with the parameter that overrides it."""

from __future__ import annotations

import codecs
import gzip
import re
import string
import unicodedata
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from emosynth.errors import UserError


@dataclass
class Notes:
    """What was found in a file (what, value, parameter that overrides it), and what a person should know of it."""

    guesses: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def found(self, what: str, value: str, parameter: str) -> None:
        """Add a finding, once."""
        if (what, value, parameter) not in self.guesses:
            self.guesses.append((what, value, parameter))

    def warn(self, line: str) -> None:
        """Add a warning, once."""
        if line not in self.warnings:
            self.warnings.append(line)


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_MANY_NULS = 0.1
"""Share of NUL bytes from which a file is no UTF-8 with stray NULs."""

# What Western European text holds beside ASCII. Other code pages put other letters there (ł is ³, ş is þ, р is ð), the Macintosh's é is Ž.
_WESTERN = set("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿŒœ€‘’“”–—…•™©®°«»¿¡£§´·½¼¾ªº\xa0‚„¢")
_OUT_OF_PLACE = re.compile("[a-zà-ÿ][À-ÞŒ]|[^\\W\\d_][‚„¿¡¼½¾][^\\W\\d_]")
_BEYOND = re.compile("[^\x00-\x7f]")
_CONTROLS = re.compile("[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_MOJIBAKE = re.compile("â€[™œ\x9d˜“”¦]|Ã[©¨¡¤¶¼±§ª]|Â[ £©°»«]")


def read_bytes(path: Path, notes: Notes) -> bytes:
    """Return the bytes of a file, unpacked if it is a gzip.

    Raises
    ------
    UserError
        If it is missing, unreadable, damaged or empty.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError("There is no such file.", where=str(path), remedy="Correct the path; it is relative to the repository.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"The file cannot be read: {error}.", where=str(path), remedy="Check its path and permissions.") from None
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"The gzip file is damaged: {error}.", where=str(path), remedy="Fetch or write it again.") from None
        notes.found("compression", "gzip", "path")
    if not raw.strip():
        raise UserError("The file is empty.", where=str(path), remedy="Fetch or write it again.")
    return raw


def decode(raw: bytes, path: Path, encoding: str | None, notes: Notes) -> tuple[str, str]:
    """Return a file as text without byte order mark and NULs, and its encoding.

    Found are UTF-8, UTF-16 and UTF-32 with or without a mark, and Western single bytes (Windows-1252, of which Latin-1 is a part); anything
    else is an error that proposes an encoding.

    Raises
    ------
    UserError
        If the bytes are not text, or not of the encoding that was named.
    """
    if encoding is not None:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            raise _undecodable(raw, path, error.start, encoding, "Correct the parameter encoding, or leave it out.") from None
        except (LookupError, ValueError) as error:
            raise UserError(
                f"No such encoding of text: {error}.", where=f"{path}: encoding", remedy="Name one, e.g. utf-8 or cp1252."
            ) from None
    else:
        encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), None) or _unmarked(raw, path, notes)
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            raise _undecodable(raw, path, error.start, encoding, "Save it again, or name its encoding (encoding).") from None
        if encoding != "utf-8":
            notes.found("encoding", encoding, "encoding")
    text = text.removeprefix("\ufeff")
    if len(_CONTROLS.findall(text)) > max(2, len(text) // 100):
        raise UserError("This is not a text file.", where=str(path), remedy="Give CSV, TSV, JSON, JSONL, Parquet or Excel.")
    if "\0" in text:
        first = text.count("\n", 0, text.index("\0")) + 1
        notes.warn(f"{text.count(chr(0)):,} NUL characters were taken out (the first in line {first}); encoding says how bytes are read.")
        text = text.replace("\0", "")
    if "\ufffd" in text:
        notes.warn(f"{text.count(chr(0xFFFD)):,} replacement characters (U+FFFD) stand where letters were lost before.")
    if not text.isascii() and len(_MOJIBAKE.findall(text)) > max(2, len(text) // 5000):
        notes.warn("Letters look like UTF-8 that was read as Windows-1252 (Ã©, â€™) before the file was saved: mend it (encoding cannot).")
    if not text.strip():
        raise UserError("The file is empty.", where=str(path), remedy="Fetch or write it again.")
    return text, encoding


def _unmarked(raw: bytes, path: Path, notes: Notes) -> str:
    nuls = raw.count(0)
    try:
        raw.decode("utf-8")
        fault = None
    except UnicodeDecodeError as error:
        fault = error
    if nuls and (fault is not None or nuls > _MANY_NULS * len(raw)):
        scored = [(score, name) for name in _WIDE if (score := _reads_as(raw, name)) > 0]
        if scored:
            return max(scored)[1]
        raise UserError(
            f"{nuls:,} bytes are NUL and the rest is no text of UTF-16.",
            where=str(path),
            remedy="Give a text file, Parquet or Excel; if it is text, name its encoding (encoding).",
        )
    if fault is None:
        return "utf-8"
    high = len(raw.translate(None, bytes(range(128))))
    if sum(map(len, _MULTIBYTE.findall(raw))) >= high / 2:
        remedy = "Nearly all of it is UTF-8: mend this line, or name another encoding (encoding)."
        raise _undecodable(raw, path, fault.start, "utf-8", remedy)
    if _western(raw):
        line = raw.count(b"\n", 0, fault.start) + 1
        letter = raw[fault.start : fault.start + 1].decode("cp1252")
        notes.warn(f"Read as Windows-1252, since it is not UTF-8: byte 0x{raw[fault.start]:02x} in line {line} is {letter!r} (encoding).")
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(raw[:200_000]).best()
    hint = f"It may be {best.encoding}: " if best is not None else ""
    remedy = f"{hint}name its encoding (encoding: …), or save it as UTF-8, e.g. iconv -f WINDOWS-1252 -t UTF-8 in > out."
    raise _undecodable(raw, path, fault.start, "utf-8", remedy)


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
    return set(strange) <= _WESTERN and foreign <= (foreign + plain) / 4 and not _OUT_OF_PLACE.search(text)


def _undecodable(raw: bytes, path: Path, start: int, encoding: str, remedy: str) -> UserError:
    name = "UTF-8" if encoding == "utf-8" else encoding
    return UserError(
        f"The file is not {name}: byte 0x{raw[start]:02x} at offset {start}.",
        where=f"{path}: line {raw.count(bytes([10]), 0, start) + 1}",
        remedy=remedy,
    )
