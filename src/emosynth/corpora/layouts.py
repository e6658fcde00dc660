"""Layouts of the field: folders of files by split or of texts by class, and what annotation programs export."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from emosynth.corpora.arrow import read_ipc
from emosynth.corpora.decoding import EMPTY, Notes, bounded, broken, cut, decode, fault, some
from emosynth.corpora.files import SPLIT_NAMES
from emosynth.corpora.headers import RATER
from emosynth.corpora.tables import ABSENT, Table, arrow_table, class_names, read_file
from emosynth.corpora.unpacking import dangling, read_bytes
from emosynth.errors import UserError
from emosynth.params import UserCorpus

_DATA = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".arrow", ".gz")
_NAMES = ("labels.txt", "emotions.txt", "mapping.txt", "classes.txt")
_NOT_DATA = {*_NAMES, "features.json", "dataset_info.json", "dataset_infos.json", "state.json", "readme.txt", "license.txt"}


def read_tables(path: Path, spec: UserCorpus, notes: Notes) -> list[Table]:
    """Return what a path holds: one table, or one for each file of a folder.

    Read from folders are ``datasets`` as saved to disk or from the hub (names of ClassLabel columns too), TweetEval's pairs of files, files
    of one format by split, parts of one table, and texts by class (``joy/1.txt`` or ``train/joy/1.txt``).

    Raises
    ------
    UserError
        If a file cannot be read, or the folder has no known layout.
    """
    if not path.is_dir():
        return [_exported(read_file(path, spec, notes), spec, notes, path)]
    entries = sorted(item for item in path.iterdir() if not item.name.startswith((".", "_")))
    if link := next(filter(None, map(dangling, entries)), None):
        raise link
    folders = [item for item in entries if item.is_dir()]
    files = [item for item in entries if item.is_file() and item.name.lower() not in _NOT_DATA and item.suffix.lower() in _DATA]
    if (path / "state.json").is_file():
        return [_saved(path)]
    if (path / "dataset_dict.json").is_file():
        return [_of_split(_saved(item), item.name, item.name, item) for item in folders if (item / "state.json").is_file()]
    if texts := [item for item in files if item.name.lower().endswith("_text.txt")]:
        return [_paired(item, path, notes) for item in texts]
    if not files and [item.name for item in folders] == ["data"]:
        return read_tables(path / "data", spec, notes)
    if len(files) == 1 and (labels := _labels_beside(files[0], path, notes)) is not None:
        return [_paired(files[0], path, notes, labels)]
    return _by_split(files, path, spec, notes) if files else _by_class(folders, path, notes)


def _split_in(name: str) -> str | None:
    """Return the split that a name of a file or folder tells: ``2018-E-c-En-dev`` is validation."""
    found = {SPLIT_NAMES[part] for part in re.split("[^a-z]+", name.lower()) if part in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def _of_split(table: Table, name: str, file: str, where: Path) -> Table:
    table.split, table.file = _split_in(name), file
    if table.split is None:
        raise fault(f"Not the name of a split: {name}.", where, "Name it train, validation or test.")
    return table


def _saved(folder: Path) -> Table:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        parts, size = [], 0
        for item in state["_data_files"]:
            file = folder / Path(item["filename"]).name
            if not file.is_file():
                raise ValueError(f"{file.name} is not there, or no file")
            bounded(size := size + file.stat().st_size, folder)
            with pa.memory_map(str(file)) as source:
                parts.append(read_ipc(source.read_buffer(), file))
            bounded(sum(part.nbytes for part in parts), folder)
        table = arrow_table(pa.concat_tables(parts), "datasets", folder)
        info = folder / "dataset_info.json"
        table.names |= class_names(json.loads(info.read_text(encoding="utf-8")).get("features") or {} if info.is_file() else {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise fault(f"The data set cannot be read: {error}", folder, "Save it again (save_to_disk).") from None
    return table


def _lines(path: Path, notes: Notes) -> list[str]:
    return cut(decode(read_bytes(path, notes), path, None, notes)[0])


def _names_beside(folder: Path, notes: Notes) -> list[str] | None:
    """Return the names of labels 0, 1, … from a file beside the data: a name a line, or number, tab and name."""
    file = next((folder / name for name in _NAMES if (folder / name).is_file()), None)
    if file is None:
        return None
    cells = [line.strip().split("\t") for line in _lines(file, notes)]
    if all(len(row) > 1 and row[0].strip().isdigit() for row in cells):
        numbered = {int(row[0]): row[1:] for row in cells}
        if sorted(numbered) != list(range(len(numbered))):
            raise fault("Label numbers must run from 0 on without a gap.", file, "Correct this file.")
        cells = [numbered[number] for number in sorted(numbered)]
    notes.found("names of labels", f"from {file.name}", "class_names")
    return [row[0].strip() for row in cells]


def _labels_beside(texts: Path, folder: Path, notes: Notes) -> Path | None:
    """Return the file of a label a line that stands beside one of a text a line; None: it names classes, each once, or there is none."""
    file = next((folder / name for name in _NAMES if (folder / name).is_file()), None)
    if file is None or texts.suffix.lower() != ".txt":
        return None
    found = _lines(file, notes)
    if len(set(found)) == len(found) or len(found) != len(_lines(texts, notes)):
        return None
    notes.found("files", f"{texts.name} and {file.name}, a text and a label a line", "path")
    return file


def _paired(texts: Path, folder: Path, notes: Notes, beside: Path | None = None) -> Table:
    labels = beside or texts.with_name(re.sub("_text(?=\\.[^.]*$)", "_labels", texts.name, flags=re.IGNORECASE))
    first, second = _lines(texts, notes), _lines(labels, notes)
    if len(first) != len(second):
        what = f"The files of one split differ in length: {len(first)} texts, {len(second)} labels."
        raise fault(what, f"{texts} and {labels.name}", "Fetch or write both again.")
    names, rows = (
        None if beside else _names_beside(folder, notes),
        [[text, label.strip()] for text, label in zip(first, second, strict=True)],
    )
    table = Table(["text", "label"], rows, range(1, len(rows) + 1), "line", "paired files", lines=len(rows))
    table.names = {} if names is None else {"label": names}
    return table if beside else _of_split(table, texts.stem, texts.name, texts)


def _by_split(files: list[Path], folder: Path, spec: UserCorpus, notes: Notes) -> list[Table]:
    splits = [_split_in(item.name.split(".")[0]) for item in files]
    if None in splits and any(splits):
        odd = some([item.name for item, split in zip(files, splits, strict=True) if split is None])
        remedy = "Name the file itself (path), or name all files by train, validation and test."
        raise fault(f"Some files are of a split and others are not: {odd}.", folder, remedy)
    names = _names_beside(folder, notes)
    tables: list[Table] = []
    for item, split in zip(files, splits, strict=True):
        try:
            table = _exported(read_file(item, spec, notes), spec, notes, item)
        except UserError as error:
            if "one cell" not in error.what or split is not None or len(files) < 2:
                raise
            remedy = "If files are named by class, put them into one table with a column of labels, or each text into a file in a folder of its class."
            raise fault(f"A file holds texts without labels: {error.what}", error.where, remedy) from None
        table.file, table.split = item.name, split
        if names is not None:
            table.names |= {column: names for column in table.columns if column not in table.names}
        if tables and set(table.columns) != set(tables[0].columns):
            what = f"Files of one folder have other columns: {some(table.columns)} and {some(tables[0].columns)}."
            raise fault(what, f"{item} and {tables[0].file}", "Name the file to read (path).")
        tables.append(table)
    notes.found("files", some([item.name for item in files], 20), "path")
    return tables


def _whole_text(file: Path, notes: Notes) -> str:
    """Return the text of a file; one without any content is an empty text."""
    try:
        return decode(read_bytes(file, notes), file, None, notes)[0]
    except UserError as error:
        if error.what != EMPTY:
            raise
        return ""


def _by_class(folders: Sequence[Path], folder: Path, notes: Notes) -> list[Table]:
    """Read one text a file, from folders named by class, or by split and then class."""
    inner = [item for item in folders if any(child.is_dir() for child in item.iterdir())]
    if inner and (len(inner) < len(folders) or None in [_split_in(item.name) for item in folders]):
        remedy = "Give folders named by class with texts alone in them, folders train, validation and test of these, or name a file (path)."
        held = some(child.relative_to(folder).as_posix() for item in inner for child in sorted(item.iterdir()) if child.is_dir())
        raise fault(f"The folder has no known layout: folders stand within those of classes: {held}.", folder, remedy)
    groups = [(_split_in(item.name), sorted(child for child in item.iterdir() if child.is_dir())) for item in inner]
    tables, skipped, outside = [], [], []
    for split, classes in groups or [(None, list(folders))]:
        found: dict[str, Sequence[Any]] = {}
        for item in classes:
            for file in sorted(item.iterdir()):
                if file.name.startswith((".", "_")) or not file.is_file() or file.suffix.lower() != ".txt":
                    skipped.append(file.name)
                elif not file.resolve().is_relative_to(folder.resolve()):
                    outside.append(
                        file.relative_to(folder).as_posix()
                    )  # what was unpacked from elsewhere may point at anything of this machine
                else:
                    found[file.relative_to(folder).as_posix()] = [_whole_text(file, notes), item.name]
        tables.append(Table(["text", "label"], list(found.values()), list(found), "file", "texts by class", split=split))
    if not any(table.rows for table in tables):
        held = some(sorted(item.name for item in folder.iterdir())) or "it is empty"
        remedy = "Unpack what is packed, or name a file itself. Read are files of CSV, TSV, JSON, JSONL, Parquet or Excel, or .txt files in folders named by class."
        raise fault(f"The folder holds nothing that can be read: {held}.", folder, remedy)
    if outside:
        notes.warn(f"{len(outside)} links that lead out of the folder were passed over: {some(outside)}.")
    if skipped:
        notes.warn(f"{len(skipped)} files were passed over, for they do not end in .txt: {some(skipped)}.")
    return tables


# --- exports of annotation programs --------------------------------------------------------------------------


def _exported(table: Table, spec: UserCorpus, notes: Notes, path: Path) -> Table:
    """Return the rows that an annotation program exported, one for each annotator of a text; any other table as it is."""
    json_, columns = table.format in ("json", "jsonl"), set(table.columns)
    found = next((name for name, (is_so, _, _) in EXPORTS.items() if json_ and is_so(table, columns)), None)
    if spec.format in EXPORTS and found != spec.format and not (spec.format == "doccano" and table.rows):
        raise fault(f"This is no export of {spec.format}.", path, "Correct the parameter format.")
    if found is None or spec.format not in (None, found):
        return table
    notes.found("format", f"export of {found}", "format")
    _, texts, answers = EXPORTS[found]
    names = texts(table)
    asked = str(spec.labels) if found == "label-studio" and spec.labels in _questions(table) and spec.labels not in names else "label"
    rows = [
        (table.places[place], [*(row.get(name, ABSENT) for name in names), given])
        for place, row, given in answers(table, notes, spec, path)
    ]
    table.places, table.rows = [place for place, _ in rows], [row for _, row in rows]
    table.columns, table.format = [*names, asked], found
    return table


_Answers = Iterator[tuple[int, dict[str, Any], Any]]
"""Place, record and label or labels, of each annotation."""


def _one(chosen: list[Any]) -> Any:
    return chosen[0] if len(chosen) == 1 else chosen or None


def _questions(table: Table) -> list[str]:
    """Return the names of the questions of Label Studio that have choices."""
    made = [one for held in table.column("annotations") if isinstance(held, list) for one in held if isinstance(one, dict)]
    results = [result for one in made for result in one.get("result") or [] if isinstance(result, dict)]
    chosen = (one for one in results if isinstance(one.get("value"), dict) and isinstance(one["value"].get("choices"), list))
    return sorted({str(one.get("from_name", "")) for one in chosen})


def _label_studio(table: Table, notes: Notes, spec: UserCorpus, path: Path) -> _Answers:
    """Yield each annotation that was not cancelled; a task without any has no label. Of several questions ``labels`` names one."""
    questions, cancelled = _questions(table), 0
    if len(questions) > 1 and spec.labels not in questions:
        remedy = f"Name one as the labels: labels: {questions[0]} (--labels {questions[0]})."
        raise fault(f"The export holds choices of several questions: {some(questions)}.", path, remedy)
    for place, (item, made) in enumerate(zip(table.column("data"), table.column("annotations"), strict=True)):
        if not isinstance(item, dict) or not (isinstance(made, list) or made is ABSENT):
            raise broken("Not a task of Label Studio: data and annotations are missing.", path, place + 1, "Export it again as JSON.")
        kept = []
        for annotation in made if isinstance(made, list) else []:
            if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
                cancelled += 1
                continue
            chosen: list[Any] = []
            for result in annotation.get("result") or []:
                value = result.get("value") if isinstance(result, dict) else None
                if (
                    isinstance(value, dict)
                    and isinstance(value.get("choices"), list)
                    and (len(questions) < 2 or result.get("from_name") == spec.labels)
                ):
                    chosen += value["choices"]
            kept.append(chosen)
        yield from ((place, item, _one(chosen)) for chosen in kept or [[]])
    if cancelled:
        notes.warn(f"{cancelled:,} annotations that were cancelled are passed over.")


def _prodigy(table: Table, notes: Notes, spec: UserCorpus, path: Path) -> _Answers:
    """Yield the accepted examples: with the options that were chosen, or with the label that was accepted."""
    records = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    kept = [(place, record) for place, record in enumerate(records) if record["answer"] == "accept"]
    if len(kept) < len(records):
        other = len(records) - len(kept)
        notes.warn(f"{other:,} examples that were rejected or ignored are left out (format: {table.format} keeps them).")
    for place, record in kept:
        chosen = record["accept" if "accept" in record else "label"]
        yield place, record, _one(chosen) if "accept" in record and isinstance(chosen, list) else chosen


def _doccano(table: Table, notes: Notes, spec: UserCorpus, path: Path) -> _Answers:
    """Yield the old layout of Doccano: annotations with a label each, by several users."""
    for place, (text, made) in enumerate(zip(table.column("text"), table.column("annotations"), strict=True)):
        by_user: dict[str, list[Any]] = {}
        for item in made:
            if not isinstance(item, dict) or "label" not in item:
                raise broken("Not an annotation of Doccano: it has no label.", path, place + 1, "Export it again as JSONL.")
            by_user.setdefault(next((f"{item[key]}" for key in item if key == "user" or RATER.search(key.lower())), ""), []).append(
                item["label"]
            )
        yield from ((place, {"text": text}, _one(chosen)) for chosen in by_user.values() or [[]])


EXPORTS: dict[str, tuple[Callable[[Table, set[str]], bool], Callable[[Table], list[str]], Callable[[Table, Notes, UserCorpus, Path], _Answers]]] = {
    "label-studio": (
        lambda table, columns: {"data", "annotations"} <= columns and any(isinstance(value, dict) for value in table.column("data")),
        lambda table: list(dict.fromkeys(key for item in table.column("data") if isinstance(item, dict) for key in item if key != "label")),
        _label_studio,
    ),
    "prodigy": (
        lambda table, columns: "answer" in columns and bool({"accept", "label"} & columns)
        and all(value in ("accept", "reject", "ignore") for value in table.column("answer")),
        lambda table: ["text"], _prodigy,
    ),
    "doccano": (
        lambda table, columns: {"annotations", "text"} <= columns and all(isinstance(value, list) for value in table.column("annotations")),
        lambda table: ["text"], _doccano,
    ),
}  # fmt: skip
"""Program -> whether a table is its export, the columns beside the label, and its annotations."""
