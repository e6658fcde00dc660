"""Cells of a delimited file: separator and quoting found from the content, so that no row is swallowed.

A quote that is opened and not meant as one swallows all lines up to the next. So the file is read with quotes as CSV has them (RFC 4180,
strictly) and with quotes as mere characters, and where both fit, what stands in the lines decides.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emosynth.corpora.decoding import Notes
from emosynth.corpora.files import broken
from emosynth.corpora.schema import some
from emosynth.errors import UserError

SEPARATORS = ("\t", ";", "|", ",")
SHOWN = {"\t": "tab", " ": "space"}
_LINES = re.compile("\r\n|\r|\n")
_SEP_LINE = re.compile(r'"?sep=(\t|[^\r\n"])"?(\r\n|\r|\n)', re.IGNORECASE)

csv.field_size_limit(2**31 - 1)  # a long text is no fault of quoting


@dataclass(frozen=True)
class Cells:
    """Rows of cells, the header among them.

    Attributes
    ----------
    rows, lines
        Cells of each row that is not blank, and the number of its first line.
    width
        Cells that every row has; what more a row has is empty.
    blank
        Lines of rows without any content.
    """

    rows: list[list[str]]
    lines: list[int]
    width: int
    blank: list[int]
    separator: str
    quoting: str


class _Fault(Exception):
    """The file does not fit a separator and a quoting; the line tells where."""

    def __init__(self, line: int, what: str, remedy: str, fit: float = 0.0) -> None:
        super().__init__(what)
        self.line, self.what, self.remedy, self.fit = line, what, remedy, fit


def read_cells(text: str, path: Path, separator: str | None, quoting: str | None, notes: Notes) -> Cells:
    """Return the cells of a delimited file.

    Parameters
    ----------
    separator, quoting
        As in `emosynth.params.UserCorpus`; None: found, and said in ``notes``.

    Raises
    ------
    UserError
        If rows differ in their number of cells, quotes do not fit, or several separators fit equally well; names the line.
    """
    given = separator
    first = 0
    if found := _SEP_LINE.match(text):
        text, first, separator = text[found.end() :], 1, separator or found[1]
        notes.found("separator", f"{SHOWN.get(found[1], found[1])!r}, as the first line says", "separator")
    if not text.strip():
        raise UserError("The file has no rows.", where=str(path), remedy="Give a file with a header and at least a few rows of each class.")
    physical = _LINES.split(text)
    head = next(line for line in physical if line.strip())
    tried = [separator] if separator is not None else [sep for sep in SEPARATORS if sep in head]
    fits: list[Cells] = []
    faults: list[_Fault] = []
    for sep in tried:
        try:
            fits.append(_fit(text, physical, sep, quoting))
        except _Fault as fault:
            faults.append(fault)
    if not fits:
        if not faults:
            raise broken(
                "The first line has one cell: no tab, semicolon, bar or comma.", path, first + 1, "Name what parts its cells (separator)."
            )
        worst = max(faults, key=lambda item: item.fit)
        raise broken(worst.what, path, worst.line + first, worst.remedy)
    chosen = _chosen(fits, path)
    if given is None and not found:
        notes.found("separator", repr(SHOWN.get(chosen.separator, chosen.separator)), "separator")
    if quoting is None and chosen.quoting != "double":
        how = {"none": "quotes are characters", "backslash": "quotes inside quoted cells stand after a backslash", "single": "cells in '…'"}
        notes.found("quoting", f"{chosen.quoting} ({how[chosen.quoting]})", "quoting")
    lines = [line + first for line in chosen.lines]
    return Cells(chosen.rows, lines, chosen.width, [line + first for line in chosen.blank], chosen.separator, chosen.quoting)


def _chosen(fits: list[Cells], path: Path) -> Cells:
    if len(fits) == 1:
        return fits[0]
    good = [fit for fit in fits if _classes_column(fit.rows[1:], fit.width) is not None]
    if len(good) != 1:
        names = some([SHOWN.get(fit.separator, fit.separator) for fit in good or fits])
        raise broken(f"Several separators fit every line: {names}.", path, 1, "Name the one that parts the cells (separator).")
    return good[0]


def _classes_column(rows: Sequence[Sequence[str]], width: int) -> int | None:
    """Return the column that looks most like one of classes: short cells, fewest different ones; None: no column does."""
    best: tuple[int, float, int] | None = None
    for column in range(width):
        cells = [row[column].strip() for row in rows if row[column].strip()]
        if len(cells) < max(1, len(rows) // 2):
            continue
        different, mean = len(set(cells)), sum(map(len, cells)) / len(cells)
        if mean <= 40 and (different <= len(cells) / 2 or len(cells) < 4):
            best = min(best or (different, mean, column), (different, mean, column))
    return None if best is None else best[2]


def _fit(text: str, physical: list[str], sep: str, quoting: str | None) -> Cells:
    """Return the cells for one separator; raises `_Fault` with how many lines fit."""
    if quoting is not None:
        return _none(physical, text, sep, trusted=True) if quoting == "none" else _quoted(text, physical, sep, quoting, trusted=True)
    if '"' not in text:
        single = re.search(f"(^|{re.escape(sep)})'[^'\r\n]*'({re.escape(sep)}|$)", physical[0] + "\n" + "\n".join(physical[1:3]), re.M)
        for try_single in (True, False) if single else (False,):
            try:
                return _quoted(text, physical, sep, "single") if try_single else _none(physical, text, sep, plain=True)
            except _Fault:
                if not try_single:
                    raise
    try:
        return _quoted(text, physical, sep, "double")
    except _Fault as fault:
        last = fault
    if '\\"' in text:
        try:
            return _quoted(text, physical, sep, "backslash")
        except _Fault:
            pass
    try:
        return _none(physical, text, sep)
    except _Fault as other:
        last.fit = max(last.fit, other.fit)
    raise last


def _quoted(text: str, physical: list[str], sep: str, quoting: str, trusted: bool = False) -> Cells:
    if len(sep) != 1:
        raise _Fault(1, f"The separator {sep!r} has several characters, which quoted cells cannot have.", "Set quoting: none.")
    mark = "'" if quoting == "single" else '"'
    if quoting == "backslash":
        # not csv's own escapes: they would take the backslash of every \n away
        text = re.sub(r'\\(["\\])', lambda found: '""' if found[1] == '"' else "\\", text)
    rows: list[list[str]] = []
    lines: list[int] = []
    ends: list[int] = []
    last: csv.Error | None = None
    # spaces before an opening quote, then none, then spaces after a closing one
    before_it, after_it = f"{sep} {mark}" in text, f"{mark} {sep}" in text
    for spaced, closing in [*([(True, False)] if before_it else []), (False, False), *([(True, True)] if after_it else [])]:
        source = re.sub(f"(?<={mark}) +(?={re.escape(sep)}|\r|\n)", "", text) if closing else text
        reader = csv.reader(io.StringIO(source, newline=""), delimiter=sep, quotechar=mark, strict=True, skipinitialspace=spaced)
        rows, lines, ends, last, before = [], [], [], None, 0
        try:
            for cells in reader:
                rows.append(cells)
                lines.append(before + 1)
                before = reader.line_num
                ends.append(before)
        except csv.Error as error:
            last, at = error, reader.line_num
            continue
        break
    if last is not None:
        what = f"The file cannot be read as columns: {last}."
        raise _Fault(
            at, what, "Check the quotes around texts near this line; quoting: none takes quotes as characters.", at / len(physical)
        )
    made = _even(rows, lines, sep, quoting)
    spans = [(lines[place], ends[place], rows[place]) for place in range(len(rows)) if ends[place] > lines[place]]
    if spans and not trusted:
        _nothing_swallowed(made, spans, physical)
    return made


def _none(physical: list[str], text: str, sep: str, plain: bool = False, trusted: bool = False) -> Cells:
    # a lone carriage return inside a file of line feeds is white space of a text
    found = physical if plain and "\r" not in text else text.replace("\r\n", "\n").split("\n") if "\n" in text else physical
    rows = [line.split(sep) for line in found]
    if not plain:
        if not trusted:
            _nothing_cut(rows)
        rows = _unwrapped(rows)
    if rows[-1] == [""]:  # after the last end of line
        rows.pop()
    return _even(rows, list(range(1, len(rows) + 1)), sep, "double" if plain else "none")


def _closed(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == '"' == cell[-1] and '"' not in cell[1:-1].replace('""', "")


def _nothing_cut(rows: list[list[str]]) -> None:
    """Look whether lines are parts of longer rows: many of those with an open quote lack a class where lines without quotes have one.

    Raises
    ------
    _Fault
        If they do.
    """
    width = max(map(len, rows))

    def torn(row: list[str]) -> bool:
        return any(not _closed(cell.strip()) for cell in row if cell.strip().startswith('"') or cell.strip().endswith('"'))

    clean = [[cell.strip().strip('"') for cell in row] for row in rows[1:] if len(row) == width and not torn(row)]
    column = _classes_column(clean, width)
    if column is None:
        return
    known = {row[column] for row in clean}
    open_, strange = 0, []
    for line, row in enumerate(rows, start=1):
        if len(row) == width and torn(row):
            open_ += 1
            if row[column].strip().strip('"') not in known:
                strange.append(line)
    if len(strange) > open_ * 0.3:
        what = f"Quotes fit neither as CSV has them nor as mere characters: line {strange[0]} looks like a part of a row."
        raise _Fault(strange[0], what, "Mend the quotes near this line; quoting: none takes every line as a row.", 0.9)


def _unwrapped(rows: list[list[str]]) -> list[list[str]]:
    """Take the quotes of CSV off cells that surely have them: those of a column that are opened are closed too, or quotes inside are doubled."""
    opened, shut, full = Counter[int](), Counter[int](), Counter[int]()
    for row in rows:
        for column, cell in enumerate(row):
            full[column] += 1
            if '"' in cell and cell.lstrip().startswith('"'):
                opened[column] += 1
                shut[column] += _closed(cell.strip())
    surely = {column for column in opened if shut[column] == opened[column] or shut[column] > full[column] / 2}
    out = []
    for row in rows:
        if any('"' in cell for cell in row):
            bare = [cell.strip() for cell in row]
            wrapped = [_closed(cell) and (column in surely or '""' in cell[1:-1]) for column, cell in enumerate(bare)]
            row = [one[1:-1].replace('""', '"') if is_wrapped else cell for cell, one, is_wrapped in zip(row, bare, wrapped, strict=True)]
        out.append(row)
    return out


def _even(rows: list[list[str]], lines: list[int], sep: str, quoting: str) -> Cells:
    """Return rows that all have the same number of cells but for empty ones at the end; blank rows apart."""
    kept, places, blank, trimmed = [], [], [], []
    for row, line in zip(rows, lines, strict=True):
        size = len(row)
        while size and not row[size - 1].strip():
            size -= 1
        if size:
            kept.append(row)
            places.append(line)
            trimmed.append(size)
        else:
            blank.append(line)
    if not kept:
        raise _Fault(1, "The file has no rows.", "Give a file with a header and at least a few rows of each class.")
    sizes = Counter(map(len, kept))
    usual = min(sizes, key=lambda size: (-sizes[size], size))
    fit = sizes[usual] / len(kept) if usual > 1 else 0.0
    width = max(trimmed)
    if width < 2 and usual < 2:
        raise _Fault(1, f"Rows have one cell: {SHOWN.get(sep, sep)!r} does not part them.", "Name what parts the cells (separator).")
    width = max(width, 2)
    if min(sizes) < width:
        first = len(kept[0])
        odd = next((place for place in range(len(kept)) if trimmed[place] > first or len(kept[place]) < min(first, width)), 0)
        what = f"The row has {len(kept[odd])} cells, the header {first}." if odd else f"The first row has {first} cells, others {usual}."
        remedy = "Put texts that hold the separator in double quotes; separator and quoting say how the file is read."
        raise _Fault(places[odd], what, remedy, fit * 0.9)
    return Cells(kept, places, width, blank, sep, quoting)


def _nothing_swallowed(made: Cells, spans: list[tuple[int, int, list[str]]], physical: list[str]) -> None:
    """Look whether cells of several lines hold whole rows: lines with a class where other rows have it, which is not that of this row.

    Raises
    ------
    _Fault
        If one does.
    """
    inside = {line for line, _, _ in spans}
    clean = [row for row, line in zip(made.rows[1:], made.lines[1:], strict=True) if line not in inside]
    column = _classes_column(clean, made.width)
    if column is None:
        return
    known = {row[column].strip() for row in clean} - {""}
    for start, end, row in spans:
        long = [place for place, cell in enumerate(row) if "\n" in cell or "\r" in cell]
        if not long:
            continue
        # the row's own class stands in its first line if it comes before the long cell, else in its last
        first, last = start + (column < long[0]), end - (column > long[-1])
        for line in range(first, last + 1):
            cells = physical[line - 1].split(made.separator)
            if len(cells) == made.width and cells[column].strip().strip("\"'") in known:
                what = f"A quote opens in line {start} and swallows all up to line {end}; line {line} looks like a row of its own."
                raise _Fault(start, what, "quoting: none takes quotes as characters; quoting: double takes the lines as one text.", 0.95)
