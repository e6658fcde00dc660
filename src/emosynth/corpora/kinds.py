"""What a file is that holds no table: told by its first bytes, never by its ending, with what to do about it."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from emosynth.corpora.schema import some
from emosynth.errors import UserError

READ = "CSV, TSV, JSON, JSONL, Parquet or Excel (.xlsx)"
_SAVE = f"Open it in the program that wrote it and save its table as {READ}."
_UNPACK = "Unpack it and give the file within; gzip is read as it is."
_AGAIN = "Download the file itself again: "
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xd0\xcf\x11\xe0", "an old Excel file (.xls) or an old Word file (.doc)", _SAVE),
    (rb"%pdf", "a PDF", "Ask its author for the table, or copy it into a spreadsheet and save it as CSV."),
    (rb"\{\\rtf", "a formatted text (RTF)", _SAVE),
    (rb"bzh[1-9]|\xfd7zxz|\x28\xb5\x2f\xfd|7z\xbc\xaf|rar!", "a packed file (bzip2, xz, zstd, 7z or RAR)", _UNPACK),
    (rb"sqlite format", "a database (SQLite)", "Export its table as CSV."),
    (rb"\x80[\x02-\x05]|\x93numpy|\x89hdf|rdx|fea1|\$fl2|<stata_dta|obj\x01|orc", "a binary file of a program (pickle, NumPy, HDF5, R, SPSS, Stata)", _SAVE),
    (rb"\x89png|\xff\xd8\xff|gif8", "a picture", f"Give the table as text: {READ}."),
    (rb"version https://git-lfs", "a pointer of Git LFS; the content was not fetched", "In its repository run: git lfs install && git lfs pull"),
    (rb"(\.\./)*(\.git)?/annex/objects/", "a pointer of git-annex; the content was not fetched", "In its repository run: git annex get FILE"),
    (rb"<!doctype html|<html|<head|<body|<table|<script|<!--",
     "an HTML page", f"{_AGAIN}on GitHub by “Raw”, elsewhere after signing in; a table that a program saved so, open in a spreadsheet and save it as CSV."),
    (rb"<\?xml|<[a-z]+:?[a-z]*( [^>]*)?>\s*<", "an XML file", _SAVE),
    (rb"\{\s*\"(error|message|detail)\"\s*:\s*\"[^\"]*\"[^\[{]{0,300}\}$|(http/\d\S* )?(40[0-9]|50[0-9])\b[^\n,;\t]{0,80}$|(entry |page |file )?not found\.?$|access denied\.?$|unauthorized\.?$|forbidden\.?$",
     "a server's message that the file could not be had", f"{_AGAIN}check its address, and sign in if it asks for that."),
)  # fmt: skip


def refuse(raw: bytes, path: Path) -> None:
    """Look whether bytes are of a kind that holds no rows.

    Raises
    ------
    UserError
        If they are; says what it is and what to do.
    """
    head = raw[:2000].replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").strip().lower()
    for mark, what, remedy in _KINDS:
        if re.match(mark, raw[:2000].lower() if mark.startswith(rb"\x") else head):
            raise UserError(f"This is {what}.", where=str(path), remedy=remedy)
    if raw[257:262] == b"ustar":
        raise UserError("This is a tar archive.", where=str(path), remedy=_UNPACK)
    if head.startswith(b"{") and re.search(rb'"nbformat"\s*:', raw):
        raise UserError("This is a notebook.", where=str(path), remedy="Let it write its table as CSV, and give that.")
    if raw[:2] == b"PK":
        _zip(raw, path)


def is_excel(raw: bytes) -> bool:
    """Return whether bytes are a workbook as Excel writes since 2007."""
    if raw[:2] != b"PK":
        return False
    try:
        return "xl/workbook.xml" in zipfile.ZipFile(io.BytesIO(raw)).namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return b"xl/" in raw


def _zip(raw: bytes, path: Path) -> None:
    try:
        names = [name for name in zipfile.ZipFile(io.BytesIO(raw)).namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise UserError("This is a ZIP archive, and it is damaged.", where=str(path), remedy="Fetch it again, and unpack it.") from None
    for mark, what in (
        ("word/", "a Word file"), ("ppt/", "a PowerPoint file"), ("xl/", "a binary Excel file (.xlsb)"), ("content.xml", "an OpenDocument file"),
        ("Index/Document.iwa", "a Numbers or Pages file"),
    ):  # fmt: skip
        if any(name.startswith(mark) for name in names):
            raise UserError(f"This is {what}.", where=str(path), remedy=_SAVE)
    own = [name for name in names if not re.search(r"(^|/)(__MACOSX|\.|readme|licen)", name, re.IGNORECASE)]
    raise UserError(
        f"This is a ZIP archive of {len(names)} files: {some(own or names)}.", where=str(path),
        remedy="Unpack it, and give the file within that holds texts and labels (or the folder).",
    )  # fmt: skip
