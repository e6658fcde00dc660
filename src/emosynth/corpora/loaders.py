"""One small reader for each upstream layout, and one for a file of one's own.

Every reader returns plain rows with their place in the file, so that later checks can name it. Texts are normalised
(:func:`emosynth.text.normalise`) while they are read: data frames could not hold some of what raw files contain.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emosynth.catalog import CorpusSpec
from emosynth.corpora import labels as labelling
from emosynth.corpora.schema import some
from emosynth.errors import UserError
from emosynth.params import UserCorpus
from emosynth.text import fingerprint, normalise

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Row:
    """One labelled text. ``split`` is None where the corpus has none of its own; ``place`` is for errors."""

    id: str
    text: str
    labels: tuple[str, ...]
    split: str | None
    place: str


@dataclass(frozen=True)
class Loaded:
    """What a reader found."""

    rows: list[Row]
    classes: list[str]
    task: str
    where: str
    dropped: dict[str, int]


# --- reading files ----------------------------------------------------------------------------------


def read_text(path: Path) -> str:
    """Return a file as text; anything but UTF-8 is an error that names the byte and its line."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError("There is no such file.", where=str(path), remedy="Correct the path; it is relative to the repository.") from None
    except IsADirectoryError:
        raise UserError("This is a folder, not a file.", where=str(path), remedy="Name the file itself.") from None
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(
            "The file is in UTF-16, not UTF-8.", where=str(path), remedy="Save it as UTF-8, e.g. iconv -f UTF-16 -t UTF-8 in > out."
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # utf-8-sig counts from after the byte order mark
        start = error.start + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        line = raw.count(b"\n", 0, start) + 1
        raise UserError(
            f"The file is not UTF-8: byte 0x{raw[start]:02x} at offset {start}.",
            where=f"{path}: line {line}",
            remedy="Save it as UTF-8; if it comes from a Western Windows program: iconv -f WINDOWS-1252 -t UTF-8 in > out.",
        ) from None
    if not text.strip():
        raise UserError("The file is empty.", where=str(path), remedy="Fetch or write it again.")
    return text


def _lines(path: Path) -> list[str]:
    """Return the lines of a file; only line feeds separate, since tweets hold other separators of Unicode."""
    lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _broken(what: str, path: Path, line: int, remedy: str = "Fetch the file again from its source.") -> UserError:
    return UserError(what, where=f"{path}: line {line}", remedy=remedy)


def _class_of(cell: str, classes: Sequence[str], path: Path, line: int) -> str:
    try:
        number = int(cell)
        if number < 0:
            raise IndexError
        return classes[number]
    except (ValueError, IndexError):
        raise _broken(f"Unknown label {cell.strip()!r}; known are 0 to {len(classes) - 1} ({some(classes, 30)}).", path, line) from None


# --- upstream layouts -------------------------------------------------------------------------------


def read_vader(path: Path, spec: CorpusSpec) -> Loaded:
    """Read a VADER ground-truth file: id, mean valence and text, separated by tabs."""
    schemes: dict[str, tuple[Callable[[float], str | None], tuple[str, ...]]] = {
        "valence-five": (labelling.valence_five, labelling.VALENCE_FIVE),
        "valence-two": (labelling.valence_two, labelling.VALENCE_TWO),
    }
    if spec.scheme not in schemes:
        raise UserError(
            "Rated valence needs the scheme valence-five or valence-two.",
            where="data/catalog.yaml",
            remedy="Correct the scheme of the corpus.",
        )
    label_of, classes = schemes[spec.scheme]
    rows: list[Row] = []
    dropped = 0
    for number, line in enumerate(_lines(path), start=1):
        cells = line.split("\t", 2)
        if len(cells) != 3:
            raise _broken(f"Expected id, valence and text separated by tabs, found {len(cells)} columns.", path, number)
        try:
            valence = labelling.parse_valence(cells[1])
        except ValueError:
            raise _broken(f"Not a valence from -4 to 4: {cells[1]!r}.", path, number) from None
        label = label_of(valence)
        if label is None:
            dropped += 1
            continue
        # zero-filled, so that the order of ids is the order of numbers
        rows.append(Row(cells[0].strip().zfill(5), normalise(cells[2]), (label,), None, f"line {number}"))
    reasons = {f"mean valence within ±{labelling.NEUTRAL:g}, no clear opinion": dropped} if dropped else {}
    return Loaded(rows, list(classes), "single", str(path), reasons)


def read_tweeteval(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read TweetEval: for each split one file of texts and one of label numbers, line by line; names in ``mapping.txt``."""
    if _from_hub(folder):
        return _read_hub(folder, "text", "label", None)
    names: dict[int, str] = {}
    mapping = folder / "mapping.txt"
    for number, line in enumerate(_lines(mapping), start=1):
        cells = line.split("\t")
        if len(cells) < 2 or not cells[0].strip().isdigit():
            raise _broken("Expected a label number, a tab and a name.", mapping, number)
        names[int(cells[0])] = cells[1].strip().lower()
    if sorted(names) != list(range(len(names))):
        raise UserError(
            f"Label numbers must run from 0 on without a gap, found {some(sorted(names))}.",
            where=str(mapping),
            remedy="Fetch the file again.",
        )
    classes = [names[number] for number in range(len(names))]
    rows = []
    for part in ("train", "val", "test"):
        texts_path, labels_path = folder / f"{part}_text.txt", folder / f"{part}_labels.txt"
        texts, given = _lines(texts_path), _lines(labels_path)
        if len(texts) != len(given):
            raise UserError(
                f"The files of one split differ in length: {len(texts)} texts, {len(given)} labels.",
                where=f"{texts_path} and {labels_path.name}",
                remedy="Fetch both again from one version of the corpus.",
            )
        for number, (text, cell) in enumerate(zip(texts, given, strict=True), start=1):
            label = _class_of(cell, classes, labels_path, number)
            rows.append(_fixed_row(part, number, text, (label,), texts_path))
    return Loaded(rows, classes, "single", str(folder), {})


def read_goemotions(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read GoEmotions: text, comma-separated label numbers and comment id, separated by tabs; names in ``labels.txt``."""
    if _from_hub(folder):
        return _read_hub(folder, "text", "labels", "id")
    classes = [line.strip() for line in _lines(folder / "labels.txt")]
    rows = []
    for part in ("train", "dev", "test"):
        path = folder / f"{part}.tsv"
        for number, line in enumerate(_lines(path), start=1):
            cells = line.split("\t")
            if len(cells) != 3:
                raise _broken(f"Expected text, label numbers and comment id separated by tabs, found {len(cells)} columns.", path, number)
            labels = tuple(_class_of(cell, classes, path, number) for cell in cells[1].split(","))
            rows.append(Row(cells[2].strip(), normalise(cells[0]), labels, _SPLIT_NAMES[part], f"{path.name} line {number}"))
    return Loaded(_distinct(rows), classes, "multi", str(folder), {})


def read_sst2(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read SST-2 as on the hub: one JSON object a line with text, label and label_text."""
    classes = ["negative", "positive"]
    if _from_hub(folder):
        return _read_hub(folder, "text", "label", None, classes)
    rows = []
    for part in ("train", "dev", "test"):
        path = folder / f"{part}.jsonl"
        for number, record in _json_lines(path):
            lacking = [key for key in ("text", "label") if key not in record]
            if lacking:
                raise _broken(f"The row lacks {some(lacking)}.", path, number)
            label = _class_of(str(record["label"]), classes, path, number)
            rows.append(_fixed_row(part, number, str(record["text"]), (label,), path))
    return Loaded(rows, classes, "single", str(folder), {})


def _fixed_row(part: str, number: int, text: str, labels: tuple[str, ...], path: Path) -> Row:
    split = _SPLIT_NAMES[part]
    return Row(f"{split}-{number:05d}", normalise(text), labels, split, f"{path.name} line {number}")


def _from_hub(folder: Path) -> bool:
    return (folder / "features.json").is_file()


def _read_hub(folder: Path, text: str, label: str, key: str | None, classes: Sequence[str] | None = None) -> Loaded:
    """Read what `Catalog.fetch` kept from the hub: one Parquet file a split, label numbers, their names in ``features.json``."""
    note = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    names = [str(name) for name in note["names"].get(label) or classes or []]
    rows = []
    multi = False
    for part in ("train", "validation", "test"):
        path = folder / f"{part}.parquet"
        if not path.is_file():
            raise UserError(f"What the hub served has no {part} split.", where=str(folder), remedy="Delete this folder and run again.")
        table = pq.read_table(path)
        lacking = [column for column in (text, label, *([key] if key else [])) if column not in table.column_names]
        if lacking:
            raise UserError(
                f"What the hub served lacks the columns {some(lacking)}.",
                where=str(path),
                remedy="Pin an older revision in data/catalog.yaml.",
            )
        for number, record in enumerate(table.to_pylist(), start=1):
            given = record[label]
            multi |= isinstance(given, list)
            labels = tuple(_class_of(str(cell), names, path, number) for cell in (given if isinstance(given, list) else [given]))
            if key:
                rows.append(Row(str(record[key]), normalise(str(record[text])), labels, part, f"{path.name} row {number}"))
            else:
                rows.append(_fixed_row(part, number, str(record[text]), labels, path))
    return Loaded(_distinct(rows), names, "multi" if multi else "single", str(folder), {})


def _distinct(rows: Iterable[Row]) -> list[Row]:
    """Give rows that share an id a suffix from the second on."""
    seen: dict[str, int] = {}
    result = []
    for row in rows:
        seen[row.id] = seen.get(row.id, 0) + 1
        result.append(row if seen[row.id] == 1 else Row(f"{row.id}-{seen[row.id]}", row.text, row.labels, row.split, row.place))
    return result


READERS: dict[str, Callable[[Path, CorpusSpec], Loaded]] = {
    "vader": read_vader,
    "tweeteval": read_tweeteval,
    "goemotions": read_goemotions,
    "sst2": read_sst2,
}


# --- a file of one's own ----------------------------------------------------------------------------


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _broken(f"Not a JSON object: {error}", path, number, "Write one JSON object a line.") from None
        if not isinstance(record, dict):
            raise _broken(f"Not a JSON object but {type(record).__name__}.", path, number, "Write one JSON object a line.")
        yield number, record


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
                    raise _broken(f"Columns that occur twice: {some(twice)}.", path, 1, "Give every column a name of its own.")
                continue
            if len(cells) != len(header):
                raise _broken(
                    f"The row has {len(cells)} cells, the header {len(header)}.",
                    path,
                    reader.line_num,
                    "Put texts that hold the separator in double quotes.",
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise _broken(
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
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".parquet": _parquet_rows,
    }
    if path.suffix.lower() not in kinds:
        raise UserError(f"Unknown kind of file {path.suffix or path.name!r}.", where=str(path), remedy=f"Use one of {', '.join(kinds)}.")
    return kinds[path.suffix.lower()](path)


def read_user(user: UserCorpus, root: Path) -> Loaded:
    """Read a corpus of one's own: CSV, TSV, JSONL or Parquet with a text and a label column.

    Labels are one cell, several in one cell (``label_separator``), or a list (JSONL, Parquet). Ids come from the text,
    so that they do not depend on the order of rows.

    Raises
    ------
    UserError
        For a file that is missing, empty, of an unknown kind or encoding, lacks a column, or has rows without text or
        label, with unknown labels or splits; names the rows.
    """
    path = Path(user.path).expanduser()
    path = path if path.is_absolute() else root / path
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
            split = _SPLIT_NAMES.get(str(record[user.split]).strip().lower())
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
    return Loaded(_distinct(rows), classes, "multi" if multi else "single", str(path), {})


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
