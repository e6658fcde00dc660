"""A corpus of one's own: CSV, TSV, JSONL or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emosynth.corpora.files import SPLIT_NAMES, Loaded, Row, broken, distinct, json_lines, read_text
from emosynth.corpora.schema import some
from emosynth.errors import UserError
from emosynth.params import UserCorpus
from emosynth.paths import Paths
from emosynth.text import fingerprint, normalise


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                twice = sorted({name for name in header if header.count(name) > 1})
                if twice:
                    raise broken(f"Columns that occur twice: {some(twice)}.", path, 1, "Give every column a name of its own.")
                continue
            if len(cells) != len(header):
                raise broken(
                    f"The row has {len(cells)} cells, the header {len(header)}.",
                    path,
                    reader.line_num,
                    "Put texts that hold the separator in double quotes.",
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise broken(
            f"The file cannot be read as columns: {error}.", path, reader.line_num, "Check the quotes around texts near this line."
        ) from None


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        table = pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise UserError("There is no such file.", where=str(path), remedy="Correct the path; it is relative to the repository.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"Not a Parquet file: {error}", where=str(path), remedy="Write it again as Parquet.") from None
    yield from enumerate(table.to_pylist(), start=1)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    kinds: dict[str, Callable[[Path], Iterator[tuple[int, dict[str, Any]]]]] = {
        ".csv": lambda file: _csv_rows(file, ","),
        ".tsv": lambda file: _csv_rows(file, "\t"),
        ".jsonl": json_lines,
        ".ndjson": json_lines,
        ".parquet": _parquet_rows,
    }
    if path.suffix.lower() not in kinds:
        raise UserError(f"Unknown kind of file {path.suffix or path.name!r}.", where=str(path), remedy=f"Use one of {', '.join(kinds)}.")
    return kinds[path.suffix.lower()](path)


def read_user(user: UserCorpus, paths: Paths) -> Loaded:
    """Read a corpus of one's own: CSV, TSV, JSONL or Parquet with a text and a label column.

    Labels are one cell, several in one cell (``label_separator``), or a list (JSONL, Parquet). Ids come from the text,
    so that they do not depend on the order of rows.

    Raises
    ------
    UserError
        For a file that is missing, empty, of an unknown kind or encoding, lacks a column, or has rows without text or
        label, with unknown labels or splits; names the rows.
    """
    path = paths.own(user.path)
    unit = "row" if path.suffix.lower() == ".parquet" else "line"
    rows: list[Row] = []
    faults: dict[str, list[int]] = {}
    multi = user.label_separator is not None
    for number, record in _records(path):
        wanted = [user.text, user.labels, *([user.split] if user.split else [])]
        lacking = [column for column in wanted if column not in record]
        if lacking:
            raise UserError(
                f"There is no column {some(lacking)}; there are {some(record, 20)}.",
                where=f"{path}: {unit} {number}",
                remedy="Name the columns of the file in corpora.custom (text, labels, split).",
            )
        text = record[user.text]
        if _absent(text) or not normalise(str(text)):
            faults.setdefault("no text", []).append(number)
            continue
        multi |= isinstance(record[user.labels], list)
        labels = _labels(record[user.labels], user.label_separator)
        if not labels:
            faults.setdefault("no label", []).append(number)
            continue
        if user.classes is not None and not set(labels) <= set(user.classes):
            strange = sorted(set(labels) - set(user.classes))
            faults.setdefault(f"an unknown label ({some(strange)})", []).append(number)
            continue
        split = None
        if user.split:
            split = SPLIT_NAMES.get(str(record[user.split]).strip().lower())
            if split is None:
                faults.setdefault(f"an unknown split ({record[user.split]!r})", []).append(number)
                continue
        clean = normalise(str(text))
        rows.append(Row(fingerprint(clean)[:16], clean, labels, split, f"{unit} {number}"))
    if faults:
        lines = "\n    ".join(f"{what}: {unit}s {some(numbers)}" for what, numbers in list(faults.items())[:8])
        raise UserError(
            f"Some rows of the corpus cannot be used:\n    {lines}",
            where=str(path),
            remedy="Mend or drop these rows; classes allowed are listed under corpora.custom.classes, splits are train, validation, test.",
        )
    if not rows:
        raise UserError("The file has no rows.", where=str(path), remedy="Give a file with a header and at least a few rows of each class.")
    classes = list(user.classes) if user.classes is not None else sorted({label for row in rows for label in row.labels})
    # the order of equal texts is settled by their labels, not by where they stand in the file
    rows.sort(key=lambda row: (row.id, row.split or "", row.labels, row.text))
    return Loaded(distinct(rows), classes, "multi" if multi else "single", str(path), {})


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _labels(cell: Any, separator: str | None) -> tuple[str, ...]:
    if _absent(cell):
        return ()
    if isinstance(cell, list):
        parts = [str(item) for item in cell if not _absent(item)]
    elif separator is not None:
        parts = str(cell).split(separator)
    else:
        parts = [str(cell)]
    return tuple(dict.fromkeys(normalise(part) for part in parts if part.strip()))
