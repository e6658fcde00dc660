"""Cells of a delimited file: separator and quoting found from the content, so that no row is swallowed.

A quote that is opened and not meant as one swallows all lines up to the next. So the file is read with quotes as CSV has them (RFC 4180,
strictly) and with quotes as mere characters, and where both fit, what stands in the lines decides. (`csv.Sniffer` looks at a sample, and
would not see it.)
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosynth.corpora.decoding import NO_ROWS, Notes, bounded, broken, fault, some

SEPARATORS = ("\t", ";", "|", ",")
SHOWN = {"\t": "tab", " ": "space"}
_QUOTINGS = {"none": "quotes are characters", "backslash": "quotes inside quoted cells stand after a backslash", "single": "cells in '…'"}
_LINES = re.compile("\r\n|\r|\n")
_WHOLE = re.compile(r'[ \t]*"([^"]*(?:""[^"]*)*)"[ \t]*(?=\r\n|\r|\n|\Z)')
"""A line, or several, that is one quoted cell, as a table is that was written as CSV twice."""
_SEP_LINE = re.compile(r'"?sep=(\t|[^\r\n"])"?(\r\n|\r|\n)', re.IGNORECASE)

csv.field_size_limit(2**31 - 1)  # a long text is no fault of quoting


@dataclass
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
    mixed
        Whether lone carriage returns end rows beside line feeds.
    """

    rows: list[list[Any]]
    lines: list[int]
    width: int
    blank: list[int]
    separator: str = ""
    quoting: str = ""
    mixed: bool = False


class _Fault(Exception):
    """The file does not fit a separator and a quoting: line, what is wrong, remedy, and the share of lines that do fit."""

    def __init__(self, line: int, what: str, remedy: str, fit: float = 0.0) -> None:
        super().__init__(what)
        self.line, self.what, self.remedy, self.fit = line, what, remedy, fit


class _Whole(_Fault):
    """Some lines are quoted as a whole."""


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
    first, found_by = 0, "" if separator is None else "parameter"
    if found := _SEP_LINE.match(text):
        text, first, separator, found_by = text[found.end() :], 1, separator or found[1], "first line"
        notes.found("separator", f"{SHOWN.get(found[1], found[1])!r}, as the first line says", "separator")
    if not text.strip():
        raise fault(NO_ROWS[0], path, NO_ROWS[1])
    bounded(0, path, rows=max(text.count("\n"), text.count("\r")))
    for sep in (*SEPARATORS, *filter(None, [separator])):
        bounded(0, path, values=text.count(sep))
    if quoting is None and (inner := _bared(text)) is not None:
        text = inner
        notes.warn("Every line is quoted as a whole, as in a table written as CSV twice: these quotes are taken off (quoting).")
    physical = _LINES.split(text)
    head = next(line for line in physical if line.strip())
    fits: list[Cells] = []
    worst: _Fault | None = None
    for sep in [separator] if separator is not None else [sep for sep in SEPARATORS if sep in head]:
        try:
            fits.append(_fit(text, physical, sep, quoting))
        except _Fault as error:
            worst = error if worst is None or error.fit > worst.fit else worst
    if not fits:
        one = _Fault(
            1, "The first line has one cell: no tab, semicolon, bar or comma.", "Name what parts its cells (separator): --separator VALUE"
        )
        worst = worst or one
        raise broken(worst.what, path, worst.line + first, worst.remedy)
    good = fits if len(fits) == 1 else [fit for fit in fits if _classes_column(fit.rows[1:], fit.width) is not None]
    if len(good) != 1:
        names = some([SHOWN.get(fit.separator, fit.separator) for fit in good or fits])
        raise broken(
            f"Several separators fit every line: {names}.", path, 1, "Name the one that parts the cells (separator): --separator VALUE"
        )
    chosen = good[0]
    if not found_by:
        notes.found("separator", repr(SHOWN.get(chosen.separator, chosen.separator)), "separator")
    if quoting is None and chosen.quoting != "double":
        notes.found("quoting", f"{chosen.quoting} ({_QUOTINGS[chosen.quoting]})", "quoting")
    if chosen.mixed:
        notes.warn("Lines end in line feeds and in lone carriage returns: each ends a row.")
    chosen.lines, chosen.blank = [line + first for line in chosen.lines], [line + first for line in chosen.blank]
    return chosen


def _bared(text: str) -> str | None:
    """Return a text without the quotes around each line; None: not every line is one quoted cell that holds a separator, or several do."""
    if _WHOLE.match(text.lstrip()) is None:
        return None
    rest = _LINES.sub("", _WHOLE.sub("", text)).strip()
    inside = [found[1] for found in _WHOLE.finditer(text)]
    if rest or not any(all(sep in cell for cell in inside) for sep in SEPARATORS):
        return None
    return _WHOLE.sub(lambda found: found[1].replace('""', '"'), text)


def _classes_column(rows: Sequence[Sequence[str]], width: int) -> int | None:
    """Return the column that looks most like one of classes: short cells, fewest different ones; None: no column does."""
    best: tuple[int, float, int] | None = None
    for column in range(width):
        cells = [cell for row in rows if (cell := row[column].strip())]
        if len(cells) < max(1, len(rows) // 2):
            continue
        different, mean = len(set(cells)), sum(map(len, cells)) / len(cells)
        if mean <= 40 and (different <= len(cells) / 2 or len(cells) < 4):
            best = min(best or (different, mean, column), (different, mean, column))
    return None if best is None else best[2]


def _fit(text: str, physical: list[str], sep: str, quoting: str | None) -> Cells:
    """Return the cells for one separator; raises `_Fault` with how many lines fit."""
    if quoting is not None:
        made = _none(physical, text, sep, trusted=True) if quoting == "none" else _quoted(text, physical, sep, quoting, trusted=True)
        made.separator, made.quoting = sep, quoting
        return made
    ways = ["double", *["backslash"] * ('\\"' in text), "none"]
    if '"' not in text:
        head = "\n".join(physical[:3])
        single = re.search(f"(^|{re.escape(sep)})'[^'\r\n]*'({re.escape(sep)}|$)", head, re.MULTILINE)
        ways = [*["single"] * (single is not None), "plain"]
    faults: dict[str, _Fault] = {}
    for way in ways:
        try:
            made = _none(physical, text, sep, plain=way == "plain") if way in ("none", "plain") else _quoted(text, physical, sep, way)
            made.separator, made.quoting = sep, "double" if way == "plain" else way
            return made
        except _Fault as error:
            faults[way] = error
    if "plain" in faults and "\n" in text and re.search("\r(?!\n)", text):
        with contextlib.suppress(_Fault):  # a lone carriage return is white space of a text, unless it has to end rows
            ended = physical[: len(physical) - (physical[-1] == "")]
            made = _even([line.split(sep) for line in ended], range(1, len(ended) + 1), sep)
            made.separator, made.quoting, made.mixed = sep, "double", True
            return made
    last = next((one for one in faults.values() if isinstance(one, _Whole)), None) or faults.get("double") or faults["plain"]
    last.fit = max(last.fit, faults.get("none", last).fit)
    raise last


def _quoted(text: str, physical: list[str], sep: str, quoting: str, trusted: bool = False) -> Cells:
    if len(sep) != 1:
        raise _Fault(1, f"The separator {sep!r} has several characters, which quoted cells cannot have.", "Set quoting: none.")
    mark = "'" if quoting == "single" else '"'
    if quoting == "backslash":
        # not csv's own escapes: they would take the backslash of every \n away
        text = re.sub(r'\\(["\\])', lambda found: '""' if found[1] == '"' else "\\", text)
    last: _Fault | None = None
    # spaces before an opening quote, then none, then spaces after a closing one
    for spaced, closing in [*[(True, False)] * (f"{sep} {mark}" in text), (False, False), *[(True, True)] * (f"{mark} {sep}" in text)]:
        source = re.sub(f"(?<={mark}) +(?={re.escape(sep)}|\r|\n)", "", text) if closing else text
        reader = csv.reader(io.StringIO(source, newline=""), delimiter=sep, quotechar=mark, strict=True, skipinitialspace=spaced)
        rows, ends = [], [0]
        try:
            for cells in reader:
                rows.append(cells)
                ends.append(reader.line_num)
        except csv.Error as error:
            at, remedy = reader.line_num, "Check the quotes around texts near this line; quoting: none takes quotes as characters."
            last = _Fault(at, f"The file cannot be read as columns: {error}.", remedy, at / len(physical))
            continue
        made = _even(rows, [end + 1 for end in ends[:-1]], sep)
        spans = [(start + 1, end, row) for start, end, row in zip(ends, ends[1:], rows, strict=False) if end > start + 1]
        if spans and not trusted:
            _nothing_swallowed(made, sep, spans, physical)
        return made
    assert last is not None
    raise last


def _none(physical: list[str], text: str, sep: str, plain: bool = False, trusted: bool = False) -> Cells:
    # a lone carriage return inside a file of line feeds is white space of a text
    found = physical if (plain and "\r" not in text) or "\n" not in text else text.replace("\r\n", "\n").split("\n")
    rows = [line.split(sep) for line in found]
    if not plain:
        if not trusted:
            _nothing_cut(rows)
            if line := next((at for at, one in enumerate(found, start=1) if sep in one and one[:1] == '"' and _closed(one.strip())), 0):
                what = f"Line {line} is quoted as a whole, and other lines are not."
                raise _Whole(line, what, "Take the quotes around such lines off; quoting: none takes quotes as characters.", 0.95)
        rows = _unwrapped(rows)
    if rows[-1] == [""]:  # after the last end of line
        rows.pop()
    return _even(rows, range(1, len(rows) + 1), sep)


def _closed(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == '"' == cell[-1] and '"' not in cell[1:-1].replace('""', "")


def _nothing_cut(rows: list[list[str]]) -> None:
    """Raise `_Fault` if lines are parts of longer rows: many of those with an open quote lack a class where lines without quotes have one."""
    width = max(map(len, rows))
    open_ = {
        line: row
        for line, row in enumerate(rows, start=1)
        if len(row) == width and any('"' in (cell[:1], cell[-1:]) and not _closed(cell) for cell in map(str.strip, row))
    }
    whole = [[cell.strip().strip('"') for cell in row] for line, row in enumerate(rows, start=1) if len(row) == width and line not in open_]
    if len(rows[0]) == width and 1 not in open_:
        whole = whole[1:]
    column = _classes_column(whole, width)
    if column is None:
        return
    known = {row[column] for row in whole}
    strange = [line for line, row in open_.items() if row[column].strip().strip('"') not in known]
    if len(strange) > len(open_) * 0.3:
        what = f"Quotes fit neither as CSV has them nor as mere characters: line {strange[0]} looks like a part of a row."
        raise _Fault(strange[0], what, "Mend the quotes near this line; quoting: none takes every line as a row.", 0.9)


def _unwrapped(rows: list[list[str]]) -> list[list[str]]:
    """Take the quotes of CSV off cells that surely have them: those of a column that are opened are closed too, or quotes inside are doubled."""
    opened, shut, full = Counter[int](), Counter[int](), Counter[int]()
    for row in rows:
        for column, cell in enumerate(row):
            full[column] += 1
            if cell.lstrip().startswith('"'):
                opened[column] += 1
                shut[column] += _closed(cell.strip())
    surely = {column for column in opened if shut[column] == opened[column] or shut[column] > full[column] / 2}

    def bare(column: int, cell: str) -> str:
        inner = cell.strip()
        return inner[1:-1].replace('""', '"') if _closed(inner) and (column in surely or '""' in inner[1:-1]) else cell

    return [[bare(column, cell) if '"' in cell else cell for column, cell in enumerate(row)] for row in rows]


def _even(rows: Sequence[list[str]], lines: Iterable[int], sep: str) -> Cells:
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
        raise _Fault(1, *NO_ROWS)
    if len(kept) > 2 and set(map(len, kept[1:])) == {len(kept[0]) + 1} and _count([row[0] for row in kept[1:]]):
        kept[0], trimmed[0] = ["", *kept[0]], trimmed[0] + 1  # R writes the numbers of rows, and no name for them
    sizes = Counter(map(len, kept))
    usual = min(sizes, key=lambda size: (-sizes[size], size))
    width = max(trimmed)
    if width < 2 and usual < 2:
        raise _Fault(
            1,
            f"Rows have one cell: {SHOWN.get(sep, sep)!r} does not part them.",
            "Name what parts the cells (separator): --separator VALUE",
        )
    width = max(width, 2)
    if min(sizes) < width:
        first = len(kept[0])
        odd = next((place for place in range(len(kept)) if trimmed[place] > first or len(kept[place]) < min(first, width)), 0)
        what = f"The row has {len(kept[odd])} cells, the header {first}." if odd else f"The first row has {first} cells, others {usual}."
        remedy = "Put texts that hold the separator in double quotes; separator and quoting say how the file is read."
        raise _Fault(places[odd], what, remedy, 0.9 * sizes[usual] / len(kept) if usual > 1 else 0.0)
    return Cells(kept, places, width, blank)


def _count(cells: Sequence[str]) -> bool:
    """Return whether cells count rows."""
    bare = [cell.strip().strip('"') for cell in cells]
    return all(map(str.isdecimal, bare)) and all(int(one) < int(other) for one, other in itertools.pairwise(bare))


def _nothing_swallowed(made: Cells, sep: str, spans: list[tuple[int, int, list[str]]], physical: list[str]) -> None:
    """Raise `_Fault` if cells of several lines hold whole rows: lines with a class where other rows have it, which is not that of this row."""
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
        for line in range(start + (column < long[0]), end - (column > long[-1]) + 1):
            cells = physical[line - 1].split(sep)
            if len(cells) == made.width and cells[column].strip().strip("\"'") in known:
                what = f"A quote opens in line {start} and swallows all up to line {end}; line {line} looks like a row of its own."
                raise _Fault(start, what, "quoting: none takes quotes as characters; quoting: double takes the lines as one text.", 0.95)
