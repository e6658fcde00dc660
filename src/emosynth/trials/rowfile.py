"""Rows of a file with columns of its own, as rows of an arm: what was published, or written elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emosynth.catalog.hub import snapshot
from emosynth.corpora.decoding import Notes, fault, some
from emosynth.corpora.spelling import normalise
from emosynth.corpora.tables import ABSENT, read_file
from emosynth.corpora.values import literal
from emosynth.params import RowFile, UserCorpus
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.taxonomy import simplify


@dataclass(frozen=True)
class FileRows:
    """Rows with their labels.

    Attributes
    ----------
    texts
        n texts.
    shares
        (n, k) share of each label, from 0 to 1; every row has one above 0.
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
                digits = str(raw).strip()
                if digits.isdigit():
                    column = int(digits) if int(digits) < len(labels) else None
                else:
                    column = place.get(names.get(simplify(raw), "")) if isinstance(raw, str) else None
                if column is None:
                    left["labels that are not known"] += 1
                elif share >= spec.least:
                    row[column] = max(row[column], share)
            if text and any(row):
                texts.append(text)
                shares.append(row)
            else:
                left["rows without a label that is known" if text else "rows without text"] += 1
    said = ", ".join(f"{count} {what}" for what, count in sorted(left.items()))
    say(f"{where}: {len(texts)} rows of {len(files)} files" + (f"; left out: {said}" if said else ""))
    if not texts:
        raise fault("No row of the file can be used.", f"{where}: {files[0]}", f"{said}: check text, labels and space.")
    return FileRows(texts, np.array(shares, dtype=np.float64))


def row_files(spec: RowFile, paths: Paths, where: str) -> list[Path]:
    """Return the files that a path stands for: in the repository or absolute, else below the mirror, else in the data set of the hub."""
    written = Path(spec.path).expanduser()
    homes = [paths.root] if "*" not in written.parts[0] else []  # the repository holds environment and cache: nobody means all of it
    homes += [paths.mirror] if paths.mirror is not None else []
    if written.is_absolute():
        homes = [Path(written.anchor)]
    pattern = str(written.relative_to(written.anchor)) if written.is_absolute() else str(written)
    for home in (*homes, None):
        if home is None and spec.hub is not None:
            say(f"{where}: fetching {pattern} of {spec.hub} from the Hugging Face hub")
            home = snapshot(spec.hub, paths.cache, f"{where}.hub", repo_type="dataset", allow_patterns=[pattern])
        if home is not None and (found := sorted(path for path in home.glob(pattern) if path.is_file())):
            return found
    tried = "the repository" + ("" if paths.mirror is None else ", the mirror") + (f", {spec.hub}" if spec.hub else "")
    remedy = "Correct the path, set EMOSYNTH_MIRROR to a folder that holds it, or name the data set under hub."
    raise fault(f"There is no file {spec.path}; looked in {tried}.", f"{where}.path", remedy)


def _records(path: Path, spec: RowFile, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield place, text and labels of each row, None where a row lacks one of them."""
    notes = Notes()
    table = read_file(path, UserCorpus(path=str(path), text=spec.text, labels=spec.labels), notes)
    for line in notes.warnings:
        say(f"{path.name}: {line}")
    if lacking := [column for column in (spec.text, spec.labels) if column not in table.columns]:
        what = f"There is no column {some(lacking)}; there are {some(table.columns, 20)}."
        raise fault(what, path, f"Name the columns under {where}.")
    for number, row in enumerate(zip(table.column(spec.text), table.column(spec.labels), strict=True)):
        said, given = (None if cell is ABSENT else cell for cell in row)
        yield f"{path}: {table.place(number)}", said, given


def _labels(cell: Any, separator: str | None, at: str) -> list[tuple[Any, float]]:
    """Return labels with their shares, whichever way they are written."""
    if cell is None:
        return []
    if isinstance(cell, str):
        bare = cell.strip()
        if bare[:1] in ("[", "{", "("):
            if (inner := literal(bare)) is None:
                raise fault(f"Not a list of labels: {bare[:60]!r}.", at, "Mend the row.")
            return _labels(inner, separator, at)
        return [(part.strip(), 1.0) for part in (bare.split(separator) if separator else [bare]) if part.strip()]
    if isinstance(cell, Mapping):
        return [(label, _share(share, at)) for label, share in cell.items()]
    if not isinstance(cell, list | tuple):
        return [(cell, 1.0)]
    return [(item[0], _share(item[1], at)) if isinstance(item, list | tuple) and len(item) == 2 else (item, 1.0) for item in cell]


def _share(value: Any, at: str) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1:
        raise fault(f"Not a share from 0 to 1: {value!r}.", at, "Scale the shares, or name another column of labels.")
    return share
