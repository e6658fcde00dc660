"""Files of any format as tables: columns, rows of plain values, and the place of each row. The format is found from the content."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emosynth.corpora.decoding import Notes, decode, read_bytes
from emosynth.corpora.delimited import Cells, read_cells
from emosynth.corpora.files import broken
from emosynth.corpora.headers import columns, is_header, without_headers
from emosynth.corpora.kinds import READ, is_excel, refuse
from emosynth.corpora.schema import some
from emosynth.errors import UserError
from emosynth.params import UserCorpus


class _Absent:
    """The value of a key that a record lacks."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


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
    rows: list[Sequence[Any]]
    places: list[int | str]
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


def read_file(path: Path, spec: UserCorpus, notes: Notes) -> Table:
    """Return a file as a table.

    Raises
    ------
    UserError
        For a file that cannot be read: damaged, empty, of an unknown format or encoding, with rows of unequal length.
    """
    raw = read_bytes(path, notes)
    if raw[:4] == b"PAR1":
        return _parquet(path, raw)
    if raw[:6] == b"ARROW1" or raw[:4] == b"\xff\xff\xff\xff":
        return arrow_table(_arrow(path, raw), "arrow")
    if is_excel(raw):
        return _excel(path, raw, spec, notes)
    refuse(raw, path)
    ending = path.suffix.lower()
    if spec.format in ("parquet", "excel") or ending in (".parquet", ".xlsx", ".xlsm", ".xls", ".feather", ".arrow"):
        wanted = spec.format or {".parquet": "parquet", ".feather": "feather", ".arrow": "arrow"}.get(ending, "excel")
        raise UserError(
            f"This is no file of {wanted.title()}, whatever it is called.", where=str(path),
            remedy=f"Give it its own ending (.csv, .json) if it is text, or save it again as {READ}.",
        )  # fmt: skip
    text, encoding = decode(raw, path, spec.encoding, notes)
    table = _of_text(path, text, spec, notes)
    table.encoding, table.lines = encoding, len(re.findall("\r\n|\r|\n", text)) + (text[-1] not in "\r\n")
    return table


def _of_text(path: Path, text: str, spec: UserCorpus, notes: Notes) -> Table:
    start = text.lstrip()[:1]
    ending = path.suffix.lower().removesuffix(".gz") or Path(path.stem).suffix.lower()
    asked = spec.format not in (None, "delimited") or (spec.format is None and ending in (".json", ".jsonl", ".ndjson"))
    if spec.format != "delimited" and (asked or start in "[{"):
        try:
            return _json(path, text)
        except UserError:
            # a bracket may begin the first cell of a delimited file too
            if asked or re.match(r'\[\s*(\{|$)|\{\s*"', text.lstrip()):
                raise
    cells = read_cells(text, path, spec.separator, spec.quoting, notes)
    return _delimited(path, cells, spec, notes)


# --- delimited -------------------------------------------------------------------------------------------------------------------------------


def _delimited(path: Path, cells: Cells, spec: UserCorpus, notes: Notes) -> Table:
    rows, lines = cells.rows, cells.lines
    header = spec.header
    if header is None:
        header = is_header(cells, spec)
        notes.found("header", "the first row names the columns" if header else "none: columns are 1, 2 …", "header")
    if header:
        names = [name.strip().strip('"').strip() for name in rows[0]]
        rows, lines = rows[1:], lines[1:]
    else:
        names = [str(number + 1) for number in range(cells.width)]
    rows, lines, apart = without_headers(names, rows, lines, "line", notes) if header else (rows, lines, {})
    names, kept = columns(names, rows, path, cells.lines[0], notes)
    if kept != list(range(max(map(len, cells.rows)))):
        rows = [[row[column] for column in kept] for row in rows]
    return Table(
        names, list(rows), list(lines), "line", "delimited", "", cells.separator, cells.quoting, header, apart=({"blank": cells.blank} if cells.blank else {}) | apart,
    )  # fmt: skip


# --- JSON ------------------------------------------------------------------------------------------------------------------------------------


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return made


def _loads(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def _json(path: Path, text: str) -> Table:
    """Read a JSON array of objects, one object a line, or one object that holds either rows or columns."""
    body = text.lstrip()
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if body[0] == "[" or len(lines) == 1 or (body[0] == "{" and lines[0][1].strip() == "{"):
        try:
            whole = _loads(body)
        except (ValueError, RecursionError) as error:
            at = text[: len(text) - len(body)].count("\n") + getattr(error, "lineno", 1)
            raise broken(f"Not JSON: {error}.", path, at, "Write one array of objects, or one object a line.") from None
        records = whole if isinstance(whole, list) else _records_of(whole, path)
        return _records(path, records, range(1, len(records) + 1), "item", "json")
    found: list[Any] = []
    for number, line in lines:
        try:
            found.append(_loads(line))
        except (ValueError, RecursionError) as error:
            raise broken(f"Not a JSON object: {error}", path, number, "Write one JSON object a line.") from None
    return _records(path, found, [number for number, _ in lines], "line", "jsonl")


def _records_of(whole: Any, path: Path) -> list[Any]:
    if isinstance(whole, dict):
        rows = [value for value in whole.values() if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)]
        if len(rows) == 1:
            return rows[0]
        values = list(whole.values())
        if values and all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
            return [dict(zip(whole, row, strict=True)) for row in zip(*values, strict=True)]
        if values and all(isinstance(value, dict) and list(value) == list(values[0]) for value in values) and len(values) > 1:
            return [{name: column[key] for name, column in whole.items()} for key in values[0]]
        if any(isinstance(value, str) for value in values):
            return [whole]
    raise UserError(
        f"The JSON holds no rows but one {type(whole).__name__}.",
        where=str(path),
        remedy="Write an array of objects, or one object a line.",
    )


def _records(path: Path, records: Sequence[Any], places: Iterable[int], unit: str, kind: str) -> Table:
    places = list(places)
    for record, place in zip(records, places, strict=True):
        if not isinstance(record, dict):
            raise UserError(
                f"Not a JSON object but {type(record).__name__}.", where=f"{path}: {unit} {place}", remedy="Write one JSON object a row."
            )
    columns = list(dict.fromkeys(key for record in records for key in record))
    rows = [[record.get(column, ABSENT) for column in columns] for record in records]
    return Table(columns, list(rows), list(places), unit, kind)


# --- Parquet, Arrow, Excel -------------------------------------------------------------------------------------------------------------------


def _parquet(path: Path, raw: bytes) -> Table:
    try:
        return arrow_table(pq.ParquetFile(pa.BufferReader(raw)).read(), "parquet", path)
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"Not a Parquet file that can be read: {error}", where=str(path), remedy="Write it again as Parquet.") from None


def _arrow(path: Path, raw: bytes) -> pa.Table:
    try:
        return (pa.ipc.open_file if raw[:6] == b"ARROW1" else pa.ipc.open_stream)(pa.BufferReader(raw)).read_all()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"Not an Arrow file that can be read: {error}", where=str(path), remedy="Write it again as Parquet.") from None


def arrow_table(table: pa.Table, kind: str, path: Path | None = None) -> Table:
    """Return an Arrow table, with the names of ClassLabel columns from its metadata."""
    columns = [str(name) for name in table.column_names]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise UserError(f"Columns that occur twice: {some(twice)}.", where=str(path or ""), remedy="Give every column a name of its own.")
    rows = list(zip(*(table.column(name).to_pylist() for name in columns), strict=True))
    return Table(columns, list(rows), list(range(1, len(rows) + 1)), "row", kind, names=_class_names(table.schema.metadata or {}))


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {str(column): names for column, feature in features.items() if (names := class_label_names(feature))}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def class_label_names(feature: Any) -> list[str] | None:
    """Return the names of a ClassLabel, or of a list of them, as ``datasets`` writes features."""
    while isinstance(feature, dict) and "feature" in feature:
        feature = feature["feature"]
    if isinstance(feature, list) and len(feature) == 1:
        feature = feature[0]
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return [str(name) for name in feature["names"]]
    return None


def _excel(path: Path, raw: bytes, spec: UserCorpus, notes: Notes) -> Table:
    import io

    from openpyxl import load_workbook

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which rows do not depend on
            book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
            sheets = {sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets}
    except Exception as error:  # a hostile file may fail anywhere in the reader
        raise UserError(
            f"Not an Excel file that can be read: {type(error).__name__}: {error}", where=str(path), remedy="Save it again as .xlsx or CSV."
        ) from None
    full = [name for name, rows in sheets.items() if any(cell is not None for row in rows for cell in row)]
    if spec.sheet is not None and spec.sheet not in sheets:
        raise UserError(
            f"There is no sheet {spec.sheet}; there are {some(sheets)}.", where=str(path), remedy="Correct the parameter sheet."
        )
    if spec.sheet is None and len(full) != 1:
        what = f"Several sheets have rows: {some(full)}." if full else "The file has no rows."
        raise UserError(what, where=str(path), remedy="Name the one to read (sheet).")
    name = spec.sheet or full[0]
    numbered = [(number, row) for number, row in enumerate(sheets[name], start=1)]
    filled = [(number, row) for number, row in numbered if any(cell is not None and str(cell).strip() for cell in row)]
    last = filled[-1][0] if filled else 0
    blank = [number for number, row in numbered if number < last and not any(cell is not None and str(cell).strip() for cell in row)]
    if not filled:
        raise UserError("The sheet has no rows.", where=f"{path}: {name}", remedy="Name another one (sheet).")
    width = max(len(row) for _, row in filled)
    rows = [[*row, *[None] * (width - len(row))] for _, row in filled]
    header = spec.header
    if header is None:
        shown = [["" if cell is None else str(cell) for cell in row] for row in rows]
        header = is_header(Cells(shown, [], width, [], "", ""), spec)
        notes.found("header", "the first row names the columns" if header else "none: columns are 1, 2 …", "header")
    names = ["" if cell is None else str(cell).strip() for cell in rows[0]] if header else [str(n + 1) for n in range(width)]
    first, apart = 1 if header else 0, {"blank": blank} if blank else {}
    body, places = rows[first:], [number for number, _ in filled[first:]]
    if header:
        body, places, more = without_headers(names, body, places, "row", notes)
        apart |= more
    names, kept = columns(names, body, path, filled[0][0], notes)
    notes.found("sheet", name, "sheet")
    return Table(names, [[row[column] for column in kept] for row in body], list(places), "row", "excel", header=header, apart=apart)
