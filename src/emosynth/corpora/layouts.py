"""Layouts of the field: folders of files by split or of texts by class, and what annotation programs export."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from emosynth.corpora.decoding import Notes, decode, read_bytes
from emosynth.corpora.files import SPLIT_NAMES, broken
from emosynth.corpora.schema import some
from emosynth.corpora.tables import ABSENT, Table, arrow_table, class_label_names, read_file
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
    folders = [item for item in entries if item.is_dir()]
    files = [item for item in entries if item.is_file() and item.name.lower() not in _NOT_DATA and item.suffix.lower() in _DATA]
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        saved = [path] if (path / "state.json").is_file() else [item for item in folders if (item / "state.json").is_file()]
        return [_saved(folder, None if folder == path else folder.name) for folder in saved]
    texts = [item for item in files if item.name.lower().endswith("_text.txt")]
    if texts:
        return [_paired(item, path, notes) for item in texts]
    if not files and [item.name for item in folders] == ["data"]:
        return read_tables(path / "data", spec, notes)
    if files:
        return _by_split(files, path, spec, notes)
    return _by_class(folders, path, notes)


def _split_in(name: str) -> str | None:
    """Return the split that a name of a file or folder tells: ``2018-E-c-En-dev`` is validation."""
    found = {SPLIT_NAMES[part] for part in re.split("[^a-z]+", name.lower()) if part in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def _saved(folder: Path, split: str | None) -> Table:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        files = [folder / item["filename"] for item in state["_data_files"]]
        parts = []
        for file in files:
            with pa.memory_map(str(file)) as source:
                parts.append(pa.ipc.open_stream(source).read_all())
        table = arrow_table(pa.concat_tables(parts), "datasets", folder)
        info = folder / "dataset_info.json"
        features = json.loads(info.read_text(encoding="utf-8")).get("features") or {} if info.is_file() else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise UserError(f"The data set cannot be read: {error}", where=str(folder), remedy="Save it again (save_to_disk).") from None
    table.names |= {column: names for column, feature in features.items() if (names := class_label_names(feature))}
    if split is not None:
        table.split, table.file = _known_split(split, folder), folder.name
    return table


def _known_split(name: str, where: Path) -> str:
    split = _split_in(name)
    if split is None:
        raise UserError(f"Not the name of a split: {name}.", where=str(where), remedy="Name it train, validation or test.")
    return split


def _lines(path: Path, notes: Notes) -> list[str]:
    text, _ = decode(read_bytes(path, notes), path, None, notes)
    found = [line.removesuffix("\r") for line in text.split("\n")]
    while found and not found[-1].strip():
        found.pop()
    return found


def _names_beside(folder: Path, notes: Notes) -> list[str] | None:
    """Return the names of labels 0, 1, … from a file beside the data: a name a line, or number, tab and name."""
    file = next((folder / name for name in _NAMES if (folder / name).is_file()), None)
    if file is None:
        return None
    cells = [line.strip().split("\t") for line in _lines(file, notes)]
    if all(len(row) > 1 and row[0].strip().isdigit() for row in cells):
        numbered = {int(row[0]): row[1].strip() for row in cells}
        if sorted(numbered) != list(range(len(numbered))):
            raise UserError("Label numbers must run from 0 on without a gap.", where=str(file), remedy="Correct this file.")
        cells = [[numbered[number]] for number in sorted(numbered)]
    notes.found("names of labels", f"from {file.name}", "class_names")
    return [row[0].strip() for row in cells]


def _paired(texts: Path, folder: Path, notes: Notes) -> Table:
    labels = texts.with_name(re.sub("_text(?=\\.[^.]*$)", "_labels", texts.name, flags=re.IGNORECASE))
    first, second = _lines(texts, notes), _lines(labels, notes)
    if len(first) != len(second):
        raise UserError(
            f"The files of one split differ in length: {len(first)} texts, {len(second)} labels.", where=f"{texts} and {labels.name}",
            remedy="Fetch or write both again.",
        )  # fmt: skip
    names = _names_beside(folder, notes)
    rows = [[text, label.strip()] for text, label in zip(first, second, strict=True)]
    return Table(
        ["text", "label"], list(rows), list(range(1, len(rows) + 1)), "line", "paired files", lines=len(rows),
        names={} if names is None else {"label": names}, split=_known_split(texts.stem, texts), file=texts.name,
    )  # fmt: skip


def _by_split(files: list[Path], folder: Path, spec: UserCorpus, notes: Notes) -> list[Table]:
    splits = [_split_in(item.name.split(".")[0]) for item in files]
    if any(split is None for split in splits) and any(splits):
        odd = [item.name for item, split in zip(files, splits, strict=True) if split is None]
        raise UserError(
            f"Some files are of a split and others are not: {some(odd)}.", where=str(folder),
            remedy="Name the file itself (path), or name all files by train, validation and test.",
        )  # fmt: skip
    names = _names_beside(folder, notes)
    tables: list[Table] = []
    for item, split in zip(files, splits, strict=True):
        table = _exported(read_file(item, spec, notes), spec, notes, item)
        table.file, table.split = item.name, split
        if names is not None:
            table.names |= {column: names for column in table.columns if column not in table.names}
        if tables and set(table.columns) != set(tables[0].columns):
            raise UserError(
                f"Files of one folder have other columns: {some(table.columns)} and {some(tables[0].columns)}.",
                where=f"{item} and {tables[0].file}",
                remedy="Name the file to read (path).",
            )
        tables.append(table)
    notes.found("files", some([item.name for item in files], 20), "path")
    return tables


def _by_class(folders: Sequence[Path], folder: Path, notes: Notes) -> list[Table]:
    """Read one text a file, from folders named by class, or by split and then class."""
    splits = {item: _split_in(item.name) for item in folders}
    inner = [item for item in folders if any(child.is_dir() for child in item.iterdir())]
    if inner and (len(inner) < len(folders) or None in splits.values()):
        raise UserError(
            "The folder has no known layout.", where=str(folder),
            remedy="Give folders named by class, folders train, validation and test of these, or name a file (path).",
        )  # fmt: skip
    groups = [(splits[item], sorted(child for child in item.iterdir() if child.is_dir())) for item in inner] or [(None, list(folders))]
    tables, skipped = [], []
    for split, classes in groups:
        rows: list[Sequence[Any]] = []
        places: list[int | str] = []
        for item in classes:
            for file in sorted(item.iterdir()):
                if file.name.startswith((".", "_")) or not file.is_file() or file.suffix.lower() != ".txt":
                    skipped.append(file.name)
                    continue
                text, _ = decode(read_bytes(file, notes), file, None, notes)
                rows.append([text, item.name])
                places.append(file.relative_to(folder).as_posix())
        tables.append(Table(["text", "label"], rows, places, "file", "texts by class", split=split))
    if not any(table.rows for table in tables):
        raise UserError(
            f"The folder holds nothing that can be read: {some(sorted(item.name for item in folder.iterdir())) or 'it is empty'}.", where=str(folder),
            remedy="Unpack what is packed, or name a file itself. Read are files of CSV, TSV, JSON, JSONL, Parquet or Excel, or .txt files in folders named by class.",
        )  # fmt: skip
    if skipped:
        notes.warn(f"{len(skipped)} files were passed over, for they do not end in .txt: {some(skipped)}.")
    return tables


# --- exports of annotation programs ------------------------------------------------------------------------------------------------------------


def _exported(table: Table, spec: UserCorpus, notes: Notes, path: Path) -> Table:
    columns = set(table.columns)
    found = None
    if table.format in ("json", "jsonl"):
        if {"data", "annotations"} <= columns and any(isinstance(value, dict) for value in _column(table, "data")):
            found = "label-studio"
        elif "answer" in columns and {"accept", "label"} & columns and set(_column(table, "answer")) <= {"accept", "reject", "ignore"}:
            found = "prodigy"
        elif {"annotations", "text"} <= columns and all(isinstance(value, list) for value in _column(table, "annotations")):
            found = "doccano"
    if spec.format in ("label-studio", "prodigy", "doccano") and found != spec.format and not (spec.format == "doccano" and table.rows):
        raise UserError(f"This is no export of {spec.format}.", where=str(path), remedy="Correct the parameter format.")
    if found is None or (spec.format is not None and found != spec.format):
        return table
    notes.found("format", f"export of {found}", "format")
    return {"label-studio": _label_studio, "prodigy": _prodigy, "doccano": _doccano}[found](table, notes, path)


def _column(table: Table, name: str) -> list[Any]:
    place = table.columns.index(name)
    return [row[place] for row in table.rows]


def _made(table: Table, columns: list[str], rows: list[tuple[int, list[Any]]], kind: str) -> Table:
    table.rows, table.places = [row for _, row in rows], [table.places[place] for place, _ in rows]
    table.columns, table.format = columns, kind
    return table


def _label_studio(table: Table, notes: Notes, path: Path) -> Table:
    """Return a row for each annotation that was not cancelled; a task without any has no label."""
    data, given = _column(table, "data"), _column(table, "annotations")
    keys = list(dict.fromkeys(key for item in data if isinstance(item, dict) for key in item if key != "label"))
    rows: list[tuple[int, list[Any]]] = []
    controls: set[str] = set()
    cancelled = 0
    for place, (item, made) in enumerate(zip(data, given, strict=True)):
        if not isinstance(item, dict) or not isinstance(made, list | _Nothing):
            raise broken("Not a task of Label Studio: data and annotations are missing.", path, place + 1, "Export it again as JSON.")
        kept = []
        for annotation in made if isinstance(made, list) else []:
            if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
                cancelled += 1
                continue
            chosen: list[Any] = []
            for result in annotation.get("result") or []:
                value = result.get("value") if isinstance(result, dict) else None
                if isinstance(value, dict) and isinstance(value.get("choices"), list):
                    controls.add(str(result.get("from_name", "")))
                    chosen += value["choices"]
            kept.append(chosen)
        for chosen in kept or [[]]:
            rows.append((place, [*(item.get(key, ABSENT) for key in keys), chosen[0] if len(chosen) == 1 else chosen or None]))
    if len(controls) > 1:
        raise UserError(
            f"The export holds choices of several questions: {some(sorted(controls))}.",
            where=str(path),
            remedy="Export one of them as CSV.",
        )
    if cancelled:
        notes.warn(f"{cancelled:,} annotations that were cancelled are passed over.")
    return _made(table, [*keys, "label"], rows, "label-studio")


_Nothing = type(ABSENT)


def _prodigy(table: Table, notes: Notes, path: Path) -> Table:
    """Return the accepted examples: with the options that were chosen, or with the label that was accepted."""
    at = {name: place for place, name in enumerate(table.columns)}
    chosen = "accept" if "accept" in at else "label"
    rows: list[tuple[int, list[Any]]] = []
    other = 0
    for place, row in enumerate(table.rows):
        if row[at["answer"]] != "accept":
            other += 1
            continue
        value = row[at[chosen]]
        if chosen == "accept" and isinstance(value, list) and len(value) == 1:
            value = value[0]
        rows.append((place, [row[at["text"]] if "text" in at else ABSENT, value]))
    if other:
        notes.warn(f"{other:,} examples that were rejected or ignored are left out (format: {table.format} keeps them).")
    return _made(table, ["text", "label"], rows, "prodigy")


def _doccano(table: Table, notes: Notes, path: Path) -> Table:
    """Return the old layout of Doccano: annotations with a label each, by several users."""
    texts, given = _column(table, "text"), _column(table, "annotations")
    rows: list[tuple[int, list[Any]]] = []
    for place, (text, made) in enumerate(zip(texts, given, strict=True)):
        by_user: dict[Any, list[Any]] = {}
        for item in made:
            if not isinstance(item, dict) or "label" not in item:
                raise broken("Not an annotation of Doccano: it has no label.", path, place + 1, "Export it again as JSONL.")
            by_user.setdefault(str(item.get("user", "")), []).append(item["label"])
        for chosen in by_user.values() or [[]]:
            rows.append((place, [text, chosen[0] if len(chosen) == 1 else chosen or None]))
    return _made(table, ["text", "label"], rows, "doccano")
