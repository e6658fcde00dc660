"""Values of cells as texts and labels. Strings are taken, and numbers of classes; anything else is refused or read by a stated rule."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from emosynth.corpora.alike import clean, key, mixed, shown, skeleton
from emosynth.corpora.columns import literal
from emosynth.corpora.decoding import Notes
from emosynth.corpora.guesses import PAIRS, flag, named_as_raters
from emosynth.corpora.schema import some
from emosynth.corpora.tables import ABSENT
from emosynth.params import UserCorpus
from emosynth.text import normalise

MISSING_WORDS = (
    "nan", "null", "none", "n/a", "na", "nil", "nat", "<na>", "<nan>", "undefined", "-", "?", "#n/a", "#na", "#null!", "#ref!", "#value!", "#name?",
    "#div/0!", "#num!",
)  # fmt: skip
"""What programs write where there is nothing, in lower case."""

NO_TEXT, NO_LABEL = "no text", "no label"
_INTEGRAL = re.compile(r"([+-]?\d+)\.0+")
_NUMERIC = re.compile(r"[+-]?\d+([.,]\d+)?")
_SEVERAL = re.compile(r"\d+(\s*[,;|/ ]\s*\d+)+")
KINDS = "Labels are of several kinds"
_RATING = "a label that is a decimal number (a rating is no class; class_names declares names)"
_YES_NO = {"true", "false", "yes", "no"}


class Faults(dict[str, list[int]]):
    """Kind of fault -> rows that have it."""

    def add(self, what: str, row: int) -> None:
        """Note a fault of a row."""
        self.setdefault(what, []).append(row)


def _words(spec: UserCorpus) -> frozenset[str]:
    return frozenset(word.casefold() for word in (MISSING_WORDS if spec.missing_words is None else spec.missing_words))


def missing_words(spec: UserCorpus) -> frozenset[str]:
    """Return the words that stand for no label: not those that the parameters declare to be classes."""
    words = _words(spec)
    declared = [*(spec.classes or []), *(spec.class_names if isinstance(spec.class_names, dict) else [])]
    return words - {str(name).strip().casefold() for name in declared}


def kind_of(value: Any) -> str:
    """Return what a value is, in words."""
    names = {bool: "true or false", int: "a number", float: "a number", dict: "an object", list: "a list", bytes: "bytes", str: "text"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), f"a {type(value).__name__}")


def absent(value: Any) -> bool:
    """Return whether a cell holds nothing: null, NaN, or no such key."""
    return value is None or value is ABSENT or (isinstance(value, float) and value != value)


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value
    return value


def texts(values: Iterable[Any], spec: UserCorpus, faults: Faults) -> list[str | None]:
    """Return the normalised text of each cell; None and a fault where there is none."""
    words = _words(spec)
    out: list[str | None] = []
    for row, value in enumerate(values):
        value, found = _decoded(value), None
        if absent(value):
            faults.add(NO_TEXT, row)
        elif not isinstance(value, str):
            keys = f" with the keys {some(map(str, value))} (text: column.key reads one)" if isinstance(value, dict) else ""
            faults.add(f"a text that is {kind_of(value)}{keys}", row)
        else:
            found = normalise(value)
            if not found or (len(found) < 20 and found.casefold() in words):
                faults.add(f"{NO_TEXT} but the word {found!r} (missing_words)" if found else NO_TEXT, row)
                found = None
        out.append(found)
    return out


@dataclass
class Labels:
    """Labels of all rows, None where a row has none (`Faults` tells why) or is left out by class_names; whether a row may have several."""

    rows: list[tuple[str, ...] | None]
    multi: bool
    left_out: dict[str, list[int]] = field(default_factory=dict)


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
    for row, (value, known) in enumerate(zip(values, names, strict=True)):
        if absent(value) or value == "" or value == []:
            faults.add(f"{NO_LABEL}, for the key is not there" if value is ABSENT else NO_LABEL, row)
            parts.append(None)
            continue
        if isinstance(value, str):
            seen = (value, id(known))
            if seen not in parsed:
                inner = literal(value) if lists else [part.strip() for part in value.split(separator)] if separator is not None else None
                parsed[seen] = _atoms(inner if inner is not None else [value], known, spec, Counter(), spelt)
            made = parsed[seen]
            kinds["text"] += 1
        else:
            multi |= isinstance(value, list)
            made = _atoms(value if isinstance(value, list) else [value], known, spec, kinds, spelt)
        if isinstance(made, str):
            faults.add(made, row)
            parts.append(None)
        else:
            parts.append(made)
    _kinds(kinds, notes)
    return _named(parts, multi, spelt, spec, notes, faults)


def _how_several(values: Sequence[Any], names: Sequence[list[str] | None], spec: UserCorpus, notes: Notes) -> tuple[bool, str | None]:
    """Return whether strings are lists, and what separates several labels in one."""
    words = [value for value in values if isinstance(value, str) and value.strip()]
    if spec.label_separator is not None or not words:
        return False, spec.label_separator
    lists = spec.label_lists
    if lists is None:
        look = Counter(literal(word) is not None for word in words)
        lists = bool(look[True]) and not look[False]
        if lists:
            notes.found("labels", "lists, though written as words", "label_lists")
        elif look[True]:
            notes.warn(f"{look[True]:,} of {len(words):,} labels look like lists; they are taken as words (label_lists).")
    if lists:
        return True, None
    if any(_SEVERAL.fullmatch(word.strip()) for word in words) and all(_SEVERAL.fullmatch(w.strip()) or w.strip().isdigit() for w in words):
        mark = next(found[0].strip() or " " for w in words if (found := re.search(r"\s*[,;|/ ]\s*", w.strip())))
        if any(known is not None for known in names):
            notes.found("several labels in one cell", f"numbers separated by {mark!r}", "label_separator")
            return False, mark
        notes.warn(
            f"Labels such as {next(w for w in words if _SEVERAL.fullmatch(w.strip()))!r} may be several labels: label_separator parts them."
        )
    single = {word.strip().lower() for word in words}
    for word in sorted(single):
        parts = [part.strip() for part in re.split(r"[,;|/]", word)]
        if len(parts) > 1 and any(part in single for part in parts):
            notes.warn(f"Labels such as {word!r} may be several labels: label_separator parts them; now each is a class of its own.")
            break
    return False, None


def _atoms(items: Any, known: list[str] | None, spec: UserCorpus, kinds: Counter[str], spelt: dict[str, set[str]]) -> list[str] | str:
    """Return the single labels of a cell as strings; or what is wrong with it."""
    if isinstance(items, dict):
        # Label Studio writes several into a CSV so
        items = items["choices"] if set(items) == {"choices"} and isinstance(items["choices"], list) else [items]
    out = []
    if len({isinstance(item, str) for item in items if isinstance(item, str | int | float)}) > 1:
        return "a label that is a list of words and numbers"
    for item in items:
        item = _decoded(item)
        if isinstance(item, dict):
            inner = next((name for name in ("label", "name", "value") if isinstance(item.get(name), str)), None) or next(iter(item), "key")
            return f"a label that is an object with the keys {some(map(str, item))} (a dotted name reads one, as in labels: label.{inner})"
        if isinstance(item, bool):
            kinds["true or false"] += 1
        if isinstance(item, bool) and not _declared(str(item).lower(), spec):
            return "a label that is true or false (class_names says what they mean)"
        if absent(item) or isinstance(item, list | bytes) or not isinstance(item, str | int | float):
            return f"a label that is {'nothing, in a list' if absent(item) else kind_of(item)}"
        if isinstance(item, float) and not item.is_integer() and not _declared(str(item), spec):
            return _RATING
        if isinstance(item, int | float) and not isinstance(item, bool):
            kinds["whole number" if isinstance(item, int) else "decimal number"] += 1
        text = (
            str(item).lower() if isinstance(item, bool) else str(int(item)) if isinstance(item, float) and item.is_integer() else str(item)
        )
        raw, text = text, clean(text)
        if known is not None and _NUMERIC.fullmatch(text):
            number = int(float(text.replace(",", ".")))
            if not 0 <= number < len(known):
                return (
                    NO_LABEL if number == -1 else f"a label number that has no name ({number}; names are given for 0 to {len(known) - 1})"
                )
            text = clean(known[number])
        if text:
            out.append(text)
            spelt.setdefault(text, set()).add(raw)
    return list(dict.fromkeys(out)) or NO_LABEL


def _declared(text: str, spec: UserCorpus) -> bool:
    return isinstance(spec.class_names, dict) and text in {str(name).strip().lower() for name in spec.class_names}


def _kinds(kinds: Counter[str], notes: Notes) -> None:
    if len(kinds) > 1:
        seen = ", ".join(f"{name} ({count:,})" for name, count in sorted(kinds.items()))
        notes.warn(f"{KINDS}: {seen}; equal numbers are one class (class_names names them).")


def _named(
    parts: list[list[str] | None], multi: bool, spelt: dict[str, set[str]], spec: UserCorpus, notes: Notes, faults: Faults
) -> Labels:
    """Apply class_names, missing words, classes and the merge of near-equal labels."""
    every = Counter(atom for row in parts if row is not None for atom in row)
    rename: dict[str, str | None] = {atom: atom for atom in every}
    numeric = bool(every) and all(_NUMERIC.fullmatch(atom) for atom in every)
    if numeric:
        rename = {atom: found[1].lstrip("+") if (found := _INTEGRAL.fullmatch(atom)) else atom for atom in every}
    declared: dict[str, str | None] = {}
    if isinstance(spec.class_names, list):
        declared = {str(number): name for number, name in enumerate(spec.class_names)}
    elif spec.class_names is not None:
        declared = {key(str(label)): name for label, name in spec.class_names.items()}
    for atom, name in list(rename.items()):
        if name is not None and (key(name) in declared or key(atom) in declared):
            rename[atom] = declared.get(key(name), declared.get(key(atom)))
            rename[atom] = None if rename[atom] is None else clean(str(rename[atom]))
    wordless = missing_words(spec)
    bad: dict[str, str] = {}
    if isinstance(spec.class_names, list) and numeric:
        given = set(spec.class_names)
        nameless = [atom for atom, name in rename.items() if name is not None and _NUMERIC.fullmatch(name) and name not in given]
        bad = {atom: f"a label number that has no name in class_names ({atom})" for atom in nameless}
    for atom, name in rename.items():
        if name is not None and name == atom and name.casefold() in wordless and key(name) not in declared:
            bad[atom] = f"{NO_LABEL} but the word {name!r} (missing_words; or list it in classes)"
        elif name is not None and re.fullmatch(r"[+-]?\d*\.\d+", name) and spec.classes is None and key(name) not in declared:
            bad[atom] = _RATING
    if spec.classes is not None:
        listed = {key(name): clean(name) for name in spec.classes}
        exact = {clean(name) for name in spec.classes}
        for atom, name in rename.items():
            if name is None or atom in bad or name in exact:
                continue
            rename[atom] = listed.get(key(name), name) if spec.merge_labels else name
            if rename[atom] not in exact:
                bad[atom] = f"an unknown label ({shown(name) if mixed(name) else name})"
    elif spec.merge_labels:
        _merge(rename, every, bad)
    else:
        alike = [group for group in _groups(rename, bad).values() if len(group) > 1]
        for group in alike:
            notes.warn(f"Near-equal labels are classes of their own: {some(map(shown, group), 10)} (merge_labels).")
    for name in sorted({name for name in rename.values() if name is not None}):
        same = [atom for atom, other in rename.items() if other == name and atom not in bad and not {key(atom), atom} & set(declared)]
        ways = {raw for atom in same for raw in spelt[atom]}
        if len(ways) > 1 or (spec.classes is not None and any(atom != name for atom in same)):
            notes.warn(f"Near-equal labels are one class, {name!r}: {some(map(shown, sorted(ways)), 10)} (merge_labels, or class_names).")
    _said(rename, bad, declared, spec, notes)
    left = Labels([], multi)
    for row, atoms in enumerate(parts):
        made = None
        if atoms is not None:
            wrong = next((bad[atom] for atom in atoms if atom in bad), None)
            kept = tuple(dict.fromkeys(name for atom in atoms if (name := rename[atom]) is not None))
            if wrong is not None:
                faults.add(wrong, row)
            elif kept:
                made = kept
            else:
                left.left_out.setdefault(f"class_names leaves {some(sorted(atoms))} out", []).append(row)
        left.rows.append(made)
    return left


def _groups(rename: dict[str, str | None], bad: dict[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in sorted({name for atom, name in rename.items() if name is not None and atom not in bad}):
        groups.setdefault(key(name), []).append(name)
    return groups


def _merge(rename: dict[str, str | None], every: Counter[str], bad: dict[str, str]) -> None:
    counts: Counter[str] = Counter()
    for atom, name in rename.items():
        if name is not None:
            counts[name] += every[atom]
    for group in _groups(rename, bad).values():
        if len(group) > 1:
            # of equally frequent spellings the plainest: no capitals, then the first by alphabet
            best = min(group, key=lambda name: (-counts[name], name != name.lower(), len(name), name))
            rename.update({atom: best for atom, name in rename.items() if name in group})


def _said(rename: dict[str, str | None], bad: dict[str, str], declared: dict[str, Any], spec: UserCorpus, notes: Notes) -> None:
    names = sorted({name for atom, name in rename.items() if name is not None and atom not in bad})
    if spec.classes is None and not declared:
        numbers = [name for name in names if _NUMERIC.fullmatch(name)]
        if numbers:
            notes.warn(f"Labels are numbers ({some(numbers)}), which say nothing in a prompt: class_names names them.")
        if names and {name.casefold() for name in names} <= _YES_NO:
            notes.warn(f"Labels are {some(names)}, which say nothing in a prompt: class_names names them.")
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(skeleton(name), []).append(name)
    for group in alike.values():
        if len({key(name) for name in group}) > 1:
            told = some((shown(name, foreign=True) for name in group), 10)
            notes.warn(f"Labels that look alike are classes of their own: {told}; class_names joins them.")
        elif any(map(mixed, group)):
            notes.warn(f"A label has letters of several alphabets: {some(map(shown, group))}; class_names renames it.")
    known = {key(name) for name in names}
    made_of = [name for name in names if _compound(name, known)]
    if made_of and spec.label_separator is None:
        notes.warn(f"Labels that are made of other labels: {some(map(repr, made_of))}; label_separator parts them.")


def _compound(name: str, known: set[str]) -> bool:
    return any(
        len(parts := [key(part) for part in name.split(mark)]) > 1 and set(parts) <= known for mark in (",", ";", "|", "/", "+", "&")
    )


def one_hot(rows: Sequence[Sequence[Any]], columns: Sequence[str], faults: Faults) -> list[Any]:
    """Return for each row of cells the list of columns that say yes, as one of `PAIRS` of marks does; no mark is no."""
    yes = {mark: mark in ("1", "true", "yes", "y", "t", "x", "✓", "✔", "☑") for pair in PAIRS for mark in pair} | {"": False}
    out: list[Any] = []
    for place, row in enumerate(rows):
        flags = [yes.get(flag(_decoded(value))) for value in row]
        if None in flags:
            faults.add(f"a cell of {columns[flags.index(None)]} that is neither 0 nor 1", place)
        out.append(None if None in flags else [name for name, is_so in zip(columns, flags, strict=True) if is_so])
    return out


def are_votes(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> bool:
    """Return whether columns hold labels, a rater's each, and not marks of yes and no: as they are named, or most cells are no marks."""
    if named_as_raters(columns):
        return True
    marks = {mark for pair in PAIRS for mark in pair}
    filled = Counter(word in marks for row in rows for value in row if (word := flag(_decoded(value))))
    return filled[False] > filled[True]


def votes(
    rows: Sequence[Sequence[Any]], columns: Sequence[str], names: Sequence[list[str] | None], spec: UserCorpus, notes: Notes, faults: Faults
) -> tuple[Labels, list[list[tuple[str, ...]]]]:
    """Return the labels that each rater gave each row, and of each row those of the first; a row without any vote has no label."""
    flat = [(row, value) for row, held in enumerate(rows) for value in held if not absent(_decoded(value)) and str(value).strip()]
    inner = Faults()
    found = labels([value for _, value in flat], [names[row] for row, _ in flat], spec, notes, inner)
    out: list[list[tuple[str, ...]]] = [[] for _ in rows]
    for (row, _), made in zip(flat, found.rows, strict=True):
        if made is not None:
            out[row].append(made)
    for what, places in inner.items():
        for row in dict.fromkeys(flat[place][0] for place in places):
            if not what.startswith(NO_LABEL):
                faults.add(what, row)
                out[row] = []
    left = {what: sorted({flat[place][0] for place in places if not out[flat[place][0]]}) for what, places in found.left_out.items()}
    gone = {row for places in (*left.values(), *faults.values()) for row in places}
    for row, given in enumerate(out):
        if not given and row not in gone:
            faults.add(NO_LABEL, row)
    missing = len(rows) * len(columns) - sum(map(len, out))
    notes.found("labels", f"votes of {len(columns)} raters ({missing:,} are missing); corpora.conflicts settles them", "labels")
    return Labels([given[0] if given else None for given in out], found.multi, {what: at for what, at in left.items() if at}), out
