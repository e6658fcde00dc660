"""Several labels of one text: shares that annotators gave it, and rows of a file that contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from emosynth.corpora import labels as cells
from emosynth.corpora.columns import NEAR, whole_of
from emosynth.corpora.decoding import Notes, fault, some
from emosynth.corpora.files import Row
from emosynth.corpora.schema import SPLITS
from emosynth.corpora.tables import absent
from emosynth.corpora.values import literal, number
from emosynth.params import UserCorpus
from emosynth.progress import counted

Conflicts = Literal["majority", "drop", "error", "soft"]
Shares = dict[str, float]

MUCH = 0.05
"""Share of the texts from which it is worth a warning that they are left out."""
_FAULT = "shares of labels that are not from 0 to 1, or do not sum to 1"


# --- shares that a file tells ---------------------------------------------------------------------------


def shares_of_cells(values: Sequence[Any]) -> list[Shares | str | None] | None:
    """Return what cells such as ``{"joy": 0.7, "fear": 0.3}`` hold, a word counting as its label alone.

    Returns
    -------
    list or None
        For each cell its shares, scaled to sum to 1; what is wrong with it; or None: it holds nothing. None: these cells are no shares.
    """
    read = [literal(value) if isinstance(value, str) else value for value in values]
    objects = [value for value in read if isinstance(value, dict)]
    counts = [list(value.values()) for value in objects if value and all(type(one) in (int, float) for one in value.values())]
    if (whole := whole_of(counts)) > 1 and 2 * len(counts) > len(objects):  # votes
        read = [
            {name: one / whole if type(one) in (int, float) else one for name, one in value.items()} if isinstance(value, dict) else value
            for value in read
        ]
        objects = [value for value in read if isinstance(value, dict)]
    if not objects or 2 * sum(_are_shares(value.values()) for value in objects) <= len(objects):
        return None
    return [_scaled(inner) if inner and isinstance(inner, dict) else _word(value, inner) for value, inner in zip(values, read, strict=True)]


def flags_of_cells(values: Sequence[Any]) -> list[Any]:
    """Return cells such as ``{"joy": 1, "fear": 1, "anger": 0}`` as lists of what they say yes to; others as they are."""
    read = [literal(value) if isinstance(value, str) else value for value in values]
    objects = [value for value in read if isinstance(value, dict) and value]
    marks = bool(objects) and all(mark in (0, 1) for value in objects for mark in value.values())
    if not marks or all(sum(value.values()) == 1 for value in objects):  # the latter are shares, each of them whole
        return list(values)
    return [
        [name for name, mark in inner.items() if mark] if isinstance(inner, dict) else value
        for value, inner in zip(values, read, strict=True)
    ]


def objects_of_vectors(values: list[Any], names: Sequence[str] | None, path: Path) -> list[Any]:
    """Return cells such as ``[1, 0, 0]`` or ``[0.7, 0.2, 0.1]``, a number a class, as objects with the names of classes; others as they are.

    Raises
    ------
    UserError
        If there are such cells and not as many names.
    """
    read = [literal(value) if isinstance(value, str) and value[:1] in "[(" else value for value in values]
    vectors = [value for value in read if isinstance(value, list)]
    size = len(vectors[0]) if vectors else 0
    if size < 2 or any(len(vector) != size or not all(type(one) in (int, float) and 0 <= one <= 1 for one in vector) for vector in vectors):
        return values
    if names is None or len(names) != size:
        what = f"Every label is a list of {size} numbers from 0 to 1: one for each class, or what {size} people said?"
        raise fault(what, path, f"Name {size} classes in their order (class_names), or write labels as words.")
    return [dict(zip(names, one, strict=True)) if isinstance(one, list) else value for value, one in zip(values, read, strict=True)]


def _word(value: Any, inner: Any) -> Shares | str | None:
    if absent(value) or value == "" or inner == {}:
        return None
    return {value: 1.0} if isinstance(value, str) and inner in (None, value) else f"a label that is {cells.kind_of(inner)}, among shares"


def shares_of_columns(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> list[Shares | str | None] | None:
    """Return what columns of shares hold, of 1, of 100, or votes of one number of people, as `shares_of_cells`; None: they are 0 and 1."""
    numbers = [[number(value) for value in row] for row in rows]
    whole = whole_of([[value or 0.0 for value in row] for row in numbers if None not in row])
    numbers = [[None if value is None else value / whole for value in row] for row in numbers]
    if not any(value is not None and 0 < value < 1 for row in numbers for value in row):
        return None
    full = [row for row in numbers if None not in row and any(row)]
    if 2 * sum(map(_are_shares, full)) <= len(full):
        return None
    return [_FAULT if None in row else _scaled(dict(zip(names, row, strict=True))) if any(row) else None for row in numbers]


def _are_shares(values: Collection[Any]) -> bool:
    numbers = bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 for value in values)
    return numbers and abs(sum(values) - 1) <= NEAR


def _scaled(given: dict[Any, Any]) -> Shares | str:
    if not _are_shares(given.values()):
        return _FAULT
    total = sum(given.values())
    return {str(label): share / total for label, share in given.items() if share > 0}


def named(
    given: Sequence[Shares | str | None], names: Sequence[list[str] | None], spec: UserCorpus, notes: Notes, faults: cells.Faults
) -> tuple[cells.Labels, list[Shares]]:
    """Return the class of each row, which is its largest share (of equal ones the first by alphabet), and the shares by class.

    Labels are renamed, merged and left out as those of other files; shares of labels that are left out go, and the others are scaled.
    """
    flat = [(row, label, share) for row, held in enumerate(given) if isinstance(held, dict) for label, share in held.items()]
    found, wrong, left = cells.labels_within([(row, label) for row, label, _ in flat], names, spec, notes)
    for what, at in wrong.items():
        faults.add(what, *at)
    for row, held in enumerate(given):
        if not isinstance(held, dict):
            faults.add(held or cells.NO_LABEL, row)
    summed: list[Shares] = [{} for _ in given]
    for (row, _, share), labels in zip(flat, found.rows, strict=True):
        for label in labels or ():
            summed[row][label] = summed[row].get(label, 0.0) + share
    broken = {row for rows in faults.values() for row in rows}
    left = {what: gone for what, at in left.items() if (gone := [row for row in at if not summed[row]])}
    shares = [{label: share / sum(held.values()) for label, share in sorted(held.items())} for held in summed]
    tied = sum(sum(share > max(held.values()) - 1e-9 for share in held.values()) > 1 for held in shares)
    how = f"shares; a row's class is its largest share, of equal ones ({tied:,} rows) the first by alphabet, and the shares are kept"
    notes.found("labels", how, "labels")
    rows: list[tuple[str, ...] | None] = [(largest(held),) if held and row not in broken else None for row, held in enumerate(shares)]
    return cells.Labels(rows, False, left), shares


def largest(shares: Shares) -> str:
    """Return the label of the largest share; of equal ones the first by alphabet."""
    return min(shares, key=lambda label: (-round(shares[label], 9), label))


def completed(rows: list[Row], classes: Collection[str], multi: bool, notes: Notes) -> list[Row]:
    """Return rows that all have shares, of the classes alone; rows as they are if none has any."""
    if not any(row.shares for row in rows):
        return rows
    if lost := sorted({label for row in rows for label, _ in row.shares} - set(classes)):
        notes.warn(f"Labels that are the class of no row are left out of the shares: {some(lost, 20)}.")
    out = []
    for row in rows:
        held = {label: share for label, share in row.shares if label in classes} or dict.fromkeys(row.labels, 1.0)
        total = 1.0 if multi else sum(held.values())
        out.append(replace(row, shares=tuple((label, share / total) for label, share in sorted(held.items()))))
    return out


# --- rows of one text -----------------------------------------------------------------------------------


def resolved(rows: list[Row], how: Conflicts, multi: bool, path: Path, notes: Notes) -> tuple[list[Row], dict[str, Any]]:
    """Return rows of which no text has two labels, and what was done.

    Where labels are shares, what a majority would settle the mean of the shares does.

    Raises
    ------
    UserError
        If there are any and they are to be an error, or nothing is left.
    """
    if how == "majority" and any(row.shares for row in rows):
        how = "soft"
    counts = Counter(row.id for row in rows)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if counts[row.id] > 1:
            groups.setdefault(row.id, []).append(row)
    torn = {key: group for key, group in groups.items() if len({frozenset(row.labels) for row in group}) > 1}
    # votes of several raters on one row have one place
    pairs = ((group[0].place, next(row.place for row in group if set(row.labels) != set(group[0].labels))) for group in torn.values())
    places = [first if first == second else f"{first} and {second}" for first, second in pairs]
    held = sum(len({row.place for row in group}) for group in torn.values())
    if torn and how == "error":
        remedy = "Mend these rows, or set corpora.conflicts: majority, soft or drop."
        raise fault(
            f"{counted(len(torn), 'text')} {'stands' if len(torn) == 1 else 'stand'} with several labels, in {counted(held, 'row')}.",
            f"{path}: {some(places)}",
            remedy,
        )
    kept = [row for row in rows if row.id not in torn]
    whole, untorn = len(kept), {label for row in kept for label in row.labels}
    for group in torn.values():
        labels, shares = _settled(group, how, multi)
        if labels:
            # the text goes where it can leak least: to the test split if it stands there at all
            split = next((name for name in reversed(SPLITS) if any(row.split == name for row in group)), None)
            first = min(group, key=lambda row: row.text)
            kept.append(replace(first, labels=labels, shares=tuple(sorted(shares.items())), split=split, place=group[0].place))
    # the order of equal texts is settled by their labels, not by where they stand in the file
    kept.sort(key=lambda row: (row.id, row.split or "", row.labels, row.shares, row.text))
    ways = _ways(torn.values(), how, multi, untorn) if torn and len({label for row in kept for label in row.labels}) < 2 else None
    if not kept:
        what = "Every text stands with several labels" + (", none of them by most rows." if how == "majority" else ".")
        raise fault(what, path, otherwise(ways or []))
    settled = len(kept) - whole
    lost, texts = len(torn) - settled, len(counts)
    if how == "majority" and lost > MUCH * texts:
        hint = " (conflicts: soft keeps them)" if ways is None or "soft" in ways else ""
        notes.warn(f"{lost:,} of {texts:,} texts are left out, for no label has most of their votes or rows{hint}.")
    told = {"kept": settled, "dropped": lost, "places": places[:20]} | ({} if ways is None else {"ways": ways})
    return kept, {"texts": len(torn), "rows": held, "done": how} | told


def _ways(torn: Collection[Sequence[Row]], how: Conflicts, multi: bool, untorn: Collection[str]) -> list[str]:
    """Return the other ways of settling texts with several labels that leave two classes; ``untorn`` are the labels of all other texts."""
    ways: tuple[Conflicts, ...] = ("majority", "soft", "drop")
    left = {way: {label for group in torn for label in _settled(group, way, multi)[0]} for way in ways if way != how}
    return [way for way, labels in left.items() if len({*untorn, *labels}) > 1]


def otherwise(ways: Sequence[str]) -> str:
    """Return the remedy for texts with several labels of which too little is left, given the ways of settling them that leave more."""
    if ways:
        return f"Mend texts that stand with several labels, or settle them otherwise (corpora.conflicts, --conflicts: {' or '.join(ways)})."
    return (
        "No value of corpora.conflicts (--conflicts) leaves two classes. Give each text one label, or more votes, in further "
        "rows or as columns of raters (labels: [COLUMN, COLUMN, COLUMN]), so that most agree."
    )


def _settled(group: Sequence[Row], how: Conflicts, multi: bool) -> tuple[tuple[str, ...], Shares]:
    """Return the labels and shares that rows of one text agree on; no labels: none."""
    if how == "soft":
        # of a row without shares each label counts 1
        given = [dict(row.shares) or dict.fromkeys(row.labels, 1.0) for row in group]
        every = sorted({label for held in given for label in held})
        shares = {label: sum(held.get(label, 0.0) for held in given) / len(group) for label in every}
        return tuple(label for label, share in shares.items() if multi and share > 0.5) or (largest(shares),), shares
    counts = Counter(label for row in group for label in row.labels) if how == "majority" else Counter[str]()
    if multi:
        return tuple(sorted(label for label, count in counts.items() if count > len(group) / 2)), {}
    most = [label for label, count in counts.items() if count == max(counts.values())]
    return tuple(most) if len(most) == 1 else (), {}


_DONE = {
    "kept": "they stay as published",
    "majority": "the label of most rows was taken",
    "drop": "they were left out",
    "soft": "the mean of their labels is kept as shares, and the largest share is their class",
}


def said_of_conflicts(conflicts: dict[str, Any]) -> str:
    """Return what is said of texts that stand with several labels."""
    if not conflicts["texts"]:
        return "No text stands with several labels."
    lost = conflicts["dropped"] if conflicts["done"] == "majority" else 0
    rest = f"; {lost:,} without a majority were left out" if lost else ""
    return f"{counted(conflicts['texts'], 'text')} {'stands' if conflicts['texts'] == 1 else 'stand'} with several labels, in {counted(conflicts['rows'], 'row')}: {_DONE[conflicts['done']]}{rest}."
