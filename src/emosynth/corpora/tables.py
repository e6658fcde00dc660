"""Files of any format as tables: columns, rows of plain values, and the place of each row. The format is found from the content."""

from __future__ import annotations

import io
import json
import re
import shlex
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from emosynth.corpora.arrow import cells, read_ipc, read_parquet
from emosynth.corpora.decoding import AFRESH, NO_ROWS, Notes, bounded, broken, decode, fault, is_excel, refuse, some, unpacked_size
from emosynth.corpora.delimited import Cells, read_cells
from emosynth.corpora.foreign import refuse_text
from emosynth.corpora.headers import bare, header_below, is_header, titles_above, without_headers, without_titles
from emosynth.corpora.records import read_records
from emosynth.corpora.unpacking import read_bytes
from emosynth.errors import UserError
from emosynth.params import UserCorpus

_IDLE = {
    "text": ("sheet",), "json": ("separator", "quoting", "header", "sheet"), "excel": ("encoding", "separator", "quoting"),
    "binary": ("encoding", "separator", "quoting", "header", "sheet"),
}  # fmt: skip
"""Kind of format -> parameters that mean nothing there."""
_BINARY = {".xlsx": "Excel", ".xlsm": "Excel", ".xls": "Excel", ".parquet": "Parquet", ".feather": "Arrow", ".arrow": "Arrow"}
_OBJECTS = (".json", ".jsonl", ".ndjson")
_TWICE = "Give every column a name of its own."


class _Absent:
    """The value of a key that a record lacks."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


def absent(value: Any) -> bool:
    """Return whether a cell holds nothing: null, NaN, or no such key."""
    return value is None or value is ABSENT or (isinstance(value, float) and value != value)


@dataclass
class Table:
    """Rows of one file.

    Attributes
    ----------
    columns
        Their names; of a file without a header ``1``, ``2`` ….
    rows
        Values in the order of columns, `ABSENT` where a record lacks the key.
    places
        Number (or name) of each row, counted in ``unit``.
    names
        Column -> names of the numbers in it, where the file tells them (ClassLabel of ``datasets``).
    split
        Split that the whole file is, as its name or folder says.
    apart
        Reason -> numbers of what is no row: blank lines, headers that stand again.
    """

    columns: list[str]
    rows: Sequence[Sequence[Any]]
    places: Sequence[int | str]
    unit: str
    format: str
    encoding: str = ""
    separator: str = ""
    quoting: str = ""
    header: bool = True
    lines: int = 0
    apart: dict[str, list[int]] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    split: str | None = None
    file: str = ""

    def place(self, row: int) -> str:
        """Return what to call a row in errors."""
        return f"{self.file + ' ' if self.file else ''}{self.unit} {self.places[row]}"

    def column(self, name: str) -> list[Any]:
        """Return the cells of a column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


def read_file(path: Path, spec: UserCorpus, notes: Notes) -> Table:
    """Return a file as a table.

    Raises
    ------
    UserError
        For a file that cannot be read: damaged, empty, of an unknown format or encoding, with rows of unequal length.
    """
    table = _read(path, spec, notes)
    kind = "excel" if table.format == "excel" else "text" if table.format == "delimited" else "json" if table.encoding else "binary"
    if idle := [name for name in _IDLE[kind] if getattr(spec, name) is not None]:
        raise fault(
            f"The parameter {some(idle)} means nothing here: the file is read as {table.format}.",
            f"{path}: {idle[0]}",
            f"Leave {some(idle)} out.",
        )
    return table


def _read(path: Path, spec: UserCorpus, notes: Notes) -> Table:
    raw = read_bytes(path, notes)
    if raw[:4] == b"PAR1":
        return _arrow("a Parquet", lambda: read_parquet(raw, path), "parquet", path)
    if raw[:6] == b"ARROW1" or raw[:4] == b"\xff\xff\xff\xff":
        return _arrow("an Arrow", lambda: read_ipc(pa.py_buffer(raw), path), "arrow", path)
    if is_excel(raw):
        bounded(unpacked_size(raw), path, len(raw))
        return _excel(path, raw, spec, notes)
    refuse(raw, path)
    if spec.format in ("parquet", "excel"):
        what = f"This is no {spec.format.title()} file but text, or of a kind that is not known."
        raise fault(what, f"{path}: format", "Leave the format out (--format): it is found from the content.")
    ending, encoding = _ending(path), ""
    try:
        text, encoding = decode(raw, path, spec.encoding, notes)
        if ending in _BINARY:  # as many programs call the CSV that they write
            notes.found("format", f"text, though the file is called {ending}", "format")
        table = _of_text(path, text, spec, notes)
    except UserError as error:
        if ending not in _BINARY or spec.format is not None:
            raise
        told = f"This is no file of {_BINARY[ending]}, whatever it is called, but {'text' if encoding else 'no text either'}. {error.what}"
        raise fault(told, error.where, error.remedy if encoding else AFRESH) from None
    table.encoding, table.lines = encoding, len(re.findall("\r\n|\r|\n", text)) + (text[-1] not in "\r\n")
    return table


def _ending(path: Path) -> str:
    """Return what a file is called, in lower case and without .gz."""
    ending = path.suffix.lower()
    return Path(path.stem).suffix.lower() if ending == ".gz" else ending


def _of_text(path: Path, text: str, spec: UserCorpus, notes: Notes) -> Table:
    called = spec.format is None and _ending(path) in _OBJECTS
    if spec.format not in (None, "delimited"):
        return _json(path, text, notes)
    if spec.format is None and (called or text.lstrip()[:1] in "[{"):
        try:
            return _json(path, text, notes)
        except UserError as error:
            # a bracket may begin the first cell of a delimited file too
            if _like_json(text) if called else re.match(r"""\[\s*(\{|$)|\{\s*["']""", text.lstrip()):
                raise
            broken_json = error
        if called:
            try:
                table = _columns(path, text, spec, notes)
            except UserError:
                raise broken_json from None
            notes.found("format", f"text, though the file is called {_ending(path)}", "format")
            return table
    return _columns(path, text, spec, notes)


def _like_json(text: str) -> bool:
    """Return whether a text that is not JSON was meant as it: it begins so, or many of its lines do."""
    lines = [line.strip() for line in text[:20_000].split("\n") if line.strip()]
    return lines[0][0] in "[{" or 3 * sum(re.match(r"""[\[\]{}]|["'][^"']*["']\s*:""", line) is not None for line in lines) > len(lines)


def _columns(path: Path, text: str, spec: UserCorpus, notes: Notes) -> Table:
    if spec.format is None:
        if (table := _fasttext(text)) is not None:
            return table
        if spec.separator is None:
            refuse_text(text, path)
    text, above = (text, []) if spec.header is False else without_titles(text.rstrip("\x1a"), spec)
    cells = read_cells(text, path, spec.separator, spec.quoting, notes)
    return _headed(path, cells, "line", "delimited", spec, notes, above)


def _fasttext(text: str) -> Table | None:
    """Return lines such as ``__label__joy What a day`` as a table; None: they are none."""
    if not text.lstrip().startswith("__label__"):
        return None
    lines = {number: line for number, line in enumerate(text.split("\n"), start=1) if line.strip()}
    found = [match for line in lines.values() if (match := re.fullmatch(r"((?:__label__\S+\s+)+)(\S.*?)\s*", line))]
    labels = [[name.removeprefix("__label__") for name in match[1].split()] for match in found]
    single = all(len(names) == 1 for names in labels)
    rows = [[match[2], names[0] if single else names] for match, names in zip(found, labels, strict=True)]
    return Table(["text", "label"], rows, list(lines), "line", "fastText") if len(found) == len(lines) else None


# --- delimited -----------------------------------------------------------------------------------------------------------------------------


def _headed(path: Path, cells: Cells, unit: str, kind: str, spec: UserCorpus, notes: Notes, above: Sequence[int] = ()) -> Table:
    """Return rows below a header, if they have one, without columns that have neither name nor content; ``above`` are titles left out."""
    rows, places, header = cells.rows, cells.lines, spec.header
    if header is not False and (titles := titles_above(rows, cells.width, spec)):
        above = [*above, *places[:titles]]
        rows, places = rows[titles:], places[titles:]
    if above:
        notes.warn(f"{len(above)} {unit}s above the header are left out (header).")
    if header is None:
        header = is_header(rows, cells.width, spec)
        notes.found("header", "the first row names the columns" if header else "none: columns are 1, 2 …", "header")
    names, apart = [str(number + 1) for number in range(cells.width)], dict[str, list[int]]()
    if above:
        apart["above the header"] = list(above)
    if blank := [line for line in cells.blank if line not in above]:
        apart["blank"] = blank
    if header:
        names = [bare(name).strip('"').strip() for name in rows[0]]
        rows, places, more = without_headers(names, rows[1:], places[1:], unit, notes)
        apart |= more
    kept: list[int] = []
    nameless: list[int] = []
    for column, name in enumerate(names):
        if not name and any(column < len(row) and bare(row[column]) for row in rows):
            name = names[column] = f"column {column + 1}"
        (kept if name else nameless).append(column)
    if nameless:
        notes.found("empty columns", f"{len(nameless)} without name and content are passed over", "header")
    names = [names[column] for column in kept]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise broken(f"Columns that occur twice: {some(twice)}.", path, cells.lines[0], _TWICE)
    if kept != list(range(max(map(len, rows), default=0))):
        rows = [[row[column] for column in kept] for row in rows]
    return Table(names, rows, places, unit, kind, "", cells.separator, cells.quoting, header, apart=apart)


# --- JSON ------------------------------------------------------------------------------------------------------------------------------------


def _json(path: Path, text: str, notes: Notes) -> Table:
    return _records(path, *read_records(path, text, notes))


def _records(path: Path, records: Sequence[Any], places: Iterable[int], unit: str, kind: str) -> Table:
    places = list(places)
    for record, place in zip(records, places, strict=True):
        if not isinstance(record, dict):
            raise fault(
                f"Not a JSON object but {type(record).__name__}.",
                f"{path}: {unit} {place}",
                'Write one JSON object a row, such as {"text": "…", "label": "…"}; lists are read if all are pairs of text and label, or the first names the columns.',
            )
    columns = list(dict.fromkeys(key for record in records for key in record))
    bounded(0, path, rows=len(records), values=len(records) * len(columns))  # each record may have keys of its own
    return Table(columns, [[record.get(column, ABSENT) for column in columns] for record in records], places, unit, kind)


# --- Parquet, Arrow, Excel -------------------------------------------------------------------------------------------------------------------


def _arrow(article: str, read: Any, kind: str, path: Path) -> Table:
    try:
        return arrow_table(read(), kind, path)
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        raise fault(f"Not {article} file that can be read: {error}", path, "Write it again as Parquet.") from None


def arrow_table(table: pa.Table, kind: str, path: Path) -> Table:
    """Return an Arrow table, with the names of ClassLabel columns from its metadata."""
    columns = [str(name) for name in table.column_names]
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise fault(f"Columns that occur twice: {some(twice)}.", path, _TWICE)
    bounded(0, path, rows=table.num_rows, values=table.num_rows * len(columns))
    rows = list(zip(*(cells(table, name, path) for name in columns), strict=True))
    try:
        names = class_names(json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, ValueError, TypeError, AttributeError):
        names = {}
    return Table(columns, rows, range(1, len(rows) + 1), "row", kind, names=names)


def class_names(features: dict[Any, Any]) -> dict[str, list[str]]:
    """Return the names of columns that are a ClassLabel, or lists of one, as ``datasets`` writes features."""
    found = {}
    for column, feature in features.items():
        while isinstance(feature, dict) and "feature" in feature:
            feature = feature["feature"]
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        if (
            isinstance(feature, dict)
            and feature.get("_type") == "ClassLabel"
            and isinstance(feature.get("names"), list)
            and feature["names"]
        ):
            found[str(column)] = [str(name) for name in feature["names"]]
    return found


def _rows(sheet: Any, path: Path) -> Iterator[list[Any]]:
    """Yield the rows of a sheet; one cell far to the right makes a row of thousands."""
    values = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        values += len(row)
        bounded(0, path, rows=number, values=values)
        yield list(row)


def _hidden(raw: bytes, part: str) -> list[bytes]:
    """Return the numbers of the rows that a sheet hides, which openpyxl does not tell while it reads row by row."""
    with zipfile.ZipFile(io.BytesIO(raw)) as book:
        rows = re.findall(rb"<row\b[^>]*>", book.read(part.lstrip("/")))
    return [found[1] for row in rows if re.search(rb'\bhidden="(1|true)"', row) and (found := re.search(rb'\br="(\d+)"', row))]


def _excel(path: Path, raw: bytes, spec: UserCorpus, notes: Notes) -> Table:
    from openpyxl import load_workbook

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which rows do not depend on
            book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
            sheets = {sheet.title: list(_rows(sheet, path)) for sheet in book.worksheets}
            hidden = [sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"]
            parts = {sheet.title: sheet._worksheet_path for sheet in book.worksheets}
    except UserError:
        raise
    except Exception as error:  # a hostile file may fail anywhere in the reader
        raise fault(
            f"Not an Excel file that can be read: {type(error).__name__}: {error}", path, "Save it again as .xlsx or CSV."
        ) from None
    full = [name for name, rows in sheets.items() if any(cell is not None for row in rows for cell in row)]
    if spec.sheet is not None and spec.sheet not in sheets:
        raise fault(
            f"There is no sheet {spec.sheet}; there are {some(sheets)}.",
            path,
            f"Correct it: --sheet {shlex.quote(str(next(iter(sheets))))}",
        )
    tables = [name for name in full if name not in hidden and any(sum(map(bool, map(bare, row))) > 1 for row in sheets[name])]
    if spec.sheet is None and len(full) > len(tables) == 1:
        notes.warn(
            f"Sheets that are hidden or hold one column are not read: {some(name for name in full if name not in tables)} (sheet names one)."
        )
        full = tables
    if spec.sheet is None and len(full) != 1:
        remedy = (
            f"Name the one to read (sheet): --sheet {shlex.quote(max(full, key=lambda name: len(sheets[name])))}" if full else NO_ROWS[1]
        )
        raise fault(f"Several sheets have rows: {some(full)}." if full else NO_ROWS[0], path, remedy)
    name = spec.sheet or full[0]
    filled = {number: row for number, row in enumerate(sheets[name], start=1) if any(map(bare, row))}
    if not filled:
        raise fault("The sheet has no rows.", f"{path}: {name}", "Name another one (sheet): --sheet NAME")
    titles: list[int] = []
    if spec.header is not False and (above := header_below(list(filled.values()), spec)):
        titles = list(filled)[:above]
        filled = dict(list(filled.items())[above:])
    blank = [number for number in range(1, max(filled)) if not any(map(bare, sheets[name][number - 1]))]
    width = max(map(len, filled.values()))
    bounded(0, path, values=len(filled) * width)
    unseen = [number for number in map(int, _hidden(raw, parts[name])) if number in filled]
    if unseen:
        notes.warn(f"{len(unseen):,} rows are hidden in the sheet (filtered), and are read too: rows {some(unseen)}.")
    rows = [[*row, *[None] * (width - len(row))] for row in filled.values()]
    table = _headed(path, Cells(rows, list(filled), width, blank), "row", "excel", spec, notes, titles)
    notes.found("sheet", name, "sheet")
    return table
