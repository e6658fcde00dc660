"""A corpus of one's own: what a file or folder of labelled text is understood as, and its rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from emosynth.corpora import cells
from emosynth.corpora.columns import find
from emosynth.corpora.decoding import Notes
from emosynth.corpora.files import SPLIT_NAMES, Loaded, Row, distinct
from emosynth.corpora.guesses import guess_columns, guess_split
from emosynth.corpora.layouts import read_tables
from emosynth.corpora.schema import some
from emosynth.corpora.shares import Conflicts, Shares, completed, named, resolved, shares_of_cells, shares_of_columns
from emosynth.corpora.splits import SPLITS, fingerprint
from emosynth.corpora.tables import Table
from emosynth.errors import UserError
from emosynth.escape import json_text
from emosynth.params import UserCorpus
from emosynth.paths import Paths

_FEW = 5
"""Rows below which a class is warned of."""


@dataclass(frozen=True)
class Guess:
    """Something found and not told: what, as what, and the parameter that overrides it."""

    what: str
    value: str
    parameter: str

    def __str__(self) -> str:
        return f"{self.what}: {self.value} ({self.parameter})"


@dataclass(frozen=True)
class Understanding:
    """What a file or folder of labelled text is understood as. Names of files are without their folders.

    Attributes
    ----------
    format, encoding, separator, quoting
        Of the first file; empty where they mean nothing.
    lines
        Lines of all text files, ends of lines within cells among them: with ``rows_read`` and ``left_out``, nothing is lost unseen.
    columns
        All columns. ``text``, ``labels`` and ``split`` are those used.
    rows_read
        Rows with content, the header not counted.
    left_out
        Reason -> places of the rows that are not used (lines, rows, or files).
    classes
        Class -> rows that have it.
    task
        "single" or "multi": labels a row.
    splits
        Split -> rows, where the file tells them.
    conflicts
        ``texts`` that stand with several labels, their ``rows``, what was ``done``, texts ``kept`` and ``dropped``, some ``places``.
    duplicates
        Rows that repeat an earlier text with the same label.
    guesses, warnings
        What was found and what overrides it; what a person should know.
    rows
        What the loader takes; not in the JSON.
    """

    file: str
    format: str
    encoding: str
    separator: str
    quoting: str
    lines: int
    columns: list[str]
    text: str
    labels: str | list[str]
    split: str | None
    rows_read: int
    left_out: dict[str, list[str]]
    classes: dict[str, int]
    task: str
    splits: dict[str, int]
    conflicts: dict[str, Any]
    duplicates: int
    guesses: list[Guess]
    warnings: list[str]
    rows: list[Row] = field(repr=False, default_factory=list)

    def to_json(self) -> str:
        """Return all but the rows as JSON."""
        return json_text({key: value for key, value in asdict(replace(self, rows=[])).items() if key != "rows"}, indent=2)


def understand(
    path: str | Path, spec: UserCorpus | None = None, conflicts: Conflicts = "majority", guess: Collection[str] = ()
) -> Understanding:
    """Read a file or folder of labelled text, and tell how.

    Nothing is guessed silently: whatever ``spec`` leaves open is found from the content, and stands under ``guesses`` with the parameter
    that overrides it. A text is a string; a label is a string, a whole number, or a list of these; bytes are read as UTF-8.

    Parameters
    ----------
    path
        The file or folder.
    spec
        Columns and all else that is known; None: columns are guessed too.
    conflicts
        What becomes of a text that stands with several labels: the label of most of its rows (multi-label: labels of more than half of
        them), left out where there is none; their shares ("soft"); left out; or an error. Rows of one text become one.
    guess
        Which of "text" and "labels" are guessed although there is a ``spec``.

    Raises
    ------
    UserError
        For what cannot be read or is ambiguous; names file, rows and remedy.
    """
    path, notes = Path(path), Notes()
    if spec is None:
        spec, guess = UserCorpus(path=str(path)), ("text", "labels")
    tables = [table for table in read_tables(path, spec, notes) if table.rows]
    if not tables:
        raise UserError("The file has no rows.", where=str(path), remedy="Give a file with a header and at least a few rows of each class.")
    if guess:
        spec = _guessed(tables[0], path, spec, notes, guess)
    faults = cells.Faults()
    values = _Values(tables, spec, path, notes)
    if values.text in values.labels:
        raise UserError(
            f"The column {values.text} cannot hold both texts and labels.", where=str(path), remedy="Name both columns (text, labels)."
        )
    texts = cells.texts(values.texts, spec, faults)
    soft = values.shares() if spec.task != "multi" else None
    weights: list[Shares] = []
    ballots: list[list[tuple[str, ...]]] | None = None
    if soft is not None:
        found, weights = named(soft, values.names, spec, notes, faults)
    elif (marked := values.marked()) is not None and cells.are_votes(marked, values.labels):
        found, ballots = cells.votes(marked, values.labels, values.names, spec, notes, faults)
    elif marked is not None:
        given = cells.one_hot(marked, values.labels, faults)
        several = any(chosen is not None and len(chosen) > 1 for chosen in given)
        found = cells.labels([chosen if chosen is not None else ["0"] for chosen in given], values.names, spec, notes, faults)
        found.multi = several
        notes.found("task", "several labels a row" if several else "one label a row", "task")
    else:
        found = cells.labels(values.given, values.names, spec, notes, faults)
    multi = found.multi if spec.task is None else spec.task == "multi"
    if values.flags is None and found.multi and spec.task is None and not any(row is not None and len(row) > 1 for row in found.rows):
        notes.warn("Every list holds one label; the corpus is read as one with several labels a row (task: single reads it as one label).")
    if not multi:
        for place, given_labels in enumerate(found.rows):
            if any(len(labels) > 1 for labels in (ballots[place] if ballots is not None else [given_labels or ()])):
                faults.add("several labels (task: multi, or label_separator, takes them)", place)
    splits = [_split(value, place, faults) for place, value in enumerate(values.splits)]
    left_out = _settle(faults, values, path, spec, [line for line in notes.warnings if line.startswith(cells.KINDS)])
    left_out |= {why: [values.place(row) for row in places] for why, places in found.left_out.items()}
    for table in tables:
        for why, numbers in table.apart.items():
            left_out.setdefault(why, []).extend(f"{table.file + ' ' if table.file else ''}{table.unit} {line}" for line in numbers)
    rows = [
        Row(fingerprint(text)[:16], text, vote, split, values.place(place), shares=tuple(weights[place].items()) if weights else ())
        for place, (text, labels, split) in enumerate(zip(texts, found.rows, splits, strict=True))
        if text is not None and labels is not None and (split is not None or values.split is None)
        for vote in (ballots[place] if ballots is not None else (labels,))
    ]
    if not rows:
        raise UserError("No row can be used.", where=str(path), remedy=f"Rows were left out: {some(left_out)}. Check text and labels.")
    _plausible(rows, path)
    before = {label for row in rows for label in row.labels}
    rows, quarrel = resolved(rows, conflicts, multi, path)
    if ballots is not None:  # raters who agree gave one row
        rows = list({(row.id, row.place): row for row in rows}.values())
    counts = Counter(label for row in rows for label in row.labels)
    if lost := sorted(before - set(counts)):
        notes.warn(f"No row is left of {some(lost)} after texts with several labels were settled (corpora.conflicts).")
    rows = completed(rows, counts, multi, notes)
    classes = [cells.clean(name) for name in spec.classes] if spec.classes is not None else sorted(counts)
    if rare := [f"{name} ({count})" for name, count in sorted(counts.items()) if count < _FEW]:
        notes.warn(f"Classes of fewer than {_FEW} rows can hardly be trained and scored: {some(rare, 20)} (class_names leaves them out).")
    if len(counts) > 2 and (
        head := [row for row in rows if row.place == tables[0].place(0) and {counts[name] for name in row.labels} == {1}]
    ):
        notes.warn(
            f"Nothing but {head[0].place} is of the class {head[0].labels[0]!r}: if it tells what the columns hold (a second header), take it out."
        )
    if "language" not in spec.model_fields_set and not _looks_english([row.text for row in rows[:500]]):
        notes.warn(NOT_ENGLISH)
    first = tables[0]
    return Understanding(
        file=path.name, format=first.format, encoding=first.encoding, separator=first.separator, quoting=first.quoting,
        lines=sum(table.lines for table in tables), columns=first.columns, text=values.text, labels=values.label, split=values.split,
        rows_read=sum(len(table.rows) for table in tables), left_out=left_out, classes={name: counts[name] for name in dict.fromkeys(classes)},
        task="multi" if multi else "single",
        splits={split: sum(row.split == split for row in rows) for split in SPLITS} if values.split is not None else {},
        conflicts=quarrel, duplicates=len(rows) - len({row.id for row in rows}), guesses=[Guess(*guess) for guess in notes.guesses],
        warnings=notes.warnings, rows=rows,
    )  # fmt: skip


def _guessed(table: Table, path: Path, spec: UserCorpus, notes: Notes, wanted: Collection[str]) -> UserCorpus:
    taken = [] if len(wanted) > 1 else [spec.labels] if "text" in wanted else [spec.text]
    guess = guess_columns(table, notes, {str(name) for one in taken for name in (one if isinstance(one, list) else [one])})
    if guess is None:
        raise UserError(
            f"No column looks like labels; there are {some(table.columns, 20)}.", where=str(path), remedy="Name the columns (text, labels)."
        )
    found = {name: value for name, value in zip(("text", "labels"), guess, strict=True) if name in wanted}
    for name, value in found.items():
        notes.found(
            {"text": "text column", "labels": "label column"}[name], ", ".join(value) if isinstance(value, list) else str(value), name
        )
    return spec.model_copy(update=found)


class _Values:
    """The cells of the columns wanted, over all tables, and what to call their rows."""

    def __init__(self, tables: Sequence[Table], spec: UserCorpus, path: Path, notes: Notes) -> None:
        self.tables = tables
        self.flags: list[list[Any]] | None = [] if isinstance(spec.labels, list) else None
        self.texts: list[Any] = []
        self.given: list[Any] = []
        self.splits: list[Any] = []
        self.names: list[list[str] | None] = []
        self.labels: list[str] = []
        self.split: str | None = None
        for table in tables:
            self.text, take_text = find(table, spec.text, "text", path, notes)
            self.texts += [take_text(row) for row in table.rows]
            if isinstance(spec.labels, list):
                found = [find(table, name, "labels", path, notes) for name in spec.labels]
                self.labels = [name for name, _ in found]
                assert self.flags is not None
                self.flags.append([take for _, take in found])
                self.names += [None] * len(table.rows)
            else:
                label, take_label = find(table, spec.labels, "labels", path, notes)
                self.labels = [label]
                self.given += [take_label(row) for row in table.rows]
                self.names += [table.names.get(label)] * len(table.rows)
                if label in table.names and all(table.names.values()):
                    notes.found("names of labels", f"from the file ({some(table.names[label])})", "class_names")
            own = spec.split
            if own is None and table.split is None and (own := guess_split(table, notes)) is not None:
                notes.found("split column", own, "split")
            if own is not None:
                self.split, take_split = find(table, own, "split", path, notes)
                self.splits += [take_split(row) for row in table.rows]
            elif table.split is not None:
                self.split = "name of the file"
                self.splits += [table.split] * len(table.rows)
            else:
                self.splits += [None] * len(table.rows)
        if self.split is not None and any(table.split is not None for table in tables) and spec.split is None:
            notes.found("splits", "as files or folders are named", "split")
        if self.split is None:
            self.splits = [_HASHED] * len(self.splits)
        self.label: str | list[str] = self.labels[0] if self.flags is None else self.labels

    def shares(self) -> list[Shares | str | None] | None:
        """Return the shares that cells or columns hold; None: they hold labels."""
        if self.flags is None:
            return shares_of_cells(self.given)
        return shares_of_columns(self.marked() or [], self.labels)

    def marked(self) -> list[list[Any]] | None:
        """Return the cells of the columns of labels, row by row; None: there is one such column."""
        if self.flags is None:
            return None
        return [[take(row) for take in takes] for table, takes in zip(self.tables, self.flags, strict=True) for row in table.rows]

    def place(self, row: int) -> str:
        """Return what to call a row, counted over all tables."""
        for table in self.tables:
            if row < len(table.rows):
                return table.place(row)
            row -= len(table.rows)
        raise IndexError(row)


_HASHED = object()


NOT_ENGLISH = (
    "These texts do not look English, but the default models, stories and word lists are: name the language (language), and a model that writes "
    "it. Until it is named, what is measured in English alone is left out."
)
UNKNOWN = "und"
"""Tag of a language that nobody named."""

_COMMON = frozenset(["the", "and", "to", "of", "that", "my", "you", "for", "this", "with", "have", "not", "but", "are", "it"])
"""Frequent English words that are rare in the languages near it."""


def _looks_english(texts: Sequence[str]) -> bool:
    """Tell text of other languages from English: most letters are not Latin, or hardly a word in thirty is one of the frequent ones."""
    letters = [letter < "\u0250" for text in texts for letter in text if letter.isalpha()]
    if letters and sum(letters) < len(letters) / 2:
        return False
    words = [word for text in texts for word in re.findall(r"\w+", text.lower())]
    return len(words) < 200 or sum(word in _COMMON for word in words) >= 0.03 * len(words)


def _split(value: Any, place: int, faults: cells.Faults) -> str | None:
    if value is _HASHED:
        return None
    found = SPLIT_NAMES.get(str(value).strip().lower()) if isinstance(value, str) else None
    if found is None:
        faults.add(f"an unknown split ({'nothing' if cells.absent(value) or value == '' else repr(value)[:40]})", place)
    return found


def _settle(faults: cells.Faults, values: _Values, path: Path, spec: UserCorpus, more_said: Sequence[str]) -> dict[str, list[str]]:
    """Return the rows without text or label that the parameters leave out; all other faults are one error.

    Raises
    ------
    UserError
        If there are any; names kinds and rows.
    """
    droppable = {what for what in faults if what.startswith((cells.NO_TEXT, cells.NO_LABEL))}
    hard = [what for what in faults if what not in droppable or spec.missing == "error"]
    if hard:
        told = []
        for what in hard[:8]:
            places = [values.place(row) for row in faults[what][:5]]
            unit = places[0].split(" ")[0]
            more = f" and {len(faults[what]) - 5} more" if len(faults[what]) > 5 else ""
            same = all(place.startswith(f"{unit} ") for place in places)
            listed = f"{unit}s {', '.join(place.removeprefix(unit + ' ') for place in places)}" if same else ", ".join(places)
            told.append(f"{what}: {listed}{more}")
        if len(hard) > 8:
            told.append(f"and {len(hard) - 8} more kinds")
        remedy = "Mend or drop these rows; " + ("missing: drop leaves rows without text or label out; " if droppable else "")
        raise UserError(
            "Some rows of the corpus cannot be used:\n    " + "\n    ".join([*told, *more_said]), where=str(path),
            remedy=f"{remedy}classes allowed are listed under corpora.custom.classes, splits are train, validation, test.",
        )  # fmt: skip
    return {what: [values.place(row) for row in rows] for what, rows in faults.items()}


def _plausible(rows: Sequence[Row], path: Path) -> None:
    """Refuse columns that can hardly be the right ones.

    Raises
    ------
    UserError
        If nearly every row has a label of its own, or texts are numbers.
    """
    different = len({label for row in rows for label in row.labels})
    if different > max(20, len(rows) / 2):
        raise UserError(
            f"The label column holds {different:,} different labels in {len(rows):,} rows.",
            where=str(path),
            remedy="Is it the right one (labels)?",
        )
    if sum(row.text.replace(".", "").replace("-", "").isdigit() for row in rows) > len(rows) / 2:
        raise UserError("Most texts are numbers.", where=str(path), remedy="Name the column that holds texts (text).")


def read_user(user: UserCorpus, paths: Paths, conflicts: Conflicts = "majority") -> Loaded:
    """Read a corpus of one's own (`understand`). Ids come from the text, so that they do not depend on the order of rows.

    Raises
    ------
    UserError
        As `understand`.
    """
    path = paths.own(user.path)
    return loaded(understand(path, user, conflicts), path)


def loaded(seen: Understanding, path: Path) -> Loaded:
    """Return what a file is understood as, as a reader of corpora tells it."""
    dropped = {what: len(rows) for what, rows in sorted(seen.left_out.items())}
    if seen.conflicts["dropped"]:
        why = ", none of them by most rows" if seen.conflicts["done"] == "majority" else ""
        dropped[f"one text with several labels{why}"] = seen.conflicts["dropped"]
    notes = (*map(str, seen.guesses), *seen.warnings)
    told = {key: value for key, value in seen.conflicts.items() if key != "places"}
    return Loaded(
        distinct(seen.rows), list(seen.classes), seen.task, str(path), dropped, notes, told, UNKNOWN if NOT_ENGLISH in seen.warnings else ""
    )
