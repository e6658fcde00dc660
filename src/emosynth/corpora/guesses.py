"""Which columns of a table may hold texts, labels, votes and splits: by their names and by what they hold. Close calls are warned about."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from emosynth.corpora.decoding import Notes
from emosynth.corpora.files import SPLIT_NAMES
from emosynth.corpora.headers import LABEL_COLUMNS, SPLIT_COLUMNS, TEXT_COLUMNS, simple
from emosynth.corpora.schema import some
from emosynth.corpora.tables import ABSENT, Table

_LOOKED_AT = 2000
"""Rows that guesses look at, evenly over the file."""

NEAR = 0.02
"""How far a sum of shares may be from 1: 0.33 three times is meant."""

PAIRS = tuple(map(frozenset, (("1", "0"), ("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("x",), ("✓",), ("✔",), ("☑", "☐"))))
"""Marks of columns that say of a class yes or no; no mark is no."""

_OTHER = re.compile(
    r"(.*id|index|nr|no|number|row|.*(user|author|name|handle)|.*date|.*time|created.*|.*timestamp|.*lang|language|source|platform|subreddit|topic|domain|"
    r"country|location|gender|sex|age|year|month|day|.*ur[li]|.*link|.*score|.*count|likes|retweets|.*confidence|.*duration|start|end|version|licen[cs]e|unnamed.*)"
)
"""Names of columns that say of texts what is no class."""
_RATER = re.compile(r"rater|annotator|coder|judge|label+er|worker|turker|expert|vote[r\d]|vote$")
_NUMBERED = re.compile(r"(.*?[a-z])(\d{1,2}|(?<=[_ .-])[a-h])", re.IGNORECASE)
_LINK = re.compile(r"(https?://|www\.)\S+", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def flag(value: Any) -> str:
    """Return a cell as a mark in lower case, whole numbers without decimals; nothing, or a dash, is the empty one."""
    word = "" if value is None or value is ABSENT or value != value else str(value).strip().lower()
    return "" if word in ("-", "–", "—") else word[0] if re.fullmatch(r"[01][.,]0+", word) else word


def number(value: Any) -> float | None:
    """Return a cell as a number, an empty one as 0; None: it is none."""
    if value is None or value is ABSENT or value == "" or value != value:
        return 0.0
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class _Look:
    """What a column holds: shares of cells, and means over those that are filled."""

    name: str
    filled: float
    values: list[str]

    @property
    def different(self) -> int:
        return len(set(self.values))

    @property
    def words(self) -> float:
        # scripts without spaces have about two letters a word
        return sum(max(len(value.split()), sum(char > "\u2e7f" for char in value) / 2) for value in self.values) / len(self.values)

    @property
    def chars(self) -> float:
        return sum(map(len, self.values)) / len(self.values)

    def share(self, pattern: re.Pattern[str]) -> float:
        return sum(pattern.fullmatch(value.strip()) is not None for value in self.values) / len(self.values)

    @property
    def no_text(self) -> str:
        """Why this can hardly be the texts; empty: it can."""
        if self.filled < 0.5:
            return f"{1 - self.filled:.0%} of its cells are empty"
        if self.share(_LINK) > 0.5:
            return "most of its cells are links"
        if self.share(_NUMBER) > 0.5:
            return "most of its cells are numbers"
        if self.words < 1.5:
            return "most of its cells are single words"
        return ""

    @property
    def like_classes(self) -> bool:
        """Whether cells repeat and are short, as classes do."""
        few = 1 < self.different <= max(2, len(self.values) / 2)
        return few and self.chars < 40 and not (self.different > 20 and self.share(_NUMBER) > 0.5)


def _looks(table: Table) -> dict[str, _Look]:
    rows = table.rows[:: max(1, -(-len(table.rows) // _LOOKED_AT))]
    out = {}
    for column, name in enumerate(table.columns):
        values = [str(row[column]) for row in rows if row[column] is not ABSENT and row[column] is not None and str(row[column]).strip()]
        if values:
            out[name] = _Look(name, len(values) / len(rows), values)
    return out


def _named(table: Table, names: Iterable[str], among: Collection[str]) -> list[str]:
    known = {simple(name): name for name in reversed(table.columns)}
    return [known[simple(name)] for name in names if known.get(simple(name)) in among]


def one_hot_columns(table: Table, notes: Notes | None = None) -> list[str]:
    """Return the columns that hold nothing but marks of yes and no, both of them; empty if fewer than two.

    Columns of other marks than most, or named as what is no class (is_retweet), are passed over and warned about.
    """
    found: dict[frozenset[str], list[str]] = {}
    for column, name in enumerate(table.columns):
        some_ = {flag(row[column]) for row in table.rows[:200] if not isinstance(row[column], list | dict)}
        if not any(some_ <= pair | {""} for pair in PAIRS):
            continue
        seen = {flag(row[column]) if not isinstance(row[column], list | dict) else "[]" for row in table.rows}
        pair = next((pair for pair in PAIRS if seen <= pair | {""}), None)
        if pair is not None and len(seen) > 1:
            found.setdefault(pair, []).append(name)
    if not found:
        return []
    most = max(found.values(), key=len)
    classes = [name for name in most if not re.match(r"(is|has|was|contains)[_ -]", name.lower())] or most
    classes = classes if len(classes) > 1 else most
    passed = [name for names in found.values() for name in names if name not in classes]
    if passed and notes is not None and len(classes) > 1:
        notes.warn(f"Columns that hold yes and no too are not taken for classes: {some(passed)} (labels lists the columns that are).")
    return classes if len(classes) > 1 else []


def share_columns(table: Table) -> list[str]:
    """Return the columns of numbers from 0 to 1 that sum to 1 in every row; empty if there are none."""
    numbers = [[number(value) for value in row] for row in table.rows[:_LOOKED_AT]]
    held = [at for at in range(len(table.columns)) if all((value := row[at]) is not None and 0 <= value <= 1 for row in numbers)]
    fit = bool(numbers) and all(abs(sum(row[at] or 0.0 for at in held) - 1) <= NEAR for row in numbers)
    return [table.columns[at] for at in held] if fit and len(held) > 1 else []


def named_as_raters(names: Sequence[str]) -> bool:
    """Return whether columns are named as people who label are: rater1, annotator_b, label_coder_2."""
    return all(_RATER.search(simple(name)) for name in names)


def rater_columns(table: Table, looks: dict[str, _Look] | None = None) -> list[str]:
    """Return the columns that hold a vote of one rater each: named so, or numbered alike, with the same few labels; empty if fewer than two."""
    looks = _looks(table) if looks is None else looks
    groups: dict[str, list[str]] = {}
    for name, look in looks.items():
        if look.different > max(2, min(50, len(look.values) / 2)) or look.chars >= 40 or _LINK.match(look.values[0]):
            continue
        stem = _NUMBERED.fullmatch(name.strip())
        if _RATER.search(simple(name)):
            groups.setdefault("rater", []).append(name)
        elif stem and simple(stem[1]) in {simple(label) for label in LABEL_COLUMNS}:
            groups.setdefault(simple(stem[1]), []).append(name)
    best: list[str] = []
    for names in groups.values():
        for first in names:  # those that share their words with this one
            own = {value.strip().casefold() for value in looks[first].values}
            alike = [name for name in names if 2 * len(own & (held := {v.strip().casefold() for v in looks[name].values})) >= len(held)]
            best = max(best, alike, key=len)
    return best if len(best) > 1 else []


def guess_columns(table: Table, notes: Notes | None = None, taken: Collection[str] = ()) -> tuple[str, str | list[str]] | None:
    """Return the columns that hold texts and labels by their names and by what they hold; None: no column looks like labels.

    Parameters
    ----------
    notes
        Where columns that come near are warned about; None: nowhere.
    taken
        Columns that are something else.
    """
    notes = Notes() if notes is None else notes
    looks = {name: look for name, look in _looks(table).items() if name not in taken}
    if not looks:
        return None
    text = _guess_text(table, looks, notes)
    labels = None if text is None else _guess_labels(table, {name: look for name, look in looks.items() if name != text}, notes)
    return None if text is None or labels is None else (text, labels)


def _guess_text(table: Table, looks: dict[str, _Look], notes: Notes) -> str | None:
    named = _named(table, TEXT_COLUMNS, looks)
    fit = [name for name in looks if not looks[name].no_text and not (looks[name].like_classes and name not in named)]
    ranked = [name for name in named if name in fit] + sorted(
        (name for name in fit if name not in named), key=lambda name: -looks[name].words * looks[name].filled
    )
    if not ranked:
        text = named[0] if named else max(looks, key=lambda name: (looks[name].different > 1, looks[name].filled >= 0.5, looks[name].chars))
        return text if named or looks[text].chars >= 3 else None
    text = ranked[0]
    for name in named:
        if name not in fit and name != text:
            notes.warn(f"The column {name!r} is not taken for the texts, for {looks[name].no_text}; {text!r} is (text).")
    rivals = [name for name in ranked[1:] if looks[name].words >= (3 if name in named else 5)]
    rivals += [name for name in looks if simple(name) in ("title", "subject", "headline") and name not in (*rivals, text)]
    rivals += [name for name, look in looks.items() if look.filled < 0.5 and look.words >= 3 and name not in (*named, text)]
    if rivals:
        told = [f"{name!r} ({looks[name].words:.0f} words a cell, {looks[name].filled:.0%} filled)" for name in (text, *rivals)]
        notes.warn(f"Several columns hold texts: {some(told)}; the first is taken, and the others are not read (text).")
    return text


def _guess_labels(table: Table, looks: dict[str, _Look], notes: Notes) -> str | list[str] | None:
    few = {name: look for name, look in looks.items() if look.like_classes}
    named = _named(table, LABEL_COLUMNS, looks)
    fit = [name for name in named if looks[name].filled >= 0.5 and looks[name].different > 1]
    ones = [] if fit else [name for name in one_hot_columns(table, notes) if name in looks]
    raters = rater_columns(table, looks)
    if len(ones) > 1 and not named_as_raters(ones):
        return ones
    if not fit and raters:
        if not named_as_raters(raters):
            notes.warn(
                f"The columns {some(raters)} are taken for votes of several raters on one label; if a row has several labels, "
                "join them in one column (label_separator)."
            )
        return raters
    if not fit and (shares := share_columns(table)):
        return shares
    other = sorted(
        (name for name in few if not _OTHER.fullmatch(simple(name)) and few[name].filled >= 0.5), key=lambda name: few[name].different
    )
    if not fit and not other and (not named or few):
        other = sorted(few, key=lambda name: (few[name].filled < 0.5, few[name].different))
    ranked = [*fit, *(name for name in (other if fit or other else named) if name not in fit)]
    if not ranked:
        return None
    label = ranked[0]
    numbers = [] if fit or named else [name for name in other if looks[name].share(_NUMBER) == 1]
    if label in numbers and len(numbers) > 1:
        notes.warn(
            f"Columns of numbers: {some(numbers)}; one is taken for the labels. If each counts votes for a class, write 0 and 1, or shares (labels)."
        )
    for name in named:
        if name not in fit and name != label:
            why = f"{1 - looks[name].filled:.0%} of its cells are empty" if looks[name].filled < 0.5 else "its cells are all alike"
            notes.warn(f"The column {name!r} is not taken for the labels, for {why}; {label!r} is (labels).")
    if fit and raters and label not in raters:
        notes.warn(
            f"Columns of raters are not read: {some(raters)}; {label!r} is taken (labels: [{', '.join(raters)}] counts their votes)."
        )
    rivals = [name for name in ranked[1:] if (name in fit or not fit) and name in few and not _same(table, label, name)]
    if rivals:
        told = [f"{name!r} ({looks[name].different} different)" for name in (label, *rivals)]
        notes.warn(f"Several columns may hold labels: {some(told)}; the first is taken (labels).")
    return label


def _same(table: Table, first: str, second: str) -> bool:
    """Return whether two columns part the rows alike, as numbers and names of classes do."""
    one, two = table.columns.index(first), table.columns.index(second)
    pairs = {(str(row[one]), str(row[two])) for row in table.rows[:: max(1, len(table.rows) // _LOOKED_AT)]}
    return len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})


def guess_split(table: Table, notes: Notes) -> str | None:
    """Return the column that is named as one of splits and holds nothing else; one that holds other words too is warned about."""
    for column, name in enumerate(table.columns):
        if simple(name) in SPLIT_COLUMNS:
            seen = {str(row[column]).strip().lower() for row in table.rows if row[column] not in (ABSENT, None, "")}
            if seen and seen <= set(SPLIT_NAMES):
                return name
            if seen & set(SPLIT_NAMES):
                other = sorted(seen - set(SPLIT_NAMES))[0]
                notes.warn(
                    f"The column {name!r} is not taken for splits, since it holds {other!r} too; rows are split by their hash (split)."
                )
    return None
