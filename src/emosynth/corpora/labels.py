"""Cells as texts and labels. Strings are taken, and numbers of classes; anything else is refused or read by a stated rule, and said."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emosynth.corpora.columns import named_as_raters
from emosynth.corpora.decoding import Notes, fault, some
from emosynth.corpora.headers import MISSING_WORDS
from emosynth.corpora.odd import of_classes, of_spellings
from emosynth.corpora.spelling import clean, key, mixed, normalise, shown
from emosynth.corpora.tables import ABSENT, absent
from emosynth.corpora.values import MARKS, dotted, flag, literal
from emosynth.params import UserCorpus

NO_TEXT, NO_LABEL = "no text", "no label"
KINDS = "Labels are of several kinds"
_INTEGRAL = re.compile(r"([+-]?\d+)\.0+")
_NUMERIC = re.compile(r"[+-]?\d+([.,]\d+)?")
_SEVERAL = re.compile(r"\d+(\s*[,;|/ ]\s*\d+)+")
_RATING = "a label that is a decimal number or a percentage (a rating is no class; class_names declares names)"
_NAMES = "corpora.custom: class_names"
_YES = ("1", "true", "yes", "y", "t", "x", "✓", "✔", "☑", "ja", "wahr", "oui", "vrai", "sí", "sì", "sim", "да")


class Faults(dict[str, list[int]]):
    """Kind of fault -> rows that have it."""

    def add(self, what: str, *rows: int) -> None:
        """Note a fault of rows."""
        self.setdefault(what, []).extend(rows)


@dataclass
class Labels:
    """Labels of all rows, None where a row has none (`Faults` tells why) or is left out by class_names; whether a row may have several."""

    rows: list[tuple[str, ...] | None]
    multi: bool
    left_out: dict[str, list[int]] = field(default_factory=dict)


# --- cells ---------------------------------------------------------------------------------------------------


def kind_of(value: Any) -> str:
    """Return what a value is, in words."""
    names = {bool: "true or false", int: "a number", float: "a number", dict: "an object", list: "a list", bytes: "bytes", str: "text"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), f"a {type(value).__name__}")


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value
    return value


def _wordless(spec: UserCorpus) -> set[str]:
    return {word.casefold() for word in (MISSING_WORDS if spec.missing_words is None else spec.missing_words)}


def texts(values: Iterable[Any], spec: UserCorpus, faults: Faults) -> list[str | None]:
    """Return the normalised text of each cell; None and a fault where there is none."""
    words = _wordless(spec)
    out: list[str | None] = []
    for row, value in enumerate(values):
        value, found = _decoded(value), None
        if isinstance(value, str):
            found = normalise(value)
            if not found or (len(found) < 20 and found.casefold() in words):
                faults.add(f"{NO_TEXT} but the word {found!r} (missing_words)" if found else NO_TEXT, row)
                found = None
        elif absent(value):
            faults.add(NO_TEXT, row)
        else:
            keys = f" with the keys {some(map(str, value))} (text: column.key reads one)" if isinstance(value, dict) else ""
            faults.add(f"a text that is {kind_of(value)}{keys}", row)
        out.append(found)
    return out


def labels(values: Sequence[Any], names: Sequence[list[str] | None], spec: UserCorpus, notes: Notes, faults: Faults) -> Labels:
    """Return the labels of each cell.

    Parameters
    ----------
    names
        For each row the names of numbered labels that its file tells; None: it tells none.
    """
    values = [_decoded(value) for value in values]
    lists, separator = _how_several(values, names, spec, notes)
    multi = separator is not None or lists
    parts: list[list[str] | None] = []
    kinds: Counter[str] = Counter()
    spelt: dict[str, set[str]] = {}
    parsed: dict[tuple[str, int], list[str] | str] = {}
    words = twice = 0
    for row, (value, known) in enumerate(zip(values, names, strict=True)):
        made: list[str] | str | None
        if value == "" or value == [] or absent(value):
            made = f"{NO_LABEL}, for the key is not there" if value is ABSENT else NO_LABEL
        elif isinstance(value, str):
            words += 1
            made = parsed.get((value, id(known)))
            if made is None:
                inner = literal(value) if lists else [part.strip() for part in value.split(separator)] if separator is not None else None
                made = parsed[value, id(known)] = _atoms(inner if inner is not None else [value], known, spec, Counter(), spelt)
        else:
            several = isinstance(value, list) or _choices(value) is not None
            multi |= several
            made = _atoms(value if several else [value], known, spec, kinds, spelt)
        if isinstance(made, str):
            faults.add(made, row)
        twice += isinstance(made, list) and len(set(made)) < len(made)
        parts.append(list(dict.fromkeys(made)) if isinstance(made, list) else None)
    kinds += Counter(text=words)
    if len(kinds) > 1:
        seen = ", ".join(f"{name} ({count:,})" for name, count in sorted(kinds.items()))
        notes.warn(f"{KINDS}: {seen}; equal numbers are one class (class_names names them).")
    if twice:
        notes.warn(
            f"{twice:,} rows name a class more than once, and it counts once: if these are the votes of several people, give each person a column (labels)."
        )
    return _classes(parts, multi, spelt, spec, notes, faults)


def _how_several(values: Sequence[Any], names: Sequence[list[str] | None], spec: UserCorpus, notes: Notes) -> tuple[bool, str | None]:
    """Return whether strings are lists, and what separates several labels in one."""
    words = Counter(value for value in values if isinstance(value, str) and value.strip())
    if spec.label_separator is not None or not words:
        return False, spec.label_separator
    lists = spec.label_lists
    if lists is None:
        held = {word: inner for word in words if (inner := literal(word)) is not None}
        listed, total = sum(words[word] for word in held), words.total()
        lists = listed == total or (bool(held) and all(_choices(inner) is not None for inner in held.values()))
        if lists:
            notes.found("labels", "lists, though written as words", "label_lists")
        elif listed:
            notes.warn(f"{listed:,} of {total:,} labels look like lists; they are taken as words (label_lists).")
    if lists:
        return True, None
    bare = [word.strip() for word in words]
    several = next((word for word in bare if _SEVERAL.fullmatch(word)), None)
    if several is not None and all(_SEVERAL.fullmatch(word) or word.isdigit() for word in bare):
        mark = next(found[0].strip() or " " for word in bare if (found := re.search(r"\s*[,;|/ ]\s*", word)))
        if any(known is not None for known in names):
            notes.found("several labels in one cell", f"numbers separated by {mark!r}", "label_separator")
            return False, mark
        several = next(word for word in words if word.strip() == several)
        notes.warn(f"Labels such as {several!r} may be several labels: label_separator parts them.")
    single = {word.lower() for word in bare}
    for word in sorted(single):
        parts = re.split(r"[,;|/#]", word)
        if sum(map(bool, map(str.strip, parts))) > 1 and any(part.strip() in single for part in parts):
            notes.warn(f"Labels such as {word!r} may be several labels: label_separator parts them; now each is a class of its own.")
            break
    return False, None


def _choices(value: Any) -> list[Any] | None:
    """Return several labels as Label Studio writes them into CSV and JSON-MIN, where one label is a word; None: it is something else."""
    chosen = value.get("choices") if isinstance(value, dict) and len(value) == 1 else None
    return chosen if isinstance(chosen, list) else None


def _atoms(items: Any, known: list[str] | None, spec: UserCorpus, kinds: Counter[str], spelt: dict[str, set[str]]) -> list[str] | str:
    """Return the single labels of a cell as strings; or what is wrong with it."""
    if isinstance(items, dict):
        items = [items] if (chosen := _choices(items)) is None else chosen
    if len({isinstance(item, str) for item in items if isinstance(item, str | int | float)}) > 1:
        return "a label that is a list of words and numbers"
    declared = {str(name).strip().lower() for name in spec.class_names} if isinstance(spec.class_names, dict) else ()
    out = []
    for item in map(_decoded, items):
        raw = str(item)
        if isinstance(item, dict):
            counts = bool(item) and all(isinstance(value, int | float) for value in item.values())
            path = next(dotted(item, spec.labels if isinstance(spec.labels, str) else "column"), "column.key")
            hint = (
                "numbers are read as shares if they sum to 1, or to one number of votes"
                if counts
                else f"a dotted name reads one, as in labels: {path}"
            )
            return f"a label that is an object with the keys {some(map(str, item))} ({hint})"
        if isinstance(item, bool):
            kinds["true or false"] += 1
            raw = raw.lower()
            if raw not in declared:
                return "a label that is true or false (class_names says what they mean)"
        elif absent(item) or not isinstance(item, str | int | float):
            return f"a label that is {'nothing, in a list' if absent(item) else kind_of(item)}"
        elif not isinstance(item, str):
            if isinstance(item, float) and not item.is_integer() and raw not in declared:
                return _RATING
            kinds["whole number" if isinstance(item, int) else "decimal number"] += 1
            raw = str(int(item)) if isinstance(item, int) or item.is_integer() else raw
        text = clean(raw)
        if known is not None and _NUMERIC.fullmatch(text):
            number = int(float(text.replace(",", ".")))
            if not 0 <= number < len(known):
                named = f"({number}; names are given for 0 to {len(known) - 1})"
                return NO_LABEL if number == -1 else f"a label number that has no name {named}"
            text = clean(known[number])
        if text:
            out.append(text)
            spelt.setdefault(text, set()).add(raw)
    return out or NO_LABEL


# --- classes -------------------------------------------------------------------------------------------------


def _classes(
    parts: list[list[str] | None], multi: bool, spelt: dict[str, set[str]], spec: UserCorpus, notes: Notes, faults: Faults
) -> Labels:
    """Apply class_names, missing words, classes and the merge of near-equal labels."""
    every = Counter(atom for row in parts if row is not None for atom in row)
    numeric = bool(every) and all(map(_NUMERIC.fullmatch, every))
    declared: dict[str, str | None] = {}
    if isinstance(spec.class_names, list):
        declared = {str(number): name for number, name in enumerate(spec.class_names)}
    elif spec.class_names is not None:
        for label, name in spec.class_names.items():
            if declared.setdefault(key(str(label)), name) != name:
                raise fault(f"class_names names {str(label)!r} twice, and not alike.", _NAMES, "Name each label once.")
    rename: dict[str, str | None] = {}
    for atom in every:
        name = rename[atom] = _whole(atom) if numeric else atom
        if said := {key(name), key(atom)} & declared.keys():
            other = declared[key(name) if key(name) in said else key(atom)]
            rename[atom] = None if other is None else clean(str(other))
    if isinstance(spec.class_names, dict):
        there = {key(name): name for atom in every for name in (_whole(atom), atom)}
        for label in (label for label in map(str, spec.class_names) if key(label) not in there):
            near = difflib.get_close_matches(key(label), there, n=1)
            told = f"Did you mean {there[near[0]]!r}? " if near else ""
            raise fault(
                f"class_names names {label!r}, and no row has it.", _NAMES, f"{told}There are {some(map(repr, sorted(every)), 20)}."
            )
    bad = _unusable(rename, declared, numeric, spec)
    if spec.classes is not None:
        listed, exact = {key(name): clean(name) for name in spec.classes}, set(map(clean, spec.classes))
        for atom, name in rename.items():
            if name is not None and atom not in bad and name not in exact:
                other = rename[atom] = listed.get(key(name), name) if spec.merge_labels else name
                if other not in exact:
                    bad[atom] = f"an unknown label ({shown(name) if mixed(name) else name})"
    else:
        counts: Counter[str] = Counter()
        for atom, name in rename.items():
            counts.update({name: every[atom]} if name is not None else {})
        groups: dict[str, list[str]] = {}
        for name in sorted({name for atom, name in rename.items() if name is not None and atom not in bad}):
            groups.setdefault(key(name), []).append(name)
        for group in groups.values():
            if len(group) > 1 and spec.merge_labels:
                # of equally frequent spellings the plainest: no capitals, then the first by alphabet
                best = min(group, key=lambda name: (-counts[name], name != name.lower(), len(name), name))
                rename.update({atom: best for atom, name in rename.items() if name in group})
            elif len(group) > 1:
                notes.warn(f"Near-equal labels are classes of their own: {some(map(shown, group), 10)} (merge_labels).")
    for name in sorted({name for name in rename.values() if name is not None}):
        same = [atom for atom, other in rename.items() if other == name and atom not in bad and not {key(atom), atom} & declared.keys()]
        ways = {raw for atom in same for raw in spelt[atom]}
        if len(ways) > 1 or (spec.classes is not None and any(atom != name for atom in same)):
            notes.warn(f"Near-equal labels are one class, {name!r}: {some(map(shown, sorted(ways)), 10)} (merge_labels, or class_names).")
    for line in of_spellings(raw for ways in spelt.values() for raw in ways):
        notes.warn(line)
    for line in of_classes({name for atom, name in rename.items() if name is not None and atom not in bad}, bool(declared), spec):
        notes.warn(line)
    left = Labels([], multi)
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for row, atoms in enumerate(parts):
        made = None
        if atoms is not None:
            if (made := known.get(tuple(atoms))) is None:
                made = known[tuple(atoms)] = tuple(dict.fromkeys(name for atom in atoms if (name := rename[atom]) is not None))
            wrong = next((bad[atom] for atom in atoms if atom in bad), None) if bad else None
            if wrong is not None:
                faults.add(wrong, row)
            elif not made:
                left.left_out.setdefault(f"class_names leaves {some(sorted(atoms))} out", []).append(row)
            made = made if made and wrong is None else None
        left.rows.append(made)
    return left


def _whole(atom: str) -> str:
    return found[1].lstrip("+") if (found := _INTEGRAL.fullmatch(atom)) else atom


def _unusable(rename: Mapping[str, str | None], declared: Mapping[str, Any], numeric: bool, spec: UserCorpus) -> dict[str, str]:
    """Return the labels that are no class, and why: numbers without a name, words that stand for nothing, ratings."""
    words = _wordless(spec) - {
        str(name).strip().casefold() for name in (*(spec.classes or []), *(spec.class_names if isinstance(spec.class_names, dict) else []))
    }
    given = set(spec.class_names) if isinstance(spec.class_names, list) and numeric else None
    bad = {}
    for atom, name in rename.items():
        if name is None:
            continue
        if name == atom and name.casefold() in words and key(name) not in declared:
            bad[atom] = f"{NO_LABEL} but the word {name!r} (missing_words; or list it in classes)"
        elif re.fullmatch(r"[+-]?\d*\.\d+|\d+([.,]\d+)?\s*%", name) and spec.classes is None and key(name) not in declared:
            bad[atom] = _RATING
        elif given is not None and _NUMERIC.fullmatch(name) and name not in given:
            bad[atom] = f"a label number that has no name in class_names ({atom})"
    return bad


# --- columns of marks, and of votes ----------------------------------------------------------------------------


def one_hot(rows: Sequence[Sequence[Any]], columns: Sequence[str], faults: Faults) -> list[Any]:
    """Return for each row of cells the list of columns that say yes, as one of `PAIRS` of marks does; no mark is no."""
    out: list[Any] = []
    for place, row in enumerate(rows):
        flags = [flag(_decoded(value)) for value in row]
        odd = next((name for name, word in zip(columns, flags, strict=True) if word and word not in MARKS), None)
        if odd is not None:
            faults.add(f"a cell of {odd} that is neither 0 nor 1", place)
        out.append(None if odd is not None else [name for name, word in zip(columns, flags, strict=True) if word in _YES])
    return out


def are_votes(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> bool:
    """Return whether columns hold labels, a rater's each, and not marks of yes and no: as they are named, or most cells are no marks."""
    filled = Counter(word in MARKS for row in rows for value in row if (word := flag(_decoded(value))))
    return named_as_raters(columns) or filled[False] > filled[True]


def labels_within(
    flat: Sequence[tuple[int, Any]], names: Sequence[list[str] | None], spec: UserCorpus, notes: Notes
) -> tuple[Labels, dict[str, list[int]], dict[str, list[int]]]:
    """Return the labels of cells of which a row may have several, each with its row; and rows by what is wrong in them, and by what is left out."""
    inner = Faults()
    found = labels([value for _, value in flat], [names[row] for row, _ in flat], spec, notes, inner)
    wrong, left = ({what: sorted({flat[at][0] for at in places}) for what, places in kinds.items()} for kinds in (inner, found.left_out))
    return found, wrong, left


def votes(
    rows: Sequence[Sequence[Any]], columns: Sequence[str], names: Sequence[list[str] | None], spec: UserCorpus, notes: Notes, faults: Faults
) -> tuple[Labels, list[list[tuple[str, ...]]]]:
    """Return the labels that each rater gave each row, and of each row those of the first; a row without any vote has no label."""
    flat = [(row, value) for row, held in enumerate(rows) for value in held if not absent(_decoded(value)) and str(value).strip()]
    found, wrong, left = labels_within(flat, names, spec, notes)
    out: list[list[tuple[str, ...]]] = [[] for _ in rows]
    for (row, _), made in zip(flat, found.rows, strict=True):
        out[row] += [made] if made is not None else []
    for what in [what for what in wrong if not what.startswith(NO_LABEL)]:
        faults.add(what, *wrong[what])
        for row in wrong[what]:
            out[row] = []
    left = {what: lost for what, rows_ in left.items() if (lost := [row for row in rows_ if not out[row]])}
    gone = {row for places in (*left.values(), *faults.values()) for row in places}
    for row, given in enumerate(out):
        if not given and row not in gone:
            faults.add(NO_LABEL, row)
    different = {label for given in out for made in given for label in made}
    if len(different) > 2 and all(map(_NUMERIC.fullmatch, different)):
        notes.warn(
            "The votes are numbers: if they are ratings on a scale, they are no classes, and most of one number says little; write a class for each row (labels)."
        )
    missing = len(rows) * len(columns) - sum(map(len, out))
    notes.found("labels", f"votes of {len(columns)} raters ({missing:,} are missing); corpora.conflicts settles them", "labels")
    return Labels([given[0] if given else None for given in out], found.multi, left), out
