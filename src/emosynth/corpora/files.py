"""Rows of corpora, and the files that they are read from.

Texts are normalised (`emosynth.text.normalise`) while they are read: data frames could not hold some of what raw files contain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emosynth.errors import UserError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "devel": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Row:
    """One labelled text.

    Attributes
    ----------
    split
        None where the corpus has none of its own.
    place
        Where it stands upstream, for errors.
    group
        What must not be in two splits, such as a person, where splits are made here; empty: the text itself.
    dialogue
        Dialogue that it is an utterance of; empty: none.
    context
        What was said before in the dialogue, oldest first, as ``speaker: utterance``.
    shares
        Label and share that annotators gave it; empty: they agree, or were not counted.
    """

    id: str
    text: str
    labels: tuple[str, ...]
    split: str | None
    place: str
    group: str = ""
    dialogue: str = ""
    context: tuple[str, ...] = ()
    shares: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Loaded:
    """What a reader found.

    Attributes
    ----------
    dropped
        Reason -> rows left out.
    notes
        What was found in the file or is odd about it, a sentence each, without lines or texts.
    conflicts
        Of a user's own file: texts that stood with several labels, their rows, and what was done.
    language
        What goes before the parameters' word for it; empty: nothing.
    """

    rows: list[Row]
    classes: list[str]
    task: str
    where: str
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()
    conflicts: dict[str, Any] | None = None
    language: str = ""


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


def lines(path: Path) -> list[str]:
    """Return the lines of a file; only line feeds separate, since tweets hold other separators of Unicode."""
    found = [line.removesuffix("\r") for line in read_text(path).split("\n")]
    while found and not found[-1].strip():
        found.pop()
    return found


def broken(what: str, path: Path, line: int, remedy: str = "Fetch the file again from its source.") -> UserError:
    """Return the error for one line of a file."""
    return UserError(what, where=f"{path}: line {line}", remedy=remedy)


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line of a JSONL file; blank lines are passed over."""
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise broken(f"Not a JSON object: {error}", path, number, "Write one JSON object a line.") from None
        if not isinstance(record, dict):
            raise broken(f"Not a JSON object but {type(record).__name__}.", path, number, "Write one JSON object a line.")
        yield number, record


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Give rows that share an id a suffix from the second on."""
    seen: dict[str, int] = {}
    result = []
    for row in rows:
        seen[row.id] = seen.get(row.id, 0) + 1
        result.append(row if seen[row.id] == 1 else replace(row, id=f"{row.id}-{seen[row.id]}"))
    return result
