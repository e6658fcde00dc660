"""Which column of a table is meant, by name, number or dotted path; or which may be, by names and by what columns hold. Close calls are said."""

from __future__ import annotations

import difflib
import functools
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosynth.corpora.decoding import Notes, fault, some
from emosynth.corpora.files import SPLIT_NAMES
from emosynth.corpora.headers import LABEL_COLUMNS, RATER, SPLIT_COLUMNS, TEXT_COLUMNS
from emosynth.corpora.spelling import DATE, LINK, simple
from emosynth.corpora.tables import ABSENT, Table, absent
from emosynth.corpora.values import PAIRS, flag, literal, number, step, unfolded
from emosynth.errors import UserError

_LOOKED_AT = 2000
"""Rows that guesses look at, evenly over the file."""
NEAR = 0.02
"""How far a sum of shares may be from 1: 0.33 three times is meant."""
_MANY = 1000
"""People, at most, whose votes are counted in columns."""

_OTHER = re.compile(
    r"(.*id|index|nr|no|number|row|.*(user|author|name|handle)|.*date|.*time|created.*|.*timestamp|.*lang|language|source|platform|subreddit|topic|domain|"
    r"country|location|gender|sex|age|year|month|day|.*ur[li]|.*link|.*score|.*count|likes|retweets|.*confidence|.*duration|start|end|version|licen[cs]e|unnamed.*)"
)
"""Names of columns that say of texts what is no class."""
_PERSON = re.compile(
    r"(fe)?male|(wo)?man|m(ä|ae)nnlich|weiblich|homme|femme|adult|minor|student|employed|married|native(speaker)?|verified|consent(ed)?|"
    r"retweet(ed)?|reply|quoted?|edited|deleted|bot|spam|anonymous|duplicate|valid|complete(d)?|checked|reviewed|train(ing)?|test"
)
"""Names of columns of yes and no that say something of who wrote, or of the row: no class among others that are."""
_LABEL_NAMES = frozenset(map(simple, LABEL_COLUMNS))
_MADE = re.compile(r"pred|model|auto|machine|bot|gpt|system")
"""What columns of labels are called that no person gave."""
_AGREED = re.compile(
    r"(gold|consensus|majority|final|aggregated?|adjudicated|agreed)(standard|labels?|emotions?|sentiment|class|category|votes?|answer)?"
)
"""What a column of labels is called that several people's were settled to."""
_NUMBERED = re.compile(r"(.*?[a-z])(\d{1,2}|(?<=[_ .-])[a-h])", re.IGNORECASE)
THRESHOLD = "write 0 and 1, or shares, in place of the scale: 1 from the value on from which a row has the class"
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?(e[+-]?\d+)?", re.IGNORECASE)


# --- columns that are named ------------------------------------------------------------------------------------


def find(table: Table, wanted: str | int, parameter: str, path: Path, notes: Notes) -> tuple[str, Callable[[Sequence[Any]], Any]]:
    """Return the name of a column and what takes its value out of a row.

    Raises
    ------
    UserError
        If there is no such column, or two that differ in case or spaces only; proposes what there is.
    """
    name, rest = str(wanted), []
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(table.columns):
            raise _no_column(table, name, parameter, path)
        name = table.columns[wanted - 1]
    elif wanted not in table.columns:
        loose = [column for column in table.columns if simple(column) == simple(wanted)] if simple(wanted) else []
        first, *rest = wanted.split(".")
        if len(loose) > 1:
            raise fault(f"Several columns may be {wanted}: {some(loose)}.", path, f"Name one as it is spelt ({parameter}).")
        if loose:
            name, rest = loose[0], []
            notes.found(f"column of {parameter}", f"{name!r} for {wanted!r}", parameter)
        elif rest and first in table.columns:
            at = table.columns.index(first)
            return wanted, lambda row: functools.reduce(step, rest, row[at])
        else:
            raise _no_column(table, wanted, parameter, path)
    place = wanted - 1 if isinstance(wanted, int) else table.columns.index(name)
    return name, lambda row: row[place]


def _no_column(table: Table, wanted: str, parameter: str, path: Path) -> UserError:
    where = f"{path}: {'header' if table.header and table.format in ('delimited', 'excel') else 'columns'}"
    guess = [one if isinstance(one, str | None) else f"[{', '.join(one)}]" for one in guess_columns(table)]
    near = "" if None in guess else f"Perhaps text: {guess[0]}, labels: {guess[1]}. "
    if not table.header:
        what = f"There is no column {wanted}, for the file has no header: columns are {some(table.columns, 20)}."
        return fault(what, where, f"{near}Name columns by number in corpora.custom (text: 1, labels: 2), or say header: true.")
    if close := difflib.get_close_matches(wanted, table.columns, n=1):
        near = f"Did you mean {close[0]}? --{parameter} {shlex.quote(close[0])}. "
    if not close and parameter == "labels" and (ones := one_hot_columns(table) or share_columns(table)):
        near = f"For one column a class: labels: [{', '.join(ones)}]. "
    what = f"There is no column {wanted}; there are {some(table.columns, 20)}."
    inside = paths_within(table, ("text", "labels"))
    return fault(what + inside, where, f"{near}Name the columns of the file in corpora.custom (text, labels, split).")


# --- columns that are guessed ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Look:
    """What a column holds: the share of cells that are filled, whether most of these are objects, and means over these."""

    filled: float
    values: list[str]
    objects: bool = False

    @functools.cached_property
    def different(self) -> int:
        return len(set(self.values))

    @functools.cached_property
    def words(self) -> float:
        # scripts without spaces have about two letters a word
        return sum(max(len(value.split()), sum(char > "\u2e7f" for char in value) / 2) for value in self.values) / len(self.values)

    @functools.cached_property
    def chars(self) -> float:
        return sum(map(len, self.values)) / len(self.values)

    def share(self, pattern: re.Pattern[str]) -> float:
        return sum(pattern.fullmatch(value.strip()) is not None for value in self.values) / len(self.values)

    @functools.cached_property
    def no_text(self) -> str:
        """Why this can hardly be the texts; empty: it can."""
        if self.filled < 0.5:
            return f"{1 - self.filled:.0%} of its cells are empty"
        for pattern, what in ((LINK, "links"), (_NUMBER, "numbers")):
            if self.share(pattern) > 0.5:
                return f"most of its cells are {what}"
        return "most of its cells are single words" if self.words < 1.5 else ""

    @functools.cached_property
    def like_classes(self) -> bool:
        """Whether cells repeat and are short, as classes do."""
        few = 1 < self.different <= max(2, len(self.values) / 2)
        return few and self.chars < 40 and not (self.different > 20 and self.share(_NUMBER) > 0.5)


def _looks(table: Table) -> dict[str, _Look]:
    rows = table.rows[:: max(1, -(-len(table.rows) // _LOOKED_AT))]
    out = {}
    for column, name in enumerate(table.columns):
        values = [word for row in rows if row[column] is not ABSENT and row[column] is not None and (word := str(row[column])).strip()]
        if values:
            inside = sum(isinstance(literal(row[column]) if isinstance(row[column], str) else row[column], dict) for row in rows)
            out[name] = _Look(len(values) / len(rows), values, 2 * inside > len(values))
    return out


def _named(table: Table, names: Iterable[str], among: Collection[str]) -> list[str]:
    known: dict[str, list[str]] = {}
    for column in table.columns:
        known.setdefault(simple(column), []).extend([column] if column in among else [])
    return [column for name in names for column in known.get(simple(name), ())]


def paths_within(table: Table, wanted: Collection[str]) -> str:
    """Return the dotted paths into the objects of a table, in words, and which of them may be the texts and the labels; empty: it has none."""
    if (flat := unfolded(table)) is None:
        return ""
    guess = zip(("text", "labels"), guess_columns(flat), strict=True)
    best = [f"--{name} {found}" for name, found in guess if isinstance(found, str) and name in wanted]
    inside = some([name for name in flat.columns if name not in table.columns], 12)
    return f" Objects are read by dotted paths: {inside}{'; e.g. ' + ' '.join(best) if best else ''}."


def one_hot_columns(table: Table, notes: Notes | None = None) -> list[str]:
    """Return the columns that hold nothing but marks of yes and no, both of them; empty if fewer than two.

    Columns of other marks than most, or named as what is no class (is_retweet), are passed over and warned about.
    """
    found: dict[frozenset[str], list[str]] = {}
    never: dict[str, set[str]] = {}
    for column, name in enumerate(table.columns):
        for rows in (table.rows[:200], table.rows):  # few columns are worth a look at all rows
            seen = {"[]" if isinstance(row[column], list | dict) else flag(row[column]) for row in rows}
            pair = next((pair for pair in PAIRS if seen <= pair | {""}), None)
            if pair is None:
                break
        if pair is not None and len(seen) > 1:
            found.setdefault(pair, []).append(name)
        elif pair is not None and any(seen) and not _OTHER.fullmatch(simple(name)):
            never[name] = seen
    marks, most = max(found.items(), key=lambda item: len(item[1]), default=(frozenset(), []))
    classes = [name for name in most if not (re.match(r"(is|has|was|contains)[_ -]", name.lower()) or _PERSON.fullmatch(simple(name)))]
    classes = classes if len(classes) > 1 else most
    passed = [name for names in found.values() for name in names if name not in classes]
    if notes is not None and len(classes) > 1 and (alike := [name for name, seen in never.items() if seen <= marks]):
        notes.warn(
            f"Columns that hold one mark in every row are not taken for classes: {some(alike, 20)} (labels lists the columns that are)."
        )
    if passed and notes is not None and len(classes) > 1:
        notes.warn(f"Columns that hold yes and no too are not taken for classes: {some(passed)} (labels lists the columns that are).")
    return classes if len(classes) > 1 else []


def whole_of(rows: Sequence[Sequence[float]]) -> float:
    """Return what rows of shares sum to: 100 (per cent), or one number of votes, if they are counts; 1 if to neither."""
    sums = [sum(row) for row in rows if any(row)]
    usual = Counter(map(round, sums)).most_common(1)[0][0] if sums else 1
    if max(map(max, rows), default=0) <= 1 or not 1 < usual <= _MANY:
        return 1.0
    counts = usual != 100 and all(float(value).is_integer() for row in rows for value in row)
    kinds = {tuple(sorted(row)) for row in rows if any(row)}
    if counts and len(kinds) == 1 and (0 not in (kind := kinds.pop()) or len(set(kind)) > 2):
        return 1.0  # the same numbers in every row, in other orders: ranks, or 1 for yes and 2 for no
    fit = sum(total == usual if counts else usual == 100 and abs(total - 100) <= 100 * NEAR for total in sums)
    return float(usual) if 2 * fit > len(sums) else 1.0


def share_columns(table: Table) -> list[str]:
    """Return the columns of numbers that sum to 1, to 100, or to one number of votes in every row; empty if there are none."""
    numbers = [[number(value) for value in row] for row in table.rows[:_LOOKED_AT]]
    columns = list(zip(*numbers, strict=True))
    plain = [at for at, held in enumerate(columns) if all(value is not None and value >= 0 for value in held)]
    small = [at for at in plain if all(value is not None and value <= 1 for value in columns[at])]
    for tried in (small, [at for at in plain if not _OTHER.fullmatch(simple(table.columns[at]))]):
        held = [[row[at] or 0.0 for at in tried] for row in numbers]
        if len(tried) > 1 and (whole := whole_of(held)) and all(abs(sum(row) / whole - 1) <= NEAR for row in held):
            return [table.columns[at] for at in tried]
    return []


def named_as_raters(names: Sequence[str]) -> bool:
    """Return whether columns are named as people who label are: rater1, annotator_b, label_coder_2."""
    return all(RATER.search(simple(name)) for name in names)


def are_ratings(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> bool:
    """Return whether columns hold numbers of a scale, a class each, and not votes: they are named neither as raters nor alike with a number."""
    stems = {found[1] if (found := _NUMBERED.fullmatch(name.strip())) else name for name in names}
    filled = [str(value).strip() for row in rows for value in row if not absent(value) and str(value).strip()]
    return len(stems) == len(names) and not named_as_raters(names) and bool(filled) and all(map(_NUMBER.fullmatch, filled))


def _rater_columns(looks: Mapping[str, _Look]) -> list[str]:
    """Return the columns that hold a vote of one rater each: named so, or numbered alike, with the same few labels; empty if fewer than two."""
    groups: dict[str, list[str]] = {}
    for name, look in looks.items():
        if look.different > max(2, min(50, len(look.values) / 2)) or look.chars >= 40 or LINK.match(look.values[0]):
            continue
        stem = _NUMBERED.fullmatch(name.strip())
        if RATER.search(simple(name)):
            groups.setdefault("rater", []).append(name)
        elif stem and simple(stem[1]) in _LABEL_NAMES:
            groups.setdefault(simple(stem[1]), []).append(name)
    best: list[str] = []
    for names in groups.values():
        held = {name: {value.strip().casefold() for value in looks[name].values} for name in names}
        for first in names:  # those that share their words with this one
            best = max(best, [name for name in names if 2 * len(held[first] & held[name]) >= len(held[name])], key=len)
    return best if len(best) > 1 else []


def guess_columns(table: Table, notes: Notes | None = None, taken: Collection[str] = ()) -> tuple[str | None, str | list[str] | None]:
    """Return the columns that hold texts and labels by their names and by what they hold; None: no column looks like them.

    Parameters
    ----------
    notes
        Where columns that come near are warned about; None: nowhere.
    taken
        Columns that are something else.
    """
    notes = Notes() if notes is None else notes
    looks = {name: look for name, look in _looks(table).items() if name not in taken}
    plain = {name: look for name, look in looks.items() if not look.objects}
    text, rivals = _guess_text(table, plain, notes) if plain else (None, [])
    rest = {name: look for name, look in looks.items() if name != text}
    labels = _guess_labels(table, rest, notes) if rest else None
    if text is not None and labels is None and len(plain) < len(looks) and looks[text].like_classes:
        # texts within objects leave the labels alone to be taken for texts
        text, labels = None, _guess_labels(table, plain, notes)
    if rivals := [name for name in rivals if name != labels]:
        told = [f"{name!r} ({looks[name].words:.0f} words a cell, {looks[name].filled:.0%} filled)" for name in (str(text), *rivals)]
        notes.warn(f"Several columns hold texts: {some(told)}; the first is taken, and the others are not read (text).")
    return text, labels


def _guess_text(table: Table, looks: dict[str, _Look], notes: Notes) -> tuple[str | None, list[str]]:
    """Return the column of texts, and others that may be."""
    named = _named(table, TEXT_COLUMNS, looks)
    fit = [name for name, look in looks.items() if not look.no_text and not (look.like_classes and name not in named)]
    ranked = [name for name in named if name in fit]
    ranked += sorted((name for name in fit if name not in named), key=lambda name: -looks[name].words * looks[name].filled)
    if not ranked:
        text = named[0] if named else max(looks, key=lambda name: (looks[name].different > 1, looks[name].filled >= 0.5, looks[name].chars))
        return text if named or looks[text].chars >= 3 else None, []
    text = ranked[0]
    for name in named:
        if name not in fit and name != text:
            notes.warn(f"The column {name!r} is not taken for the texts, for {looks[name].no_text}; {text!r} is (text).")
    rivals = [name for name in ranked[1:] if looks[name].words >= (3 if name in named else 5)]
    rivals += [name for name in looks if simple(name) in ("title", "subject", "headline") and name not in (*rivals, text)]
    rivals += [name for name, look in looks.items() if look.filled < 0.5 and look.words >= 3 and name not in (*named, text)]
    return text, rivals


def _guess_labels(table: Table, looks: dict[str, _Look], notes: Notes) -> str | list[str] | None:
    few = {name: look for name, look in looks.items() if look.like_classes}
    named = list(dict.fromkeys([*(name for name in few if _AGREED.fullmatch(simple(name))), *_named(table, LABEL_COLUMNS, looks)]))
    fit = [name for name in named if looks[name].filled >= 0.5 and looks[name].different > 1]
    raters = _rater_columns(looks)
    if not fit:
        ones = [name for name in one_hot_columns(table, notes) if name in looks]
        if len(ones) > 1 and not named_as_raters(ones):
            return ones
        if raters and not named_as_raters(raters):
            notes.warn(
                f"The columns {some(raters)} are taken for votes of several raters on one label; if a row has several labels, "
                "join them in one column (label_separator)."
            )
        if several := raters or share_columns(table):
            return several
    if not named and (hollow := _named(table, LABEL_COLUMNS, set(table.columns) - set(looks))):
        notes.warn(f"Nothing stands in the column of labels: {some(hollow)}.")
        return None
    plain = [name for name, look in few.items() if not _OTHER.fullmatch(simple(name)) and look.filled >= 0.5 and look.share(DATE) <= 0.5]
    other = sorted(plain, key=lambda name: (_MADE.search(simple(name)) is not None, few[name].different))
    if not fit and not other and (not named or few):
        other = sorted(few, key=lambda name: (few[name].filled < 0.5, few[name].different))
    ranked = list(dict.fromkeys([*fit, *(other if fit or other else named)]))
    if not ranked:
        return None
    label = _names_of(table, ranked[0], few, notes)
    numbers = [] if fit or named else [name for name in other if looks[name].share(_NUMBER) == 1]
    if label in numbers and len(numbers) > 1:
        at = [table.columns.index(name) for name in numbers]
        rated = are_ratings([[row[place] for place in at] for row in table.rows[:_LOOKED_AT]], numbers)
        how = f"If each is a class, {THRESHOLD}." if rated else "If each holds the votes of a rater, list them (labels)."
        notes.warn(f"Columns of numbers that may be labels: {some(numbers)}. {how}")
        return None
    for name in named:
        if name not in fit and name != label:
            why = f"{1 - looks[name].filled:.0%} of its cells are empty" if looks[name].filled < 0.5 else "its cells are all alike"
            notes.warn(f"The column {name!r} is not taken for the labels, for {why}; {label!r} is (labels).")
    if fit and raters and label not in raters:
        notes.warn(
            f"Columns of raters are not read: {some(raters)}; {label!r} is taken (labels: [{', '.join(raters)}] counts their votes)."
        )
    settled = _AGREED.fullmatch(simple(label)) is not None
    rivals = [name for name in ranked[1:] if (name in fit or not fit or settled) and name in few and not _same(table, label, name)]
    rivals = [name for name in rivals if not (settled and name in raters)]
    stem = re.sub(r"\d{1,2}$", "", simple(label))
    alike = [name for name in looks if stem != simple(label) and re.fullmatch(re.escape(stem) + r"\d{1,2}", simple(name))]
    rivals += [name for name in alike if name not in (label, *rivals) and looks[name].chars < 40 and looks[name].words < 5]
    if rivals:
        told = [f"{name!r} ({looks[name].different} different)" for name in (label, *rivals)]
        held = [{value.strip().casefold() for value in looks[name].values} for name in (label, *rivals)]
        more = ""
        if set(rivals) <= set(alike):
            more = " If a row has several labels, join them in one column (label_separator)."
        elif any(held[0] & other for other in held[1:]) and not settled and not any(word in simple(label) for word in _LABEL_NAMES):
            more = f" If each is a class, and its cells are answers on one scale, {THRESHOLD}."
        notes.warn(f"Several columns may hold labels: {some(told)}; the first is taken (labels).{more}")
    return label


def _names_of(table: Table, label: str, few: Mapping[str, _Look], notes: Notes) -> str:
    """Return the column that holds a name for each number of a column of labels; the column itself, if there is none or it holds no numbers."""
    if label not in few or few[label].share(_NUMBER) < 1:
        return label
    names = [
        name for name, look in few.items() if look.filled >= few[label].filled and not look.share(_NUMBER) and _same(table, label, name)
    ]
    if not names:
        return label
    notes.found("column of labels", f"{names[0]!r}, a name for each number of {label!r}", "labels")
    return names[0]


def _same(table: Table, first: str, second: str) -> bool:
    """Return whether two columns part the rows alike, and one holds numbers, or the same words, as numbers and names of classes do."""
    one, two = table.columns.index(first), table.columns.index(second)
    pairs = {(str(row[one]), str(row[two])) for row in table.rows[:: max(1, len(table.rows) // _LOOKED_AT)]}
    told = any(all(map(_NUMBER.fullmatch, side)) for side in zip(*pairs, strict=True))
    alike = all(simple(max(pair, key=len)).startswith(simple(min(pair, key=len))) for pair in pairs)
    return (told or alike) and len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})


def guess_split(table: Table, notes: Notes) -> str | None:
    """Return the column that is named as one of splits and holds nothing else; one that holds other words too is warned about."""
    for column, name in enumerate(table.columns):
        if simple(name) in SPLIT_COLUMNS:
            seen = {str(row[column]).strip().lower() for row in table.rows if row[column] not in (ABSENT, None, "")}
            if other := sorted(seen - set(SPLIT_NAMES)):
                if len(other) < len(seen):
                    told = f"The column {name!r} is not taken for splits, since it holds {other[0]!r} too; rows are split by their hash (split)."
                    notes.warn(told)
            elif seen:
                return name
    return None
