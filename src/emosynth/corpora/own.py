"""A corpus of one's own: what a file or folder of labelled text is understood as, and its rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from emosynth.corpora import labels as cells
from emosynth.corpora import remedies
from emosynth.corpora.columns import THRESHOLD, are_ratings, find, guess_columns, guess_split
from emosynth.corpora.decoding import NO_ROWS, Notes, fault, some
from emosynth.corpora.files import SPLIT_NAMES, Loaded, Row, distinct, uncollected
from emosynth.corpora.layouts import read_tables
from emosynth.corpora.odd import of_columns, of_mixture, of_names, of_texts, of_words, wrapped
from emosynth.corpora.schema import SPLITS, fingerprint
from emosynth.corpora.shares import (
    Conflicts,
    Shares,
    completed,
    flags_of_cells,
    named,
    objects_of_vectors,
    resolved,
    shares_of_cells,
    shares_of_columns,
)
from emosynth.corpora.spelling import clean
from emosynth.corpora.tables import Table, absent
from emosynth.escape import json_text
from emosynth.languages import is_english
from emosynth.params import UserCorpus
from emosynth.paths import Paths

_FEW = 5
"""Rows below which a class is warned of."""
_HEAD = 2000
"""Characters of a text that tell its language."""
NOT_ENGLISH = (
    "These texts do not look English, but the default models, stories and word lists are: name the language (language), and a model that writes "
    "it. Until it is named, what is measured in English alone is left out."
)
UNKNOWN = "und"
"""Tag of a language that nobody named."""
COMMON = frozenset(["the", "and", "to", "of", "that", "my", "you", "for", "this", "with", "have", "not", "but", "are", "it"])
"""Frequent English words that are rare in the languages near it."""


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


@uncollected()
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
        raise fault(NO_ROWS[0], path, NO_ROWS[1])
    if guess:
        spec = _guessed(tables, path, spec, notes, guess)
    faults, values = cells.Faults(), _Values(tables, spec, path, notes)
    if values.text in values.labels:
        raise fault(f"The column {values.text} cannot hold both texts and labels.", path, "Name both columns (text, labels).")
    texts = cells.texts(values.texts, spec, faults)
    found, weights, ballots = _found(values, spec, path, notes, faults)
    multi = found.multi if spec.task is None else spec.task == "multi"
    if not values.several and found.multi and spec.task is None and not any(row is not None and len(row) > 1 for row in found.rows):
        notes.warn("Every list holds one label; the corpus is read as one with several labels a row (task: single reads it as one label).")
    if not multi:
        for place, given in enumerate(found.rows):
            if any(len(labels) > 1 for labels in (ballots[place] if ballots is not None else (given or (),))):
                faults.add("several labels (task: multi, or label_separator, takes them)", place)
    splits = [_split(value, place, faults) for place, value in enumerate(values.splits)] if values.split is not None else None
    more_said = [line for line in notes.warnings if line.startswith(cells.KINDS)]
    if tables[0].format == "excel" and 2 * len(faults.get(cells.NO_LABEL, ())) > len(values.places):
        more_said.append("Cells merged over several rows hold a value in the first of them alone: unmerge them, and fill it down.")
    left_out = _settle(faults, values, path, spec, more_said)
    left_out |= {why: [values.places[row] for row in places] for why, places in found.left_out.items()}
    for table in tables:
        for why, numbers in table.apart.items():
            left_out.setdefault(why, []).extend(f"{table.file + ' ' if table.file else ''}{table.unit} {line}" for line in numbers)
    rows = []
    for place, (text, labels) in enumerate(zip(texts, found.rows, strict=True)):
        split = None if splits is None else splits[place]
        if text is not None and labels is not None and (split is not None or splits is None):
            shares = tuple(weights[place].items()) if weights else ()
            for vote in ballots[place] if ballots is not None else (labels,):
                rows.append(Row(fingerprint(text)[:16], text, vote, split, values.places[place], shares=shares))
    if not rows:
        raise fault("No row can be used.", path, f"Rows were left out: {some(left_out)}. Check text and labels.")
    _plausible(rows, path)
    for line in of_texts(rows):
        notes.warn(line)
    before = {label for row in rows for label in row.labels}
    rows, quarrel = resolved(rows, conflicts, multi, path, notes)
    if ballots is not None:  # raters who agree gave one row
        rows = list({(row.id, row.place): row for row in rows}.values())
    counts = Counter(label for row in rows for label in row.labels)
    if lost := sorted(before - set(counts)):
        notes.warn(f"No row is left of {some(lost)} after texts with several labels were settled (corpora.conflicts).")
    rows = completed(rows, counts, multi, notes)
    classes = [clean(name) for name in spec.classes] if spec.classes is not None else sorted(counts)
    if spec.classes is None and spec.class_names is None:
        for line in (
            *of_names(classes),
            *of_mixture(counts),
            *(of_columns(classes) if values.several and counts.keys() <= set(values.labels) else ()),
        ):
            notes.warn(line)
    if rare := [f"{name} ({count})" for name, count in sorted(counts.items()) if count < _FEW]:
        notes.warn(f"Classes of fewer than {_FEW} rows can hardly be trained and scored: {some(rare, 20)} (class_names leaves them out).")
    head = next((row for row in rows if row.place == values.places[0] and all(counts[name] == 1 for name in row.labels)), None)
    if len(counts) > 2 and head is not None:
        notes.warn(
            f"Nothing but {head.place} is of the class {head.labels[0]!r}: if it tells what the columns hold (a second header), take it out."
        )
    english = _looks_english([row.text for row in rows[:500]])
    if "language" not in spec.model_fields_set and not english:
        notes.warn(NOT_ENGLISH)
    for line in of_words(classes) if english and is_english([spec.language]) else ():
        notes.warn(line)
    first = tables[0]
    return Understanding(
        file=path.name, format=first.format, encoding=first.encoding, separator=first.separator, quoting=first.quoting,
        lines=sum(table.lines for table in tables), columns=first.columns, text=values.text,
        labels=values.labels if values.several else values.labels[0], split=values.split, rows_read=len(values.places), left_out=left_out,
        classes={name: counts[name] for name in dict.fromkeys(classes)}, task="multi" if multi else "single",
        splits={split: sum(row.split == split for row in rows) for split in SPLITS} if splits is not None else {},
        conflicts=quarrel, duplicates=len(rows) - len({row.id for row in rows}), guesses=[Guess(*guess) for guess in notes.guesses],
        warnings=notes.warnings, rows=rows,
    )  # fmt: skip


def _guessed(tables: Sequence[Table], path: Path, spec: UserCorpus, notes: Notes, wanted: Collection[str]) -> UserCorpus:
    taken = [] if len(wanted) > 1 else [spec.labels] if "text" in wanted else [spec.text]
    guess = guess_columns(tables[0], notes, {str(name) for one in taken for name in (one if isinstance(one, list) else [one])})
    lacking = [name for name, value in zip(("text", "labels"), guess, strict=True) if name in wanted and value is None]
    if lacking:
        raise remedies.lacking(tables, lacking, path, notes.warnings)
    found = {name: value for name, value in zip(("text", "labels"), guess, strict=True) if name in wanted and value is not None}
    for name, value in found.items():
        notes.found({"text": "text column", "labels": "label column"}[name], value if isinstance(value, str) else ", ".join(value), name)
    return spec.model_copy(update=found)


class _Values:
    """The cells of the columns wanted, over all tables, and what to call their rows.

    Attributes
    ----------
    text, labels, split
        Names of columns; no split: splits are made here.
    several
        Whether a list of columns of labels is wanted: then ``marks`` holds the cells of each row, else ``given`` the cell.
    names
        For each row the names of numbered labels that its file tells.
    """

    def __init__(self, tables: Sequence[Table], spec: UserCorpus, path: Path, notes: Notes) -> None:
        self.several = isinstance(spec.labels, list)
        self.split: str | None = None
        self.texts: list[Any] = []
        self.given: list[Any] = []
        self.marks: list[list[Any]] = []
        self.splits: list[Any] = []
        self.names: list[list[str] | None] = []
        self.places = [table.place(row) for table in tables for row in range(len(table.rows))]
        for table in tables:
            self.text, take = find(table, spec.text, "text", path, notes)
            self.texts += map(take, table.rows)
            found = [find(table, name, "labels", path, notes) for name in (spec.labels if isinstance(spec.labels, list) else [spec.labels])]
            self.labels, takes = [name for name, _ in found], [take for _, take in found]
            names = None if self.several else table.names.get(self.labels[0])
            self.names += [names] * len(table.rows)
            if self.several:
                self.marks += [[take(row) for take in takes] for row in table.rows]
            else:
                self.given += map(takes[0], table.rows)
            if names is not None and all(table.names.values()):
                notes.found("names of labels", f"from the file ({some(names)})", "class_names")
            own = spec.split
            if own is None and table.split is None:
                own = guess_split(table, notes)
                if own is not None:
                    notes.found("split column", own, "split")
            if own is not None:
                self.split, take = find(table, own, "split", path, notes)
                self.splits += map(take, table.rows)
            else:
                self.split = self.split if table.split is None else "name of the file"
                self.splits += [table.split] * len(table.rows)
        if not any(self.names):
            self.given = objects_of_vectors(self.given, spec.class_names if isinstance(spec.class_names, list) else None, path)
        self.given = flags_of_cells(self.given)
        if self.split is not None and any(table.split is not None for table in tables) and spec.split is None:
            notes.found("splits", "as files or folders are named", "split")


def _found(
    values: _Values, spec: UserCorpus, path: Path, notes: Notes, faults: cells.Faults
) -> tuple[cells.Labels, list[Shares], list[list[tuple[str, ...]]] | None]:
    """Return the labels of each row; its shares, if it has any; and what each rater said, if there are several."""
    soft = None
    if spec.task != "multi":
        soft = shares_of_columns(values.marks, values.labels) if values.several else shares_of_cells(values.given)
    if soft is not None:
        return *named(soft, values.names, spec, notes, faults), None
    if not values.several:
        return cells.labels(values.given, values.names, spec, notes, faults), [], None
    if cells.are_votes(values.marks, values.labels):
        if spec.class_names is None and are_ratings(values.marks, values.labels):
            what = f"The columns {some(values.labels, 20)} hold numbers of a scale: neither classes nor marks of them."
            raise fault(
                what,
                path,
                f"If each is a class, {THRESHOLD}; name the one column that holds classes (labels); or, if they are votes, name the numbers (class_names).",
            )
        found, ballots = cells.votes(values.marks, values.labels, values.names, spec, notes, faults)
        return found, [], ballots
    given = cells.one_hot(values.marks, values.labels, faults)
    found = cells.labels([chosen if chosen is not None else ["0"] for chosen in given], values.names, spec, notes, faults)
    found.multi = any(chosen is not None and len(chosen) > 1 for chosen in given)
    notes.found("task", "several labels a row" if found.multi else "one label a row", "task")
    return found, [], None


def _looks_english(texts: Sequence[str]) -> bool:
    """Tell text of other languages from English: most letters are not Latin, or hardly a word in thirty is one of the frequent ones."""
    texts = [text[:_HEAD] for text in texts]  # one long text is no sample of all
    letters = [letter < "\u0250" for text in texts for letter in text if letter.isalpha()]
    if letters and sum(letters) < len(letters) / 2:
        return False
    words = [word for text in texts for word in re.findall(r"\w+", text.lower())]
    return len(words) < 200 or sum(word in COMMON for word in words) >= 0.03 * len(words)


def _split(value: Any, place: int, faults: cells.Faults) -> str | None:
    found = SPLIT_NAMES.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        faults.add(f"an unknown split ({'nothing' if absent(value) or value == '' else repr(value)[:40]})", place)
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
        given = {"text": values.texts, "labels": values.marks if values.several else values.given}
        raise remedies.unusable(faults, hard, given, values.places, path, spec, more_said)
    return {what: [values.places[row] for row in rows] for what, rows in faults.items()}


def _plausible(rows: Sequence[Row], path: Path) -> None:
    """Refuse columns that can hardly be the right ones.

    Raises
    ------
    UserError
        If nearly every row has a label of its own, or texts are numbers, links, or what programs print.
    """
    different = len({label for row in rows for label in row.labels})
    if different > max(20, len(rows) / 2):
        raise fault(f"The label column holds {different:,} different labels in {len(rows):,} rows.", path, "Is it the right one (labels)?")
    if sum(row.text.replace(".", "").replace("-", "").isdigit() for row in rows) > len(rows) / 2:
        raise fault("Most texts are numbers.", path, "Name the column that holds texts (text).")
    if what := wrapped([row.text for row in rows]):
        raise fault(f"Most texts are {what}.", path, "Name another column (text), or write them as plain text beforehand.")


def read_user(user: UserCorpus, paths: Paths, conflicts: Conflicts = "majority") -> Loaded:
    """Read a corpus of one's own (`understand`). Ids come from the text, so that they do not depend on the order of rows."""
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
    language = UNKNOWN if NOT_ENGLISH in seen.warnings else ""
    return Loaded(distinct(seen.rows), list(seen.classes), seen.task, str(path), dropped, notes, told, language)
