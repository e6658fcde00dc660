"""Rows of a file with columns of its own, as rows of an arm: what was published, or written elsewhere."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emosynth.corpora.decoding import Notes
from emosynth.corpora.schema import some
from emosynth.corpora.tables import ABSENT, read_file
from emosynth.errors import UserError
from emosynth.params import RowFile, UserCorpus
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.taxonomy import simplify
from emosynth.text import normalise


@dataclass(frozen=True)
class FileRows:
    """Rows with their labels.

    Attributes
    ----------
    texts
        n texts.
    shares
        (n, k) share of each label, from 0 to 1; every row has one above 0.
    where
        What was read, for messages.
    """

    texts: list[str]
    shares: npt.NDArray[np.float64]


def read_rows(spec: RowFile, names: Mapping[str, str], labels: Sequence[str], paths: Paths, where: str) -> FileRows:
    """Read the rows of an arm that adds a file.

    A row without text, or without a label that is known, is left out and counted: published rows have labels outside their taxonomy.
    Row by row, so that a column may hold strings here and numbers there.

    Parameters
    ----------
    names
        Simplified spelling -> label.
    labels
        k labels in order; a number in the file is a place among them.
    where
        The parameter, for errors.

    Raises
    ------
    UserError
        If there is no such file, a column is missing, a share is no number from 0 to 1, or no row is left.
    """
    files = row_files(spec, paths, where)
    place = {label: column for column, label in enumerate(labels)}
    texts: list[str] = []
    shares: list[list[float]] = []
    left: Counter[str] = Counter()
    for path in files:
        for at, said_text, given in _records(path, spec, where):
            text = normalise(str(said_text or ""))
            row = [0.0] * len(labels)
            for raw, share in _labels(given, spec.label_separator, at):
                label = _known(raw, names, labels)
                if label is None:
                    left["labels that are not known"] += 1
                elif share >= spec.least:
                    row[place[label]] = max(row[place[label]], share)
            if text and any(row):
                texts.append(text)
                shares.append(row)
            else:
                left["rows without a label that is known" if text else "rows without text"] += 1
    said = ", ".join(f"{count} {what}" for what, count in sorted(left.items()))
    say(f"{where}: {len(texts)} rows of {len(files)} files" + (f"; left out: {said}" if said else ""))
    if not texts:
        raise UserError("No row of the file can be used.", where=f"{where}: {files[0]}", remedy=f"{said}: check text, labels and space.")
    return FileRows(texts, np.array(shares, dtype=np.float64))


def row_files(spec: RowFile, paths: Paths, where: str) -> list[Path]:
    """Return the files that a path stands for: in the repository or absolute, else below the mirror, else in the data set of the hub."""
    written = Path(spec.path).expanduser()
    homes = [paths.root] if "*" not in written.parts[0] else []  # the repository holds environment and cache: nobody means all of it
    homes += [paths.mirror] if paths.mirror is not None else []
    if written.is_absolute():
        homes = [Path(written.anchor)]
    pattern = str(written.relative_to(written.anchor)) if written.is_absolute() else str(written)
    for home in homes:
        found = sorted(path for path in home.glob(pattern) if path.is_file())
        if found:
            return found
    if spec.hub is not None:
        found = sorted(path for path in _from_hub(spec.hub, pattern, paths, where).glob(pattern) if path.is_file())
        if found:
            return found
    tried = "the repository" + ("" if paths.mirror is None else ", the mirror") + (f", {spec.hub}" if spec.hub else "")
    raise UserError(
        f"There is no file {spec.path}; looked in {tried}.", where=f"{where}.path",
        remedy="Correct the path, set EMOSYNTH_MIRROR to a folder that holds it, or name the data set under hub.",
    )  # fmt: skip


def _from_hub(name: str, pattern: str, paths: Paths, where: str) -> Path:
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    say(f"{where}: fetching {pattern} of {name} from the Hugging Face hub")
    try:
        return Path(
            snapshot_download(
                repository, repo_type="dataset", revision=revision or None, allow_patterns=[pattern], cache_dir=paths.cache / "hub"
            )
        )
    except Exception as error:  # the hub's client raises many kinds, its HTTP library's among them
        raise UserError(
            f"The Hugging Face hub could not serve {name}: {type(error).__name__}: {' '.join(str(error).split())[:160]}",
            where=f"{where}.hub",
            remedy="Check name and connection, or download the data set elsewhere and set EMOSYNTH_MIRROR to the folder that holds it.",
        ) from None


def _records(path: Path, spec: RowFile, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield place, text and labels of each row, None where a row lacks one of them."""
    notes = Notes()
    table = read_file(path, UserCorpus(path=str(path), text=spec.text, labels=spec.labels), notes)
    for line in notes.warnings:
        say(f"{path.name}: {line}")
    lacking = [column for column in (spec.text, spec.labels) if column not in table.columns]
    if lacking:
        raise UserError(
            f"There is no column {some(lacking)}; there are {some(table.columns, 20)}.",
            where=str(path),
            remedy=f"Name the columns under {where}.",
        )
    text, labels = (table.columns.index(column) for column in (spec.text, spec.labels))
    for number, row in enumerate(table.rows):
        said, given = (None if row[column] is ABSENT else row[column] for column in (text, labels))
        yield f"{path}: {table.place(number)}", said, given


def _labels(cell: Any, separator: str | None, at: str) -> list[tuple[Any, float]]:
    """Return labels with their shares, whichever way they are written."""
    if cell is None:
        return []
    if isinstance(cell, str):
        bare = cell.strip()
        if bare[:1] in "[{(" and bare:
            try:
                return _labels(ast.literal_eval(bare), separator, at)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                raise UserError(f"Not a list of labels: {bare[:60]!r}.", where=at, remedy="Mend the row.") from None
        return [(part.strip(), 1.0) for part in (bare.split(separator) if separator else [bare]) if part.strip()]
    if isinstance(cell, Mapping):
        return [(label, _share(share, at)) for label, share in cell.items()]
    if not isinstance(cell, (list, tuple, set)):
        return [(cell, 1.0)]
    pairs = [(item[0], _share(item[1], at)) if isinstance(item, (list, tuple)) and len(item) == 2 else (item, 1.0) for item in cell]
    return sorted(pairs, key=str) if isinstance(cell, set) else pairs


def _share(value: Any, at: str) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1:
        raise UserError(f"Not a share from 0 to 1: {value!r}.", where=at, remedy="Scale the shares, or name another column of labels.")
    return share


def _known(raw: Any, names: Mapping[str, str], labels: Sequence[str]) -> str | None:
    digits = str(raw).strip()
    if digits.isdigit():
        return labels[int(digits)] if int(digits) < len(labels) else None
    return names.get(simplify(raw)) if isinstance(raw, str) else None
